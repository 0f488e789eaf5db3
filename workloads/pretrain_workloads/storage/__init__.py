"""Read and write files in storage: one folder type for mounted volumes and for S3.

    folder = open_output(run)                    # or open_location(...), open_artifact(...)
    with folder.publish("blocks/00000.bin") as publication:
        tokens.tofile(publication.local)         # a local file to write
    publication.file                             # path, bytes, sha256 for the manifest

A published file appears under its name when it is complete, or never.
"""

from pretrain_workloads.storage.errors import Unreachable
from pretrain_workloads.storage.folder import FileStream, Folder, StoredFile
from pretrain_workloads.storage.globs import list_matching, open_source
from pretrain_workloads.storage.local_paths import local_path, scratch_path
from pretrain_workloads.storage.manifests import read_manifest, seal_manifest
from pretrain_workloads.storage.opening import open_artifact, open_location, open_uri
from pretrain_workloads.storage.outputs import open_output

__all__ = [
    "FileStream",
    "Folder",
    "StoredFile",
    "Unreachable",
    "list_matching",
    "local_path",
    "open_artifact",
    "open_location",
    "open_output",
    "open_source",
    "open_uri",
    "read_manifest",
    "scratch_path",
    "seal_manifest",
]

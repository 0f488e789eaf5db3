"""Where the data plane reads and writes: one folder type for mounted volumes and for S3.

folder = open_location(spec.output)          # or open_artifact(run.dataset)
with folder.publish("blocks/00000.bin") as publication:
    tokens.tofile(publication.local)         # appears under its name complete, or never
publication.file                             # path, bytes, sha256 for the manifest
"""

from pretrain_workloads.storage.errors import Unreachable
from pretrain_workloads.storage.folder import Folder, Publication, StoredFile
from pretrain_workloads.storage.globs import list_matching
from pretrain_workloads.storage.manifests import read_manifest, seal_manifest
from pretrain_workloads.storage.opening import open_artifact, open_location, open_uri
from pretrain_workloads.storage.places import local_path, scratch_path

__all__ = [
    "Folder",
    "Publication",
    "StoredFile",
    "Unreachable",
    "list_matching",
    "local_path",
    "open_artifact",
    "open_location",
    "open_uri",
    "read_manifest",
    "scratch_path",
    "seal_manifest",
]

"""Sets up all volumes of a pod, once, before its first container starts."""

import json
from pathlib import Path
from typing import Any

from pretrain_local.atomic_files import write_atomically
from pretrain_local.node.api.client import NodeClient
from pretrain_local.node.api.pod_inputs import PodInputs
from pretrain_local.node.api.pods import Pod
from pretrain_local.node.volumes.contents import volume_files
from pretrain_local.node.volumes.folders import write_volume


async def set_up_volumes(
    inputs: PodInputs, pod_folder: Path, client: NodeClient
) -> dict[str, Path]:
    """Return the folder of each volume; write them all, unless an earlier call has done so.

    Raises:
        NotReady: If a volume cannot be set up yet.
        ApiError, UNREACHABLE: If the API server gives no token.
    """
    record = pod_folder / "volumes.json"
    try:
        return {name: Path(path) for name, path in json.loads(record.read_text()).items()}
    except OSError:
        pass
    volumes = inputs.pod.spec.volumes
    tokens = await _request_tokens(inputs.pod, client)
    # All contents before the first file: a volume that is not ready leaves nothing on disk.
    files = {volume.name: volume_files(volume, inputs, tokens) for volume in volumes}
    base = pod_folder / "volumes"
    folders = {volume.name: write_volume(volume, files[volume.name], base) for volume in volumes}
    write_atomically(record, json.dumps({name: str(path) for name, path in folders.items()}))
    return folders


async def _request_tokens(pod: Pod, client: NodeClient) -> dict[tuple[str, int], str]:
    metadata = pod.metadata
    account = pod.spec.service_account_name
    path = f"/api/v1/namespaces/{metadata.namespace}/serviceaccounts/{account}/token"
    tokens = {}
    for volume in pod.spec.volumes:
        for source in volume.projected.sources if volume.projected else ():
            if (token := source.service_account_token) is None:
                continue
            spec: dict[str, Any] = {
                "expirationSeconds": token.expiration_seconds,
                "boundObjectRef": {
                    "kind": "Pod",
                    "apiVersion": "v1",
                    "name": metadata.name,
                    "uid": metadata.uid,
                },
            }
            if token.audience:
                spec["audiences"] = [token.audience]
            response = await client.request("POST", path, {"spec": spec})
            tokens[token.audience, token.expiration_seconds] = str(response["status"]["token"])
    return tokens

"""Starts one container of a pod: gathers what it names, fills its volumes, launches it."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pretrain_local.atomic_files import write_atomically
from pretrain_local.node.allocations import Placement
from pretrain_local.node.api.pod_inputs import Facts, Kind, wanted_objects
from pretrain_local.node.api.pods import Pod
from pretrain_local.node.api.resources import memory_limit
from pretrain_local.node.context import NodeContext
from pretrain_local.node.lifecycle import Start
from pretrain_local.node.runtime import attempts as containers
from pretrain_local.node.runtime import sandbox
from pretrain_local.node.runtime.container_config import (
    Attributes,
    CannotRun,
    Command,
    Endpoint,
    build_launch,
)
from pretrain_local.node.volumes.content import volume_files, wanted_tokens, write_volume

_PLURALS: dict[Kind, str] = {"configmap": "configmaps", "secret": "secrets"}


async def start_container(start: Start, pod: Pod, placement: Placement, node: NodeContext) -> None:
    """Start a container, or write down that it can never run here.

    Raises:
        NotReady: If it must wait for an object or another pod.
        ApiError, UNREACHABLE: If the API server does not help.
    """
    pod_folder = node.registry.folder(pod.metadata.uid)
    facts = await _gather(pod, placement, node)
    volumes = await _volumes(pod, facts, pod_folder, node)
    folder = containers.attempt_folder(pod_folder, start.container.name, start.number)
    _forget_older(pod_folder, start)
    try:
        command = _prepare(start, facts, volumes, placement, node, folder)
    except CannotRun as error:
        _write_refusal(folder, str(error))
        return
    await containers.start(folder, command, memory_limit(start.container))


async def _gather(pod: Pod, placement: Placement, node: NodeContext) -> Facts:
    objects = {}
    for wanted in wanted_objects(pod):
        path = f"/api/v1/namespaces/{pod.metadata.namespace}/{_PLURALS[wanted.kind]}/{wanted.name}"
        found = await node.client.find(path)
        if found is not None:
            objects[wanted.kind, wanted.name] = found
    return Facts(pod, placement.address, node.host_ip, node.state.resources, objects)


async def _volumes(pod: Pod, facts: Facts, pod_folder: Path, node: NodeContext) -> dict[str, Path]:
    """Return the folder of each volume; they are filled once, when all can be."""
    record = pod_folder / "volumes.json"
    try:
        return {name: Path(path) for name, path in json.loads(record.read_text()).items()}
    except OSError:
        pass
    tokens = await _tokens(pod, node)
    files = {volume.name: volume_files(volume, facts, tokens) for volume in pod.spec.volumes}
    base = pod_folder / "volumes"
    made = {
        volume.name: write_volume(volume, files[volume.name], base) for volume in pod.spec.volumes
    }
    write_atomically(record, json.dumps({name: str(path) for name, path in made.items()}))
    return made


async def _tokens(pod: Pod, node: NodeContext) -> dict[tuple[str, int], str]:
    metadata = pod.metadata
    account = pod.spec.service_account_name
    path = f"/api/v1/namespaces/{metadata.namespace}/serviceaccounts/{account}/token"
    tokens = {}
    for wanted in wanted_tokens(pod.spec.volumes):
        spec: dict[str, Any] = {
            "expirationSeconds": wanted.expiration_seconds,
            "boundObjectRef": {
                "kind": "Pod",
                "apiVersion": "v1",
                "name": metadata.name,
                "uid": metadata.uid,
            },
        }
        if wanted.audience:
            spec["audiences"] = [wanted.audience]
        answer = await node.client.request("POST", path, {"spec": spec})
        tokens[wanted.audience, wanted.expiration_seconds] = str(answer["status"]["token"])
    return tokens


def _forget_older(pod_folder: Path, start: Start) -> None:
    """Remove attempts before the last one, and what an interrupted start has left."""
    base = containers.attempt_folder(pod_folder, start.container.name, start.number)
    shutil.rmtree(base, ignore_errors=True)
    for number in containers.attempt_numbers(pod_folder, start.container.name)[:-1]:
        old = containers.attempt_folder(pod_folder, start.container.name, number)
        shutil.rmtree(old, ignore_errors=True)


def _prepare(
    start: Start,
    facts: Facts,
    volumes: dict[str, Path],
    placement: Placement,
    node: NodeContext,
    folder: Path,
) -> Command:
    attributes = Attributes(
        endpoint=Endpoint(node.host_ip, node.state.ports.apiserver),
        gpu_numbers=placement.gpu_numbers.get(start.container.name, ()),
        volumes=volumes,
    )
    folder.mkdir(parents=True)
    launch = build_launch(start.container, facts, attributes)
    hosts = node.registry.addresses(placement.namespace)
    return sandbox.prepare(node.state.sandbox, launch, folder, hosts)


def _write_refusal(folder: Path, message: str) -> None:
    now = datetime.now(UTC).isoformat()
    refusal = {
        "code": containers.NOT_STARTED,
        "reason": "StartError",
        "message": message,
        "startedAt": now,
        "finishedAt": now,
    }
    write_atomically(folder / "exit.json", json.dumps(refusal))
    write_atomically(folder / "launch.json", "{}")

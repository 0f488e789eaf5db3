"""Starts one container of a pod: reads what it references, sets up volumes, runs it."""

import shutil
from pathlib import Path

from pretrain_local.node.allocations import PodAllocation
from pretrain_local.node.api.pod_inputs import PodInputs
from pretrain_local.node.api.pods import Pod
from pretrain_local.node.api.references import ReferenceKind, referenced_objects
from pretrain_local.node.api.resources import memory_limit
from pretrain_local.node.context import NodeContext
from pretrain_local.node.lifecycle import ContainerStart
from pretrain_local.node.runtime import sandbox, supervision
from pretrain_local.node.runtime.attempts import attempt_folder, attempt_numbers
from pretrain_local.node.runtime.container_config import (
    ApiEndpoint,
    CannotRun,
    RunOptions,
    build_config,
)
from pretrain_local.node.volumes.pod_volumes import set_up_volumes

_PLURALS: dict[ReferenceKind, str] = {"configmap": "configmaps", "secret": "secrets"}


async def start_container(
    start: ContainerStart, pod: Pod, allocation: PodAllocation, node: NodeContext
) -> None:
    """Start a container, or store as its exit that it can never run here.

    Raises:
        NotReady: If it must wait for an object or another pod.
        ApiError, UNREACHABLE: If a request to the API server fails.
    """
    container = start.container
    pod_folder = node.allocator.folder(pod.metadata.uid)
    inputs = await _read_inputs(pod, allocation, node)
    volumes = await set_up_volumes(inputs, pod_folder, node.client)
    options = RunOptions(
        endpoint=ApiEndpoint(node.host_ip, node.state.ports.apiserver),
        gpu_numbers=allocation.gpu_numbers.get(container.name, ()),
        volumes=volumes,
    )
    _remove_older_attempts(pod_folder, start)
    folder = attempt_folder(pod_folder, container.name, start.number)
    folder.mkdir(parents=True)
    try:
        config = build_config(container, inputs, options)
        hosts = node.allocator.host_addresses(allocation.namespace)
        command = sandbox.prepare(node.state.sandbox, config, folder, hosts)
    except CannotRun as error:
        supervision.write_refused(folder, str(error))
        return
    await supervision.start(folder, command, memory_limit(container))


async def _read_inputs(pod: Pod, allocation: PodAllocation, node: NodeContext) -> PodInputs:
    objects = {}
    for reference in referenced_objects(pod):
        plural = _PLURALS[reference.kind]
        path = f"/api/v1/namespaces/{pod.metadata.namespace}/{plural}/{reference.name}"
        body = await node.client.find(path)
        if body is not None:
            objects[reference.kind, reference.name] = body
    return PodInputs(pod, allocation.address, node.host_ip, node.state.resources, objects)


def _remove_older_attempts(pod_folder: Path, start: ContainerStart) -> None:
    """Remove all attempts but the latest, and the files of an interrupted start."""
    name = start.container.name
    shutil.rmtree(attempt_folder(pod_folder, name, start.number), ignore_errors=True)
    for number in attempt_numbers(pod_folder, name)[:-1]:
        shutil.rmtree(attempt_folder(pod_folder, name, number), ignore_errors=True)

"""Recovery of a cluster after its components, its node or a supervisor were killed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import (
    RESOURCES,
    Namespace,
    RunningCluster,
    is_phase,
    make_namespace,
    remove_namespace,
    wait_until,
)
from pods import make_pod, terminated
from pretrain_local import binaries, procfs
from pretrain_local.cluster import LocalCluster
from pretrain_local.control_plane.components import APISERVER, COMPONENTS, NODE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

_SLEEP = (
    "import pathlib, signal, time;"
    "signal.signal(signal.SIGTERM, lambda *_: exit(9));"
    "gate = pathlib.Path('/pretrain/gate/open')\n"
    "while not gate.exists(): time.sleep(0.05)\n"
    "open('/pretrain/termination-log', 'w').write('through')"
)
_SCRATCH = "/pretrain/gate"


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> Iterator[LocalCluster]:
    state = tmp_path_factory.mktemp("repair") / "state"
    with LocalCluster(state, RESOURCES, "auto", lines.append) as cluster:
        yield cluster


@pytest.fixture
def own_space(local: LocalCluster) -> Iterator[Namespace]:
    made = _space(local)
    yield made
    remove_namespace(made)


def _space(local: LocalCluster) -> Namespace:
    return make_namespace(RunningCluster(local.kubeconfig, str(binaries.find("kubectl")), local))


def _pids(local: LocalCluster) -> dict[str, int | None]:
    return {component.name: component.pid for component in local.status()}


def _run_gated(space: Namespace, folder: Path) -> None:
    """Run a pod that ends well once the file `open` appears in `folder`."""
    folder.mkdir()
    pod = make_pod("gated", _SLEEP)
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "gate", "mountPath": _SCRATCH}]
    pod["spec"]["volumes"] = [{"name": "gate", "hostPath": {"path": str(folder)}}]
    space.apply(pod)
    space.wait_for("pod", "gated", is_phase("Running"))


def test_up_twice_changes_nothing_and_down_leaves_nothing(tmp_path: Path) -> None:
    lines: list[str] = []
    state = tmp_path / "state"
    with LocalCluster(state, RESOURCES, "auto", lines.append) as local:
        before = _pids(local)
        assert list(before) == list(COMPONENTS)
        local.up()
        assert _pids(local) == before
        assert not [line for line in lines if "starting it again" in line]
        _run_gated(_space(local), tmp_path / "gate")
        local.down()
        assert local.status() == []
        assert not state.exists()
    assert [pid for pid in before.values() if pid and procfs.start_ticks(pid)] == []
    assert procfs.with_environment(f"PRETRAIN_CONTAINER={tmp_path}") == []


def test_a_cluster_whose_processes_were_all_killed_comes_back_with_its_pods(
    local: LocalCluster, own_space: Namespace, tmp_path: Path
) -> None:
    _run_gated(own_space, tmp_path / "gate")
    for pid in _pids(local).values():
        _kill(pid)
    local.up()
    assert all(_pids(local).values())
    (tmp_path / "gate" / "open").touch()
    pod = own_space.wait_for("pod", "gated", is_phase("Succeeded", "Failed"))
    assert terminated(pod)["message"] == "through"


def test_a_killed_api_server_is_reported_and_comes_back_while_pods_run(
    local: LocalCluster, own_space: Namespace, lines: list[str], tmp_path: Path
) -> None:
    _run_gated(own_space, tmp_path / "gate")
    before = _pids(local)
    _kill(before[APISERVER])
    dead = next(component for component in local.status() if component.name == APISERVER)
    assert dead.pid is None
    assert dead.tail, "the end of its log says why"
    (tmp_path / "gate" / "open").touch()
    local.up()
    assert any(f"{APISERVER} ended by itself" in line for line in lines)
    after = _pids(local)
    assert {n: p for n, p in after.items() if n != APISERVER} == {
        n: p for n, p in before.items() if n != APISERVER
    }
    pod = own_space.wait_for("pod", "gated", is_phase("Succeeded", "Failed"))
    assert terminated(pod)["message"] == "through"


def test_a_new_node_takes_over_the_pods_of_a_killed_one(
    local: LocalCluster, own_space: Namespace, tmp_path: Path
) -> None:
    _run_gated(own_space, tmp_path / "gate")
    _kill(_pids(local)[NODE])
    local.up()
    (tmp_path / "gate" / "open").touch()
    pod = own_space.wait_for("pod", "gated", is_phase("Succeeded", "Failed"))
    assert terminated(pod)["message"] == "through"
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_pod_whose_supervisor_was_killed_fails_and_says_so(
    local: LocalCluster, own_space: Namespace, tmp_path: Path
) -> None:
    _run_gated(own_space, tmp_path / "gate")
    pod = own_space.get("pod", "gated")
    assert pod is not None
    folder = local.files.pods / pod["metadata"]["uid"] / "containers/main/0"
    marker = f"PRETRAIN_CONTAINER={folder}/"
    supervisors = {procfs.parent(pid) for pid in procfs.with_environment(marker)}
    (supervisor,) = {pid for pid in supervisors if pid and not _is_marked(pid, marker)}
    _kill(supervisor)
    pod = own_space.wait_for("pod", "gated", is_phase("Failed"))
    assert terminated(pod)["reason"] == "ContainerStatusUnknown"
    assert "supervisor vanished" in terminated(pod)["message"]
    assert procfs.with_environment(marker) == []


def test_the_node_can_be_given_other_resources_while_pods_run(
    local: LocalCluster, own_space: Namespace, tmp_path: Path
) -> None:
    _run_gated(own_space, tmp_path / "gate")
    resources = RESOURCES.model_copy(update={"gpus": 16})
    LocalCluster(local.files.root, resources).up()
    node = own_space.get("node", "local")
    assert node is not None
    assert node["status"]["capacity"]["nvidia.com/gpu"] == "16"
    pod = own_space.get("pod", "gated")
    assert pod is not None
    assert pod["status"]["phase"] == "Running"


def _is_marked(pid: int, marker: str) -> bool:
    return pid in procfs.with_environment(marker)


def _kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: procfs.start_ticks(pid) is None or None, f"the end of process {pid}")

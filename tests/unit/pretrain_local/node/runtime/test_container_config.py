"""Configurations of containers, and the sandbox's flags for them."""

import sys
from pathlib import Path
from typing import Any

import pytest

from pod_inputs import make_pod_inputs
from pods import make_container
from pretrain_local.node.runtime import bubblewrap
from pretrain_local.node.runtime.container_config import (
    ApiEndpoint,
    BindMount,
    CannotRun,
    ContainerConfig,
    RunOptions,
    build_config,
    require_program,
)

ENDPOINT = ApiEndpoint("127.9.0.1", 6443)


def config(volumes: dict[str, Path] | None = None, **fields: Any) -> ContainerConfig:
    inputs = make_pod_inputs(make_container("pass", **fields), hostname="run-0")
    options = RunOptions(ENDPOINT, (2, 3), volumes or {})
    return build_config(inputs.pod.spec.containers[0], inputs, options)


def test_a_container_never_sees_the_nodes_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_SECRET", "x")
    environment = config().environment
    assert set(environment) == {
        "PATH", "LANG", "HOSTNAME", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT",
        "CUDA_VISIBLE_DEVICES",
    }  # fmt: skip
    assert environment["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert environment["CUDA_VISIBLE_DEVICES"] == "2,3"


def test_command_and_arguments_are_expanded() -> None:
    built = config(command=["echo", "$(A)"], args=["$$(A)"], env=[{"name": "A", "value": "1"}])
    assert built.argv == ["echo", "1", "$(A)"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"command": []}, "has no command; the process node does not read images"),
        ({"restartPolicy": "Always"}, "has no sidecars"),
    ],
)
def test_unsupported_containers_are_refused_with_the_reason(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(CannotRun, match=message):
        config(**fields)


def test_a_mount_inside_another_comes_after_it(tmp_path: Path) -> None:
    mounts = [
        {"name": "b", "mountPath": "/pretrain/a/b/"},
        {"name": "a", "mountPath": "/pretrain/a", "readOnly": True},
        {"name": "a", "mountPath": "/pretrain/c", "subPath": "deep"},
    ]
    bind_mounts = config({"a": tmp_path, "b": tmp_path}, volumeMounts=mounts).mounts
    assert [mount.destination for mount in bind_mounts] == [
        "/pretrain/a",
        "/pretrain/a/b",
        "/pretrain/c",
    ]
    assert [mount.read_only for mount in bind_mounts] == [True, False, False]
    assert bind_mounts[2].source == tmp_path / "deep"


def test_a_missing_program_is_named_with_the_search_path() -> None:
    with pytest.raises(CannotRun, match=r"no-such-program.*not found in \$PATH \(/bin\)"):
        require_program("no-such-program", "/bin")
    require_program("/pretrain/program", "/bin")


def test_a_sandbox_shows_the_machine_read_only_and_mounts_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "pod" / "containers" / "main" / "0"
    folder.mkdir(parents=True)
    bind = BindMount(tmp_path, "/pretrain/data")
    container = ContainerConfig(
        ["p", "a"], {"A": "1"}, "", (bind,), "/dev/termination-log", "h", "", "n"
    )
    command = bubblewrap.prepare(container, folder)
    text = " ".join(command.argv)
    assert "--ro-bind-try /usr /usr" in text
    assert f"--bind {folder / 'tmp'} /tmp" in text
    assert f"--bind {tmp_path} /pretrain/data" in text
    assert f"--bind {folder / 'termination-log'} /dev/termination-log" in text
    assert f"--bind {tmp_path / 'pod' / 'etc-hosts'} /etc/hosts" in text
    assert command.argv[-3:] == ["--", "p", "a"]
    assert command.status_flag

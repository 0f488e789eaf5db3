"""Launches: what runs, with which variables; and how a sandbox is asked for."""

import sys
from pathlib import Path
from typing import Any

import pytest

from pod_inputs import make_facts
from pods import make_container
from pretrain_local.node.runtime import bubblewrap
from pretrain_local.node.runtime.container_config import (
    Attributes,
    Bind,
    CannotRun,
    Endpoint,
    Launch,
    build_launch,
    require_program,
)

ENDPOINT = Endpoint("127.9.0.1", 6443)


def launch(volumes: dict[str, Path] | None = None, **fields: Any) -> Launch:
    facts = make_facts(make_container("pass", **fields), hostname="run-0")
    attributes = Attributes(ENDPOINT, (2, 3), volumes or {})
    return build_launch(facts.pod.spec.containers[0], facts, attributes)


def test_a_container_never_sees_the_nodes_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_SECRET", "x")
    found = launch().environment
    assert set(found) == {
        "PATH", "LANG", "HOSTNAME", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT",
        "CUDA_VISIBLE_DEVICES",
    }  # fmt: skip
    assert found["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert found["CUDA_VISIBLE_DEVICES"] == "2,3"


def test_command_and_arguments_are_expanded() -> None:
    found = launch(command=["echo", "$(A)"], args=["$$(A)"], env=[{"name": "A", "value": "1"}])
    assert found.argv == ["echo", "1", "$(A)"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"command": []}, "has no command; the process node does not read images"),
        ({"restartPolicy": "Always"}, "has no sidecars"),
    ],
)
def test_what_the_node_cannot_run_is_said(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(CannotRun, match=message):
        launch(**fields)


def test_a_mount_inside_another_comes_after_it(tmp_path: Path) -> None:
    mounts = [
        {"name": "b", "mountPath": "/pretrain/a/b/"},
        {"name": "a", "mountPath": "/pretrain/a", "readOnly": True},
        {"name": "a", "mountPath": "/pretrain/c", "subPath": "deep"},
    ]
    found = launch({"a": tmp_path, "b": tmp_path}, volumeMounts=mounts).binds
    assert [bind.destination for bind in found] == ["/pretrain/a", "/pretrain/a/b", "/pretrain/c"]
    assert [bind.read_only for bind in found] == [True, False, False]
    assert found[2].source == tmp_path / "deep"


def test_a_program_that_is_not_there_is_named_with_the_path() -> None:
    with pytest.raises(CannotRun, match=r"no-such-program.*not found in \$PATH \(/bin\)"):
        require_program("no-such-program", "/bin")
    require_program("/pretrain/program", "/bin")


def test_a_sandbox_shows_the_machine_read_only_and_mounts_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "pod" / "containers" / "main" / "0"
    folder.mkdir(parents=True)
    bind = Bind(tmp_path, "/pretrain/data")
    container = Launch(["p", "a"], {"A": "1"}, "", (bind,), "/dev/termination-log", "h", "", "n")
    command = bubblewrap.prepare(container, folder)
    text = " ".join(command.argv)
    assert "--ro-bind-try /usr /usr" in text
    assert f"--bind {folder / 'tmp'} /tmp" in text
    assert f"--bind {tmp_path} /pretrain/data" in text
    assert f"--bind {folder / 'termination-log'} /dev/termination-log" in text
    assert f"--bind {tmp_path / 'pod' / 'etc-hosts'} /etc/hosts" in text
    assert command.argv[-3:] == ["--", "p", "a"]
    assert command.status_flag

"""kubectl: its arguments, its input, and its message when it fails."""

from pathlib import Path

import pytest

from pretrain_local.kubectl import Kubectl, KubectlError


def make_kubectl(folder: Path, script: str, namespace: str | None = "team") -> Kubectl:
    binary = folder / "kubectl"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(0o755)
    return Kubectl(str(binary), "config", namespace)


@pytest.mark.parametrize(
    ("namespace", "want"),
    [
        ("team", "--kubeconfig config -n team get pods\n"),
        (None, "--kubeconfig config get pods\n"),
    ],
)
def test_cluster_and_namespace_come_first(tmp_path: Path, namespace: str | None, want: str) -> None:
    assert make_kubectl(tmp_path, 'echo "$@"', namespace).run("get", "pods") == want


def test_input_is_text_or_a_file(tmp_path: Path) -> None:
    kubectl = make_kubectl(tmp_path, "cat")
    assert kubectl.run("apply", stdin="text") == "text"
    (tmp_path / "file").write_text("content")
    with (tmp_path / "file").open("rb") as file:
        assert kubectl.run("apply", stdin=file) == "content"


def test_an_error_has_kubectls_own_message(tmp_path: Path) -> None:
    with pytest.raises(KubectlError, match=r"^forbidden$"):
        make_kubectl(tmp_path, "echo forbidden >&2; exit 1").run("get", "pods")

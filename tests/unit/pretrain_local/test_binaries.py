"""Programs: where they are searched, and the error when one cannot be built."""

from pathlib import Path

import pytest

from pretrain_local import binaries, go_builds
from pretrain_local.errors import LocalError
from pretrain_local.files import cache_folder
from pretrain_local.programs import PROGRAMS, architecture


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))


def _program(path: Path, prints: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {prints}\n")
    path.chmod(0o755)
    return path


def test_assets_of_the_user_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    want = _program(tmp_path / "assets" / "etcd")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    assert binaries.find("etcd") == want


def test_assets_of_another_version_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(tmp_path / "assets" / "kube-apiserver", "Kubernetes v1.31.2")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    with pytest.raises(LocalError, match=r"holds Kubernetes v1\.31\.2, but the cluster runs 1\.35"):
        binaries.find("kube-apiserver")


def test_the_newest_folder_of_setup_envtest_is_used(tmp_path: Path) -> None:
    store = tmp_path / "data" / "kubebuilder-envtest" / "k8s"
    machine = architecture()
    for version in ("1.35.2", "1.35.10", "1.34.9"):
        _program(store / f"{version}-linux-{machine}" / "kubectl")
    assert binaries.find("kubectl").parent.name == f"1.35.10-linux-{machine}"


def test_a_program_that_was_built_before_is_taken_from_the_cache() -> None:
    want = _program(go_builds.build_folder(PROGRAMS["versitygw"]) / "versitygw")
    assert binaries.find("versitygw") == want
    assert want.is_relative_to(cache_folder())


def test_the_error_on_a_machine_without_go_says_what_to_install() -> None:
    with pytest.raises(LocalError, match=r"install Go 1\.26 or newer, or set KUBEBUILDER_ASSETS"):
        binaries.find("etcd")


def _go(tmp_path: Path, script: str) -> None:
    """Put a program called `go` on PATH; its sixth argument is the file to write."""
    _program(tmp_path / "no-programs" / "go").write_text(f"#!/bin/sh\n{script}\n")


def test_a_build_is_reported_with_its_time_and_done_once(tmp_path: Path) -> None:
    _go(tmp_path, 'echo \'#!/bin/sh\' >"$6"; /bin/chmod +x "$6"')
    lines: list[str] = []
    path = binaries.find("etcd", lines.append)
    assert path.is_relative_to(tmp_path / "cache")
    assert lines == [
        "[1/1] etcd: building with Go, once; took 28 s on two cores",
        "[1/1] etcd: built in 0 s",
    ]
    assert binaries.find("etcd", lines.append) == path
    assert len(lines) == 2
    assert not [file for file in path.parent.iterdir() if file.name.startswith(".etcd")]


def test_a_build_that_fails_leaves_nothing_half_made(tmp_path: Path) -> None:
    _go(tmp_path, "echo half >\"$6\"; echo 'dial tcp: no such host'; exit 1")
    with pytest.raises(LocalError, match="check the network"):
        binaries.find("etcd")
    left = (tmp_path / "cache").rglob("*etcd")
    assert [file for file in left if file.is_file()] == []


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("go: go.mod requires go >= 1.26.0 (running go 1.22.1)", "Go is too old"),
        (
            "dial tcp: lookup proxy: no such host",
            "the Go modules cannot be fetched: check the network",
        ),
        ("write /x: no space left on device", "the disk is full"),
        ("main.go:1: syntax error", "the build failed"),
    ],
)
def test_a_failed_build_says_what_to_do(output: str, advice: str) -> None:
    message = go_builds.explain_failure("etcd", f"earlier\n{output}\n")
    assert message.startswith(f"etcd: {advice}")
    assert output in message


def test_every_program_has_a_committed_module() -> None:
    for program in PROGRAMS.values():
        folder = go_builds.MODULES / program.module
        assert program.package.rpartition("/cmd/")[0] in (folder / "go.mod").read_text()
        assert (folder / "go.sum").exists()

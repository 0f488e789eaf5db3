"""Plain processes: links for mounts, rewritten paths, host names resolved to addresses."""

from pathlib import Path

import pytest

from pretrain_api import paths
from pretrain_local.node.api.pod_inputs import NotReady
from pretrain_local.node.runtime import plain
from pretrain_local.node.runtime.container_config import BindMount, CannotRun, ContainerConfig


def make_config(**fields: object) -> ContainerConfig:
    base: dict[str, object] = {
        "argv": ["program"], "environment": {}, "directory": "", "mounts": (),
        "termination_path": paths.TERMINATION, "hostname": "run-0", "subdomain": "run",
        "namespace": "ns",
    }  # fmt: skip
    return ContainerConfig(**(base | fields))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    attempt = tmp_path / "pod" / "containers" / "main" / "0"
    (attempt / "tmp").mkdir(parents=True)
    return attempt


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("/pretrain", "/R"),
        ("/pretrain/spec/spec.json", "/R/spec/spec.json"),
        ("--to=/pretrain/a:/pretrain/b", "--to=/R/a:/R/b"),
        ("file:///pretrain/a", "file:///R/a"),
        ("open('/pretrain/x')", "open('/R/x')"),
        ("/home/pretrain/x", "/home/pretrain/x"),
        ("/pretraining", "/pretraining"),
        ("s3://pretrain/x", "s3://pretrain/x"),
        ("./pretrain/x", "./pretrain/x"),
    ],
)
def test_only_whole_paths_are_rewritten(text: str, want: str) -> None:
    assert plain.path_rewriter({"/pretrain": "/R"})(text) == want


def test_the_longest_path_wins() -> None:
    rewrite = plain.path_rewriter({"/pretrain": "/R", "/pretrain/termination-log": "/T"})
    assert rewrite("/pretrain/termination-log /pretrain/x") == "/T /R/x"


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("run-1.run", "127.9.1.2"),
        ("run-1.run.ns.svc.cluster.local:29500", "127.9.1.2:29500"),
        ("run-1.run.ns", "127.9.1.2"),
        ("other.example", "other.example"),
        ("https://run-1.run/x", "https://run-1.run/x"),
        ("1.run", "1.run:unknown"),
    ],
)
def test_names_of_the_runs_pods_become_addresses(value: str, want: str) -> None:
    hosts = {name: "127.9.1.2" for name in
             ("run-1.run", "run-1.run.ns", "run-1.run.ns.svc.cluster.local")}  # fmt: skip
    config = make_config()
    if want.endswith(":unknown"):
        with pytest.raises(NotReady, match=r"waiting for the pod 1\.run"):
            plain.resolve_host(value, config, hosts)
    else:
        assert plain.resolve_host(value, config, hosts) == want


def test_a_pod_without_subdomain_keeps_its_values() -> None:
    assert plain.resolve_host("a.run", make_config(subdomain=""), {}) == "a.run"


def test_mounts_are_links_below_the_containers_own_root(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "volume"
    source.mkdir()
    config = make_config(
        argv=["read", "/pretrain/data/x"], mounts=(BindMount(source, "/pretrain/data"),)
    )
    command = plain.prepare(config, folder, {})
    (source / "x").write_text("here")
    assert Path(command.argv[1]).read_text() == "here"
    root = Path(command.environment[paths.ROOT_VARIABLE])
    assert (root / "data" / "x").read_text() == "here"
    assert command.environment[paths.HOSTS_VARIABLE] == str(tmp_path / "pod" / "hosts")
    assert command.directory == command.environment["TMPDIR"] == str(folder / "tmp")


def test_the_termination_message_is_found_by_path_and_through_the_root(folder: Path) -> None:
    command = plain.prepare(make_config(argv=["x", paths.TERMINATION]), folder, {})
    Path(command.argv[1]).write_text("one")
    through_root = Path(command.environment[paths.ROOT_VARIABLE]) / "termination-log"
    assert through_root.read_text() == "one"
    assert (folder / "termination-log").read_text() == "one"


@pytest.mark.parametrize(
    ("destinations", "message"),
    [
        (["/data"], "mountPath /data: without bubblewrap"),
        (["/pretrain/a", "/pretrain/a/b"], "mountPath /pretrain/a/b lies inside /pretrain/a"),
    ],
)
def test_mounts_that_links_cannot_replace_are_refused(
    folder: Path, tmp_path: Path, destinations: list[str], message: str
) -> None:
    mounts = tuple(BindMount(tmp_path, destination) for destination in destinations)
    with pytest.raises(CannotRun, match=message):
        plain.prepare(make_config(mounts=mounts), folder, {})

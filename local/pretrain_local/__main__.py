"""`python -m pretrain_local up|down|status|kubeconfig|build`."""

import argparse
import sys
from pathlib import Path

from pretrain_api.quantities import parse_quantity
from pretrain_local import binaries
from pretrain_local.cluster import LocalCluster
from pretrain_local.errors import LocalError
from pretrain_local.files import default_state
from pretrain_local.node.runtime.sandbox import KINDS
from pretrain_local.programs import CLUSTER, PROGRAMS, TESTS
from pretrain_local.state import NodeResources


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pretrain_local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    summaries = {
        "up": "start Kubernetes; components that run already are kept",
        "down": "stop it and remove its files",
        "status": "show its processes; exit code 1 unless all run",
        "kubeconfig": "print the path of the kubeconfig",
        "build": "find or build the programs and print their paths; start nothing",
    }
    parsers = {name: commands.add_parser(name, help=text) for name, text in summaries.items()}
    for name in ("up", "down", "status", "kubeconfig"):
        parsers[name].add_argument(
            "--state", type=Path, default=default_state(), help="folder of all its files"
        )
    up = parsers["up"]
    up.add_argument("--cpus", type=int, help="cores of the node; default: this machine's")
    up.add_argument(
        "--memory", type=parse_quantity, help="memory of the node, such as 16Gi; default: all"
    )
    up.add_argument(
        "--gpus", type=int, help="nvidia.com/gpu of the node, which need not exist; default: 0"
    )
    up.add_argument("--sandbox", choices=KINDS, default="auto", help="how pods are isolated")
    build = parsers["build"]
    build.add_argument("names", nargs="*", help="default: what a cluster needs")
    build.add_argument("--tests", action="store_true", help="what `make test` needs")
    return parser


def _resources(options: argparse.Namespace) -> NodeResources | None:
    """Return the capacity of the options; None means that the node keeps its capacity."""
    options_by_field = {"cpus": options.cpus, "memory_bytes": options.memory, "gpus": options.gpus}
    changes = {name: value for name, value in options_by_field.items() if value is not None}
    if not changes:
        return None
    return NodeResources.of_this_machine().model_copy(update=changes)


def _up(options: argparse.Namespace) -> int:
    cluster = LocalCluster(options.state, _resources(options), options.sandbox, _report)
    print(f"export KUBECONFIG={cluster.up()}")
    return 0


def _down(options: argparse.Namespace) -> int:
    LocalCluster(options.state, report=_report).down()
    return 0


def _status(options: argparse.Namespace) -> int:
    components = LocalCluster(options.state).status()
    if not components:
        print("down")
        return 1
    for component in components:
        if component.pid is None:
            print(f"{component.name:24} dead; the end of its log:\n{component.tail}")
        else:
            megabytes = component.resident_bytes / 1e6
            print(f"{component.name:24} pid {component.pid:<8} {megabytes:5.0f} MB")
    return 0 if all(component.pid for component in components) else 1


def _kubeconfig(options: argparse.Namespace) -> int:
    path = LocalCluster(options.state).kubeconfig
    if not path.exists():
        raise LocalError(f"no cluster is up in {options.state}; start one with `up`")
    print(path)
    return 0


def _build(options: argparse.Namespace) -> int:
    unknown = [name for name in options.names if name not in PROGRAMS]
    if unknown:
        names = ", ".join(PROGRAMS)
        raise LocalError(f"{', '.join(unknown)}: no such program; there are {names}")
    wanted = TESTS if options.tests else options.names or CLUSTER
    for path in binaries.find_all(wanted, _report).values():
        print(path)
    return 0


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


_COMMANDS = {
    "up": _up,
    "down": _down,
    "status": _status,
    "kubeconfig": _kubeconfig,
    "build": _build,
}


def main() -> int:
    """Run the command line; return the exit code."""
    options = _arguments().parse_args()
    try:
        return _COMMANDS[options.command](options)
    except LocalError as error:
        _report(f"error: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""Measures of the structure: what packages hold, what names mean, how much of it is tested."""

import ast
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "crds/pretrain_api",
    "operator/pretrain_operator",
    "workloads/pretrain_workloads",
    "local/pretrain_local",
)
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

CONTROL_PLANE = ("crds/pretrain_api", "operator/pretrain_operator")
"""Operator and API: code of which at least 0.8 lines a line are tests."""

CONTROL_PLANE_TESTS = (
    "tests/unit/pretrain_api",
    "tests/unit/pretrain_operator",
    "tests/unit/test_divisibility.py",
    "tests/integration/operator",
    "tests/integration/rules",
    "tests/integration/webhook",
)

CONTROL_PLANE_HELPERS = (
    "tests/api_server.py",
    "tests/builders.py",
    "tests/checked_specs.py",
    "tests/megatron_oracle.py",
    "tests/megatron_specs.py",
    "tests/memory_server.py",
    "tests/scenarios.py",
    "tests/simulation.py",
    "tests/spec_strategies.py",
    "tests/reconciles.py",
    "tests/run_reconciles.py",
    "tests/memory_requests.py",
    "tests/stage_plans.py",
    "tests/webhooks.py",
    "tests/tenant.py",
    "tests/virtual_time.py",
)
"""Modules that only these tests use."""


def modules_by_package() -> dict[str, list[str]]:
    """Return the modules of each package, without `__init__`."""
    packages: defaultdict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        if path.name != "__init__.py":
            packages[str(path.parent.relative_to(ROOT))].append(path.stem)
    return dict(packages)


def type_names() -> dict[str, set[str]]:
    """Return the packages in which each public name of a class or of an alias is defined."""
    places: defaultdict[str, set[str]] = defaultdict(set)
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if (name := _type_name(node)) and not name.startswith("_"):
                places[name].add(str(path.parent.relative_to(ROOT)))
    return dict(places)


def homonyms() -> dict[str, set[str]]:
    """Return the public names of types that mean something in two packages."""
    return {name: places for name, places in type_names().items() if len(places) > 1}


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function with its name: file, and name in it."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.name}", node


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of named parameters; `self` and `cls` do not count."""
    args = node.args
    names = [argument.arg for argument in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def lines_of_tests() -> tuple[int, int, int]:
    """Return the lines of operator and API, of their tests, and of these tests' helpers."""
    code = sum(_lines(ROOT / folder) for folder in CONTROL_PLANE)
    tests = sum(_lines(ROOT / folder) for folder in CONTROL_PLANE_TESTS)
    return code, tests, sum(_lines(ROOT / path) for path in CONTROL_PLANE_HELPERS)


def files_with(pattern: str) -> list[str]:
    """Return the tracked files in which a pattern occurs: what a field touches."""
    command = ["git", "-C", str(ROOT), "grep", "-lE", pattern]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if re.match(r"^[a-z]+/", line)]


def _type_name(node: ast.stmt) -> str | None:
    """Return the name that a statement gives to a type: a class, `type X = …` or `X = …`."""
    match node:
        case ast.ClassDef(name=name) | ast.TypeAlias(name=ast.Name(id=name)):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]) if re.match("[A-Z]+[a-z]", name):
            return name
    return None


def _lines(path: Path) -> int:
    files = path.rglob("*.py") if path.is_dir() else [path]
    return sum(file.read_text(encoding="utf-8").count("\n") for file in files)

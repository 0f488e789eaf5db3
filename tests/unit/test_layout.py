"""The house rules that a tool can check."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from structure_measures import (
    MODULES,
    ROOT,
    functions,
    homonyms,
    lines_of_tests,
    modules_by_package,
    parameters,
)

CHECKED = [*MODULES, *sorted((ROOT / "tests").rglob("*.py")), *sorted(ROOT.glob("benchmarks/*.py"))]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_MODULES = 15
MAX_PARAMETERS = 4
MIN_TEST_RATIO = 0.8
TRAINER_STORY = {
    "__main__",
    "launcher",
    "agent",
    "rank",
    "setup",
    "training",
    "evaluation",
    "schedule",
    "inputs",
    "outcome",
}


def test_operator_folder_is_never_a_package() -> None:
    """With an `__init__.py`, `operator/` would shadow the stdlib module for `python -m ...`."""
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert not list((ROOT / "tests").rglob("__init__.py")), "tests are collected by importlib mode"


@pytest.mark.parametrize("path", CHECKED, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_FILE_LINES, "look for the second noun"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"


def test_no_package_is_crowded() -> None:
    crowded = {name: len(modules) for name, modules in modules_by_package().items()}
    assert {name: n for name, n in crowded.items() if n > MAX_MODULES} == {}


def test_the_trainer_opens_with_its_story() -> None:
    top = modules_by_package()["workloads/pretrain_workloads/trainer"]
    assert set(top) == TRAINER_STORY


def test_the_name_of_a_type_has_one_meaning() -> None:
    assert homonyms() == {}


def test_no_function_of_the_control_plane_takes_more_than_four_parameters() -> None:
    """More than four mean that a type is missing."""
    folders = ("operator/", "crds/")
    counts = {name: parameters(node) for name, node in functions() if name.startswith(folders)}
    assert {name: n for name, n in counts.items() if n > MAX_PARAMETERS} == {}


def test_operator_and_api_are_tested_line_for_line() -> None:
    code, tests, _ = lines_of_tests()
    assert tests >= MIN_TEST_RATIO * code


def test_no_file_is_named_for_nothing() -> None:
    vague = {"utils.py", "util.py", "common.py", "common_utils.py", "misc.py", "helpers.py"}
    assert not [path for path in MODULES if path.name in vague]


def test_every_dependency_is_pinned_in_the_constraints_too() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [
        g for g in project["dependency-groups"]["test"] + project["dependency-groups"]["lint"]
    ]
    wanted = project["project"]["dependencies"] + groups
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    pins = {_canonical(line) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    for requirement in wanted:
        assert _canonical(re.sub(r"\[.*\]", "", requirement)) in pins, requirement


def test_constraints_name_no_host() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert "//" not in text
    assert "@" not in text


def test_every_module_says_what_it_is_for() -> None:
    silent = [p for p in MODULES if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))]
    assert not silent


def test_shell_scripts_are_valid() -> None:
    for script in (ROOT / ".ci").iterdir():
        subprocess.run(["bash", "-n", str(script)], check=True)


def _canonical(requirement: str) -> str:
    return requirement.split("#")[0].strip().lower().replace("_", "-")

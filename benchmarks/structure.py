"""Measure the structure: what a reconcile touches, what a package holds, how much is tested.

`python benchmarks/structure.py` prints one table. The figures that must hold are tests:
`tests/unit/test_layout.py`.
"""

import ast
import asyncio
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from simulation import Simulation  # noqa: E402

OPERATOR = str(ROOT / "operator" / "pretrain_operator")
PACKAGES = {
    "pretrain_api": "crds",
    "pretrain_operator": "operator",
    "pretrain_workloads": "workloads",
    "pretrain_local": "local",
}
FIELDS = {
    "training.optimizer.gradientClip": "gradient_clip|gradientClip",
    "a data rule: repetition": "repetition:|RepetitionRule",
}


class Touched:
    """Functions of the operator that ran, by module."""

    def __init__(self) -> None:
        self.functions: defaultdict[str, set[str]] = defaultdict(set)

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Take note of a call."""
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(OPERATOR):
            module = code.co_filename.removeprefix(OPERATOR + "/")
            if code.co_name != "<module>":
                self.functions[module].add(code.co_qualname)

    def count(self, *, planner: bool) -> tuple[int, int]:
        """Return modules and functions, with the planner's or without."""
        kept = {m: f for m, f in self.functions.items() if planner or not m.startswith("planner/")}
        return len(kept), sum(len(functions) for functions in kept.values())


@contextmanager
def tracing() -> Iterator[Touched]:
    """Trace the functions of the operator, in all threads that start meanwhile."""
    touched = Touched()
    threading.setprofile(touched)
    sys.setprofile(touched)
    try:
        yield touched
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


async def reconciles() -> dict[str, Touched]:
    """Return what the reconciles of a whole chain touch: each kind's first, and while it runs."""
    simulation = Simulation()
    simulation.apply("ComputeProfile", "cpu")
    await simulation.start_operator()
    found = {}
    chain = {"DataPipeline": "documents", "Tokenizer": "tokens", "TokenDataset": "blocks"}
    for kind, name in {"ComputeProfile": "cpu", **chain, "PretrainJob": "run"}.items():
        if kind != "ComputeProfile":
            simulation.apply(kind, name)
        with tracing() as touched:
            await simulation.reconcile(kind, name)
        found[f"{kind}, first"] = touched
        if kind != "ComputeProfile":
            simulation.pods.step()
            with tracing() as touched:
                await simulation.reconcile(kind, name)
            found[f"{kind}, running"] = touched
        await simulation.run()
        if kind != "ComputeProfile":
            with tracing() as touched:
                await simulation.reconcile(kind, name)
            found[f"{kind}, settled"] = touched
    return found


def modules(package: str) -> list[Path]:
    """Return the modules of a package and of those below it."""
    return sorted((ROOT / PACKAGES[package] / package).rglob("*.py"))


def crowded() -> list[tuple[str, int]]:
    """Return all packages with their number of modules, fullest first."""
    count: defaultdict[str, int] = defaultdict(int)
    for package in PACKAGES:
        for path in modules(package):
            if path.name != "__init__.py":
                count[str(path.parent.relative_to(ROOT))] += 1
    return sorted(count.items(), key=lambda item: -item[1])


def homonyms() -> list[str]:
    """Return public classes whose name another package has, too."""
    places = defaultdict(set)
    for package in PACKAGES:
        for path in modules(package):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].add(path.parent)
    return sorted(name for name, folders in places.items() if len(folders) > 1)


def lines(paths: list[Path]) -> int:
    """Return the lines of files."""
    return sum(path.read_text(encoding="utf-8").count("\n") for path in paths)


def main() -> None:
    """Print the table."""
    print(f"{'a reconcile of':<28}{'modules':>8}{'functions':>11}   without the planner")
    for name, touched in asyncio.run(reconciles()).items():
        every, own = touched.count(planner=True), touched.count(planner=False)
        print(f"{name:<28}{every[0]:>8}{every[1]:>11}   {own[0]:>3}{own[1]:>5}")
    print("fullest packages:", ", ".join(f"{name} {n}" for name, n in crowded()[:5]))
    print("class names with two meanings:", len(homonyms()), *homonyms())


if __name__ == "__main__":
    main()

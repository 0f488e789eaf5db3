"""Measure the structure: what a reconcile touches, what a field touches, what a package holds.

What must hold of it is asserted in `tests/unit/test_layout.py`.
"""

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
from structure_measures import (  # noqa: E402
    files_with,
    homonyms,
    lines_of_tests,
    modules_by_package,
)

OPERATOR = str(ROOT / "operator" / "pretrain_operator") + "/"
CHAIN = {
    "ComputeProfile": "cpu",
    "DataPipeline": "documents",
    "Tokenizer": "tokens",
    "TokenDataset": "blocks",
    "PretrainJob": "run",
}
FIELD = "gradient_clip|gradientClip"


class Touched:
    """Functions of the operator that ran, by module."""

    def __init__(self) -> None:
        self.functions: defaultdict[str, set[str]] = defaultdict(set)

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Record a call."""
        code = frame.f_code
        is_ours = event == "call" and code.co_filename.startswith(OPERATOR)
        if is_ours and code.co_name != "<module>":
            module = code.co_filename.removeprefix(OPERATOR)
            # The watch calls back into the controller while a write is answered: that is no
            # part of the reconcile.
            if not module.startswith(("reconcile/controller", "reconcile/queue")):
                self.functions[module].add(code.co_qualname)

    def count(self, *, with_planner: bool) -> tuple[int, int]:
        """Return the modules and functions, with those of the planner or without."""
        kept = {
            module: functions
            for module, functions in self.functions.items()
            if with_planner or not module.startswith("planner/")
        }
        return len(kept), sum(len(functions) for functions in kept.values())


@contextmanager
def tracing() -> Iterator[Touched]:
    """Trace the functions of the operator, also in threads that start meanwhile."""
    touched = Touched()
    threading.setprofile(touched)
    sys.setprofile(touched)
    try:
        yield touched
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


async def reconciles() -> dict[str, Touched]:
    """Return what the reconciles of a whole chain touch: the first, a later one, the last."""
    simulation = Simulation()
    await simulation.start_operator()
    found: dict[str, Touched] = {}

    async def trace(moment: str, kind: str) -> None:
        with tracing() as touched:
            await simulation.reconcile(kind, CHAIN[kind])
        found[f"{kind}, {moment}"] = touched

    for kind, name in CHAIN.items():
        simulation.apply(kind, name)
        await trace("first", kind)
        if simulation.pods.step():
            await trace("running", kind)
        await simulation.run()
        await trace("settled", kind)
    return found


def main() -> None:
    """Print the measures."""
    write = sys.stdout.write
    write(f"{'reconcile of a':<26}{'modules':>8}{'functions':>10}   without the planner\n")
    for name, touched in asyncio.run(reconciles()).items():
        (modules, functions), own = (
            touched.count(with_planner=True),
            touched.count(with_planner=False),
        )
        write(f"{name:<26}{modules:>8}{functions:>10}   {own[0]:>7}{own[1]:>10}\n")
    packages = sorted(modules_by_package().items(), key=lambda item: -len(item[1]))
    write("\nmodules in the fullest packages:\n")
    for package, names in packages[:6]:
        write(f"  {len(names):>3} {package}\n")
    write(f"class names with two meanings: {len(homonyms())} {sorted(homonyms())}\n")
    code, tests, helpers = lines_of_tests()
    ratio, with_helpers = tests / code, (tests + helpers) / code
    write(f"operator and API: {code} lines, tests {ratio:.2f}, with helpers {with_helpers:.2f}\n")
    write("files that know training.optimizer.gradientClip:\n")
    for path in files_with(FIELD):
        write(f"  {path}\n")


if __name__ == "__main__":
    main()

"""Score the planner on measured runs: `make bench-planner`, also on rows it has never seen."""

import argparse
import csv
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import planner_memory_rows
import planner_time_rows
from planner_baselines import constant_mfu_seconds, megatron_estimate
from planner_korthikanti import korthikanti_matches
from planner_memory_rows import Unscorable

from pretrain_operator.planner.estimates.memory import admitted_bytes, peak_memory, peak_rank
from pretrain_operator.planner.estimates.speeds import speeds_of
from pretrain_operator.planner.estimates.step_time import step_time

DATA = Path(__file__).parent / "data"


@dataclass
class Scores:
    """Errors of one group of rows: predicted over measured, less one."""

    memory: list[float] = field(default_factory=list)
    memory_of_megatron: list[float] = field(default_factory=list)
    time: list[float] = field(default_factory=list)
    time_of_constant_mfu: list[float] = field(default_factory=list)
    failed: list[bool] = field(default_factory=list)
    """For each row that ran out of memory: whether the planner calls it infeasible."""

    def summary(self) -> dict[str, float | int | None]:
        """Return the numbers that are reported."""
        return {
            "memory_rows": len(self.memory),
            "memory_median_error": _median(self.memory),
            "memory_worst_under_estimate": max([0.0, *(-e for e in self.memory)])
            if self.memory
            else None,
            "step_time_rows": len(self.time),
            "step_time_median_error": _median(self.time),
            "step_time_p90_error": _p90(self.time),
            "out_of_memory_rows": len(self.failed),
            "out_of_memory_called_infeasible": sum(self.failed),
        }


class Benchmark:
    """Scores by group, and the rows without one."""

    def __init__(self) -> None:
        self.groups: dict[str, Scores] = defaultdict(Scores)
        self.unscored: list[tuple[str, str]] = []

    def memory_rows(self, rows: Iterable[dict[str, str]]) -> None:
        """Score peak memory on the last pipeline rank, which is the one that was measured."""
        for row in rows:
            name = f"{row.get('test_case')} ({row.get('env')}, {row.get('platform')})"
            try:
                run, measured = planner_memory_rows.read(row)
            except (Unscorable, ValueError, KeyError) as reason:
                self.unscored.append((name, _reason(reason)))
                continue
            scores = self.groups[f"memory:{row.get('model_family')}:{row.get('platform')}"]
            predicted = peak_memory(run, run.layout.pipeline - 1).total
            scores.memory.append(predicted / measured - 1)
            scores.memory_of_megatron.append(megatron_estimate(run) / measured - 1)

    def time_rows(self, rows: Sequence[dict[str, str]]) -> None:
        """Score step time, and memory where it was measured or ran out."""
        timed = []
        for row in rows:
            try:
                published = planner_time_rows.read(row)
                self._memory_of(row, published)
                if row.get("feasible") == "no":
                    continue
                seconds = planner_time_rows.measured_seconds(row, published)
                timed.append((row, published, seconds))
            except (Unscorable, ValueError, KeyError) as reason:
                self.unscored.append((row.get("id", "?"), _reason(reason)))
        guesses = constant_mfu_seconds([(published, seconds) for _, published, seconds in timed])
        for (row, published, seconds), guess in zip(timed, guesses, strict=True):
            predicted = step_time(published.run, speeds_of(published.device)).total
            scores = self.groups[_time_group(row)]
            scores.time.append(predicted / seconds - 1)
            scores.time_of_constant_mfu.append(guess / seconds - 1)

    def _memory_of(self, row: dict[str, str], published: planner_time_rows.PublishedRun) -> None:
        measured = planner_time_rows.measured_memory(row)
        failed = row.get("feasible") == "no"
        if not failed and measured is None:
            return
        _, memory = peak_rank(published.run)
        scores = self.groups[_time_group(row)]
        if failed:
            # Published runs did not say that they set expandable segments.
            limit = admitted_bytes(published.device.memory, has_expandable_segments=False)
            scores.failed.append(memory.total > limit)
        elif measured is not None:
            scores.memory.append(memory.total / measured - 1)

    def total(self) -> Scores:
        """Return all groups as one."""
        every = Scores()
        for scores in self.groups.values():
            for name in vars(every):
                getattr(every, name).extend(getattr(scores, name))
        return every


def main() -> None:
    """Read the rows, print the tables, end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time-rows", type=Path, help="unset: the fit data, if both are unset")
    parser.add_argument("--memory-rows", type=Path, help="likewise")
    arguments = parser.parse_args()
    time_rows, memory_rows = arguments.time_rows, arguments.memory_rows
    if time_rows is None and memory_rows is None:
        time_rows, memory_rows = DATA / "planner_fit.csv", DATA / "planner_fit_memory.csv"
    benchmark = Benchmark()
    benchmark.memory_rows(_rows(memory_rows))
    benchmark.time_rows(_rows(time_rows))
    matches = korthikanti_matches()
    _print_unscored(benchmark.unscored)
    _print_groups(benchmark)
    print(f"Korthikanti et al.: {matches} of 12 values exact to four decimals")
    groups = {name: scores.summary() for name, scores in sorted(benchmark.groups.items())}
    result = benchmark.total().summary() | {
        "not_scored_rows": len(benchmark.unscored),
        "korthikanti_exact": matches,
        "groups": groups,
    }
    print(json.dumps(result))


def _rows(path: Path | None) -> list[dict[str, str]]:
    if path is None:
        return []
    with path.open(encoding="utf-8", newline="") as lines:
        return [{k: v or "" for k, v in row.items() if k} for row in csv.DictReader(lines)]


def _time_group(row: dict[str, str]) -> str:
    return f"time:{row.get('group')}:{row.get('gpu')}:{row.get('precision')}"


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, Unscorable) else f"unreadable: {error!r}"


def _print_unscored(unscored: Sequence[tuple[str, str]]) -> None:
    print(f"{len(unscored)} rows without a score:")
    for name, reason in unscored:
        print(f"  {name}: {reason}")


def _print_groups(benchmark: Benchmark) -> None:
    head = ("group", "rows", "memory", "under", "Megatron's", "rows", "time", "p90", "constant MFU")
    print("{:58} {:>5} {:>7} {:>7} {:>11} {:>5} {:>7} {:>7} {:>13}".format(*head))
    named = [*sorted(benchmark.groups.items()), ("all", benchmark.total())]
    for name, scores in named:
        shown = scores.summary()
        cells = (
            shown["memory_median_error"],
            shown["memory_worst_under_estimate"],
            _median(scores.memory_of_megatron),
            shown["step_time_median_error"],
            shown["step_time_p90_error"],
        )
        one, two, three, four, five = (_percent(cell) for cell in cells)
        six = f"{_percent(_median(scores.time_of_constant_mfu))}/"
        six += _percent(_p90(scores.time_of_constant_mfu))
        print(
            f"{name:58} {len(scores.memory):5} {one:>7} {two:>7} {three:>11}"
            f" {len(scores.time):5} {four:>7} {five:>7} {six:>13}"
        )
    failed = benchmark.total().failed
    print(f"out-of-memory rows called infeasible: {sum(failed)} of {len(failed)}")


def _percent(value: float | int | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _median(errors: Sequence[float]) -> float | None:
    return statistics.median(abs(e) for e in errors) if errors else None


def _p90(errors: Sequence[float]) -> float | None:
    if not errors:
        return None
    ordered = sorted(abs(e) for e in errors)
    return ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]


if __name__ == "__main__":
    main()

"""Time a full search of layouts: Llama 3 405B on 16,384 H100, on one core."""

import statistics
import time

from pretrain_api.profiles import DEVICES
from pretrain_operator.planner.estimates.devices import speeds_of
from pretrain_operator.planner.estimates.memory import admitted_bytes
from pretrain_operator.planner.estimates.setup import Model, Recompute, Work
from pretrain_operator.planner.layouts import Room, legal_layouts, search
from pretrain_operator.planner.layouts import _search as cached

MODEL = Model(126, 16384, 53248, 128, 8, 128, 128_256)
DEVICE = DEVICES["h100"]
ROUNDS = 5


def forget() -> None:
    """Drop what the search remembers, so that every round searches."""
    cached.cache_clear()


def main() -> None:
    """Print how many layouts are compared, and the time that it takes."""
    room = Room(16_384, 8, admitted_bytes(DEVICE.memory), speeds_of(DEVICE))
    modes: tuple[Recompute, ...] = ("none", "selective", "full")
    for recompute in modes:
        work = Work(1, 2048, 8192, recompute)
        legal = sum(1 for _ in legal_layouts(MODEL, work, room))
        times = []
        for _ in range(ROUNDS):
            forget()
            start = time.process_time()
            found = search(MODEL, work, room)
            times.append(time.process_time() - start)
        best = found[0]
        print(
            f"recompute {recompute:9}: {legal} legal layouts, {len(found)} fit;"
            f" {statistics.median(times):.3f} s of CPU; best tensor {best.layout.tensor},"
            f" pipeline {best.layout.pipeline}, context {best.layout.context}: {best.seconds:.2f} s"
        )


if __name__ == "__main__":
    main()

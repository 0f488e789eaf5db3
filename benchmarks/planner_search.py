"""Time a full search of layouts: Llama 3 405B on 16,384 H100, on one core."""

import statistics
import time

from pretrain_api.formulas.model_shapes import ModelShape
from pretrain_api.profiles import DEVICES
from pretrain_api.v1alpha1.training import Recompute
from pretrain_operator.planner.device_budget import DeviceBudget
from pretrain_operator.planner.estimates.memory import admitted_bytes
from pretrain_operator.planner.estimates.speeds import speeds_of
from pretrain_operator.planner.estimates.step_shape import StepShape
from pretrain_operator.planner.legal_layouts import legal_layouts
from pretrain_operator.planner.search import search

MODEL = ModelShape(126, 16384, 53248, 128, 8, 128, 128_256)
DEVICE = DEVICES["h100"]
ROUNDS = 5


def main() -> None:
    """Print how many layouts are compared, and the time that it takes."""
    budget = DeviceBudget(
        world_size=16_384,
        devices_per_node=8,
        memory_bytes=admitted_bytes(DEVICE.memory),
        speeds=speeds_of(DEVICE),
    )
    modes: tuple[Recompute, ...] = ("none", "selective", "full")
    for recompute in modes:
        step = StepShape(1, 2048, 8192, recompute)
        legal = sum(1 for _ in legal_layouts(MODEL, step, budget))
        times = []
        for _ in range(ROUNDS):
            search.cache_clear()
            start = time.process_time()
            candidates = search(MODEL, step, budget)
            times.append(time.process_time() - start)
        best = candidates[0]
        print(
            f"recompute {recompute:9}: {legal} legal layouts, {len(candidates)} fit;"
            f" {statistics.median(times):.3f} s of CPU; best tensor {best.layout.tensor},"
            f" pipeline {best.layout.pipeline}, context {best.layout.context}: {best.seconds:.2f} s"
        )


if __name__ == "__main__":
    main()

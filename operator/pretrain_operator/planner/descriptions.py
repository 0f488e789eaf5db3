"""Layouts and amounts of memory as words of a message."""

from collections.abc import Mapping

from pretrain_api.v1alpha1.parallelism import ParallelismSpec
from pretrain_operator.planner.estimates.layout import Layout

DEGREES = {
    "tensor": "tensor",
    "pipeline": "pipeline",
    "virtualPipeline": "virtual",
    "context": "context",
    "expert": "expert",
}
"""Degrees that the planner chooses: field of a manifest, and attribute of a layout."""


def degrees(layout: Layout) -> list[str]:
    """Return the degrees that are not 1, each in the words of a manifest: `tensor 8`."""
    return _above_one({name: getattr(layout, attribute) for name, attribute in DEGREES.items()})


def parallelism_text(parallelism: ParallelismSpec) -> str:
    """Return the degrees that are not 1 and the switches that are on, as a manifest names them."""
    sizes = {
        "tensor": parallelism.tensor,
        "pipeline": parallelism.pipeline,
        "virtualPipeline": parallelism.virtual_stages,
        "context": parallelism.context,
        "expert": parallelism.expert,
    }
    switches = {
        "sequence": parallelism.sequence,
        "countEmbedding": parallelism.count_embedding,
        "countLoss": parallelism.count_loss,
    }
    words = [*_above_one(sizes), *(name for name, is_on in switches.items() if is_on)]
    if words:
        return ", ".join(words)
    devices = parallelism.nodes * (parallelism.gpus_per_node or 1)
    return f"data parallel {devices}" if devices > 1 else "one device"


def gib(size_bytes: float) -> str:
    """Return an amount of memory in GiB."""
    return f"{size_bytes / 2**30:.1f} GiB"


def duration_text(seconds: float) -> str:
    """Return a duration in the largest unit of which there are two."""
    for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} seconds"


def _above_one(sizes: Mapping[str, int]) -> list[str]:
    return [f"{name} {size}" for name, size in sizes.items() if size > 1]

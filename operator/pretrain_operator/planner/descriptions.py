"""Layouts and amounts of memory as words of a message."""

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
    sizes = {name: int(getattr(layout, attribute)) for name, attribute in DEGREES.items()}
    return [f"{name} {size}" for name, size in sizes.items() if size > 1]


def gib(size_bytes: float) -> str:
    """Return an amount of memory in GiB."""
    return f"{size_bytes / 2**30:.1f} GiB"

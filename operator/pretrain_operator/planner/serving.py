"""Which devices can serve the model that a run will export: a hint, before the run."""

from pretrain_api.profiles import DEVICES

_OVERHEAD = 1.2
"""Key-value cache and workspace over the bf16 weights, for a few requests at a time."""

_USABLE = 0.92
"""Of a card's memory."""
_CARDS = (1, 2, 4, 8)
_NEAR = 1.25
"""Half of the cards are a near miss if the model needs at most this much of their memory."""


def serving_hint(parameters: int) -> str:
    """Return one line: the fewest cards of each known device that serve it, and near misses."""
    needed = 2 * parameters * _OVERHEAD
    fits: list[str] = []
    short: list[str] = []
    for device in DEVICES.values():
        if not device.memory:
            continue
        usable = device.memory * _USABLE
        cards = next((n for n in _CARDS if n * usable >= needed), None)
        if cards is not None:
            fits.append(f"{cards} × {device.name}")
        if cards is not None and cards > 1 and needed <= cards / 2 * usable * _NEAR:
            short.append(f"{cards // 2} × {device.name}")
    line = f"the exported model needs about {needed / 1e9:.1f} GB to be served in bf16"
    line += f": {', '.join(fits)}" if fits else ": more than 8 of any known card"
    return line + (f"; just too large for {', '.join(short)}" if short else "")

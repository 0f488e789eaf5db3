"""The fitted constants, read once from `constants.toml`."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files

_TABLES = tomllib.loads(files(__package__).joinpath("constants.toml").read_text("utf-8"))


@dataclass(frozen=True)
class MemoryConstants:
    """Constants of the memory formulas, in bytes."""

    base_bytes: float
    logit_bytes: float
    dispatch_bytes: float
    plain_softmax_bytes: float


MEMORY = MemoryConstants(**_TABLES["memory"])

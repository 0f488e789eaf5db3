"""Finds the ranks that a rank lost its connection to."""

import os
import re
import time

_SOURCE_PREFIX = re.compile(r"^\[[^\]]*\]\s*")
"""Source file and line of the library, at the start of a message."""

_POLL_SECONDS = 0.1
ANSWER_SECONDS = 2.0
"""How long a rank that lost a peer waits for an answer of the other ranks."""


def describe_lost_peers(error: str) -> str:
    """Return the message of a rank that lost a peer: the silent ranks, and torch's own `error`."""
    reason = _SOURCE_PREFIX.sub("", error).partition(". ")[0][:200]
    silent = _silent_ranks()
    if not silent:
        return f"lost the connection to a rank of this node: {reason}"
    per_node = int(os.environ["LOCAL_WORLD_SIZE"])
    names = ", ".join(f"rank {rank} on node {rank // per_node}" for rank in silent[:4])
    more = f" and {len(silent) - 4} more" if len(silent) > 4 else ""
    return f"lost the connection to {names}{more}: {reason}"


def _silent_ranks() -> list[int]:
    """Return the ranks of other nodes that do not answer.

    Every rank that lost a peer sets a key in the store of pod 0 and polls the keys of the others.
    Ranks of the own node are left out: they may not have noticed yet, and their launcher knows
    whether they are alive. If the store is gone, pod 0 is lost.
    """
    import torch

    if not torch.distributed.is_initialized():
        return []
    rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    per_node = int(os.environ["LOCAL_WORLD_SIZE"])
    silent = {n for n in range(world_size) if n // per_node != rank // per_node}
    try:
        store = torch.distributed.distributed_c10d._get_default_store()
        store.set(f"alive/{rank}", "1")
        deadline = time.monotonic() + ANSWER_SECONDS
        while silent and time.monotonic() < deadline:
            silent -= {n for n in silent if store.check([f"alive/{n}"])}
            time.sleep(_POLL_SECONDS)
    except (RuntimeError, OSError):
        return [0] if rank >= per_node else []
    return sorted(silent)

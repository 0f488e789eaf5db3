"""The roll call of the pods of an attempt, before any rank starts."""

import time
from datetime import timedelta

_POLL_SECONDS = 0.5


class NotJoined(Exception):
    """Pods of the attempt did not appear in time, or pod 0 cannot be reached; time may heal it."""


def call_roll(
    address: str, port: int, node: int, nodes: int, run_id: str, seconds: float
) -> object:
    """Wait until all pods of the attempt have joined, and return what keeps pod 0's store alive.

    Raises:
        NotJoined: If some did not within `seconds`; it names them.
    """
    from torch._C._distributed_c10d import PrefixStore, TCPStore

    deadline = time.monotonic() + seconds
    try:
        server = TCPStore(
            address,
            port,
            world_size=nodes,
            is_master=node == 0,
            timeout=timedelta(seconds=seconds),
            wait_for_workers=False,
            multi_tenant=True,  # torchrun's agent in this process shares it
        )
    except RuntimeError as error:
        raise NotJoined(_explain(str(error), address, port, seconds)) from error
    store = PrefixStore(f"roll-call/{run_id}", server)
    store.set(str(node), "here")
    missing = set(range(nodes))
    while missing := {number for number in missing if not store.check([str(number)])}:
        if time.monotonic() >= deadline:
            raise NotJoined(
                f"{_named(sorted(missing))} of {nodes} did not join within {seconds:.0f} s "
                "(spec.recovery.startWithin); see whether they were scheduled, and whether their "
                "images could be pulled"
            )
        time.sleep(_POLL_SECONDS)
    return server


def _named(numbers: list[int]) -> str:
    names = ", ".join(map(str, numbers[:8]))
    more = f" and {len(numbers) - 8} more" if len(numbers) > 8 else ""
    return f"pod{'s' if len(numbers) > 1 else ''} {names}{more}"


def _explain(error: str, address: str, port: int, seconds: float) -> str:
    if "EADDRINUSE" in error or "address already in use" in error:
        return (
            f"port {port} of pod 0 is in use by another process of its node; the next attempt "
            "takes another port"
        )
    return (
        f"pod 0 does not answer at {address}, port {port}, within {seconds:.0f} s "
        "(spec.recovery.startWithin); see its log, and whether a NetworkPolicy forbids the port"
    )

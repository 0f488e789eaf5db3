"""The roll call of the pods of an attempt, before any rank starts."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

_POLL_SECONDS = 0.5


class NotJoined(Exception):
    """Pods of the attempt did not appear in time, or pod 0 cannot be reached; time may heal it."""


@dataclass(frozen=True)
class RollCall:
    """Who is expected where."""

    address: str
    """Address of pod 0."""
    port: int
    node: int
    """Number of this pod."""
    nodes: int
    run_id: str
    seconds: float
    """Longest time until all pods have joined."""


def call_roll(call: RollCall, is_stopped: Callable[[], bool]) -> object:
    """Wait until all pods of the attempt have joined, and return what keeps pod 0's store alive.

    Raises:
        NotJoined: If some did not in time, which it names; if pod 0 is lost; if the pod is asked
            to end.
    """
    try:
        return _call_roll(call, is_stopped)
    except RuntimeError as error:  # torch's one class for what goes wrong on the network
        raise NotJoined(_explain(str(error), call)) from error


def _call_roll(call: RollCall, is_stopped: Callable[[], bool]) -> object:
    from torch._C._distributed_c10d import PrefixStore, TCPStore

    deadline = time.monotonic() + call.seconds
    server = TCPStore(
        call.address,
        call.port,
        world_size=call.nodes,
        is_master=call.node == 0,
        timeout=timedelta(seconds=call.seconds),
        wait_for_workers=False,
        multi_tenant=True,  # torchrun's agent in this process shares it
    )
    store = PrefixStore(f"roll-call/{call.run_id}", server)
    store.set(str(call.node), "here")
    missing = set(range(call.nodes))
    while missing := {number for number in missing if not store.check([str(number)])}:
        if is_stopped():
            raise NotJoined(f"{_named(sorted(missing))} of {call.nodes} had not joined yet")
        if time.monotonic() >= deadline:
            raise NotJoined(
                f"{_named(sorted(missing))} of {call.nodes} did not join within "
                f"{call.seconds:.0f} s "
                "(spec.recovery.startWithin); see whether they were scheduled, and whether their "
                "images could be pulled"
            )
        time.sleep(_POLL_SECONDS)
    return server


def _named(numbers: list[int]) -> str:
    names = ", ".join(map(str, numbers[:8]))
    more = f" and {len(numbers) - 8} more" if len(numbers) > 8 else ""
    return f"pod{'s' if len(numbers) > 1 else ''} {names}{more}"


def _explain(error: str, call: RollCall) -> str:
    if "EADDRINUSE" in error or "address already in use" in error:
        return (
            f"port {call.port} of pod 0 is in use by another process of its node; the next attempt "
            "takes another port"
        )
    return (
        f"pod 0 does not answer at {call.address}, port {call.port}, before all pods have joined; "
        "see its log, and whether a NetworkPolicy forbids the port"
    )

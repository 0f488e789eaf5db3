"""Heartbeats: each rank says until when it will be heard of again; the launcher ends a hang.

All ranks beat whenever they have met in a collective, so that one that is stuck stops the beats of
all. On a hang, the launcher asks every rank where it is.
"""

import faulthandler
import logging
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

_SUFFIX = ".stacks"
_ANSWER_SECONDS = 3.0
"""How long ranks may take to write their stacks."""
_FORK_SECONDS, _POLL_SECONDS = 30.0, 0.005
_OUTSIDE = ("/site-packages/", "/dist-packages/", "/lib/python")
"""Parts of the paths of files that are not the trainer's own."""


class Heartbeat:
    """Writes the heartbeats of one rank.

    Args:
        folder: The folder of all heartbeats of the pod.
        rank: The rank.
        seconds: Longest time between two beats.
    """

    def __init__(self, folder: Path, rank: int, seconds: float) -> None:
        self._seconds = seconds
        # Both stay open while the process lives.
        self._file = os.open(folder / str(rank), os.O_WRONLY | os.O_CREAT)
        stacks = os.open(folder / f"{rank}{_SUFFIX}", os.O_WRONLY | os.O_CREAT)
        faulthandler.register(signal.SIGUSR1, stacks, all_threads=True)
        self.beat()

    def beat(self) -> None:
        """Promise the next beat within the usual time."""
        self.expect(self._seconds)

    def expect(self, seconds: float) -> None:
        """Promise the next beat within so many seconds; infinity for work without collectives."""
        text = f"{os.getpid()} {time.monotonic() + seconds:<20}"
        os.pwrite(self._file, text.encode(), 0)


@dataclass(frozen=True)
class RankBeat:
    """The newest heartbeat of a rank."""

    rank: int
    process: int
    """Its process id."""
    deadline: float
    """When the next one is due, by the monotonic clock."""


def read_beats(folder: Path) -> list[RankBeat]:
    """Return the newest heartbeats of all ranks of the pod, ordered by rank."""
    beats = []
    for path in folder.glob("*"):
        parts = path.read_text().split() if path.name.isdigit() else []
        if len(parts) == 2:
            beats.append(RankBeat(int(path.name), int(parts[0]), float(parts[1])))
    return sorted(beats, key=lambda one: one.rank)


def wait_for_beats(folder: Path, count: int) -> None:
    """Wait until `count` ranks of the pod were heard of, or for `_FORK_SECONDS`.

    Ranks on a CPU are forks of the agent. The first one to connect makes the thread of the agent's
    store work, and a fork made meanwhile would have a copy of every lock that this thread holds,
    which nobody ever releases there. So none connects before all are forked.
    """
    deadline = time.monotonic() + _FORK_SECONDS
    while len(read_beats(folder)) < count and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def find_hang(folder: Path, seconds: float) -> str | None:
    """Return where each rank of the pod is if they got no further for `seconds`, else `None`.

    The stacks of all threads go to the log.
    """
    beats = read_beats(folder)
    if not is_hang(beats, time.monotonic()):
        return None
    stacks = ask_for_stacks(folder, beats)
    for rank, text in stacks.items():
        log.error("rank %d hangs:\n%s", rank, text or "no answer")
    places = "; ".join(f"rank {rank} {place_of(text)}" for rank, text in stacks.items())
    return f"the ranks got no further for {seconds:.0f} s (spec.recovery.stepWithin): {places}"


def is_hang(beats: list[RankBeat], now: float) -> bool:
    """Return whether all ranks should have been heard of, and none was."""
    return bool(beats) and max(one.deadline for one in beats) < now


def ask_for_stacks(folder: Path, beats: list[RankBeat]) -> dict[int, str]:
    """Return the stacks of all threads of each rank; empty for one that does not answer."""
    for one in beats:
        try:
            os.kill(one.process, signal.SIGUSR1)
        except ProcessLookupError:
            continue
    files = {one.rank: folder / f"{one.rank}{_SUFFIX}" for one in beats}
    deadline = time.monotonic() + _ANSWER_SECONDS
    while time.monotonic() < deadline and not all(file.stat().st_size for file in files.values()):
        time.sleep(0.05)
    return {rank: file.read_text(errors="replace") for rank, file in files.items()}


def place_of(stacks: str) -> str:
    """Return where the main thread of a rank is, from the stacks of all its threads.

    That is the innermost frame, and the innermost one of the trainer itself.
    """
    if not stacks.strip():
        return "does not answer: it is stopped, or stuck in a driver"
    # The thread that took the signal is the main one; faulthandler writes it last.
    frames = [line.strip() for line in stacks.split("\n\n")[-1].splitlines()[1:]]
    calls = [_call(line) for line in frames if line.startswith("File ")]
    if not calls:
        return "is in no Python code"
    own = next((call for path, call in calls if not any(part in path for part in _OUTSIDE)), None)
    inner = calls[0][1]
    return f"is in {inner}" if own in (None, inner) else f"is in {inner}, called by {own}"


def _call(frame: str) -> tuple[str, str]:
    """Return path and short text of a frame: `File "…/x.py", line 3 in f`."""
    path, _, rest = frame.removeprefix('File "').partition('", line ')
    line, _, function = rest.partition(" in ")
    return path, f"{function} ({Path(path).name}:{line})"

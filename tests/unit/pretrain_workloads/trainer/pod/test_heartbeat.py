"""Heartbeats: when all ranks are overdue, and where the stacks say that they are."""

import math
import threading
from pathlib import Path

import pytest

from pretrain_workloads.trainer.pod.heartbeat import (
    Heartbeat,
    RankBeat,
    is_hang,
    place_of,
    read_beats,
    wait_for_beats,
)


def test_the_newest_beat_of_each_rank_is_read(tmp_path: Path) -> None:
    first, second = (Heartbeat(tmp_path, rank, 60.0) for rank in (1, 10))
    second.expect(math.inf)
    first.beat()
    beats = read_beats(tmp_path)
    assert [one.rank for one in beats] == [1, 10]
    assert beats[1].deadline == math.inf
    second.beat()
    assert read_beats(tmp_path)[1].deadline < math.inf


def test_a_rank_waits_for_those_that_are_forked_after_it(tmp_path: Path) -> None:
    Heartbeat(tmp_path, 0, 60.0)
    later = threading.Timer(0.1, Heartbeat, [tmp_path, 1, 60.0])
    later.start()
    wait_for_beats(tmp_path, 2)
    assert len(read_beats(tmp_path)) == 2
    later.join()


@pytest.mark.parametrize(
    ("deadlines", "want"),
    [([], False), ([9.0, 9.5], True), ([9.0, 11.0], False), ([9.0, math.inf], False)],
)
def test_a_hang_is_when_every_rank_is_overdue(deadlines: list[float], want: bool) -> None:
    assert is_hang([RankBeat(n, 1, d) for n, d in enumerate(deadlines)], now=10.0) is want


STACKS = """Thread 0x00007f (most recent call first):
  File "/usr/lib/python3.12/threading.py", line 355 in wait

Current thread 0x00007e (most recent call first):
  File "/v/site-packages/torch/distributed/distributed_c10d.py", line 2810 in all_reduce
  File "/v/site-packages/torch/nn/modules/module.py", line 1 in forward
  File "/app/pretrain_workloads/trainer/kernels/attention.py", line 77 in _attend
  File "/app/pretrain_workloads/trainer/rank.py", line 62 in _train
"""


@pytest.mark.parametrize(
    ("stacks", "want"),
    [
        (
            STACKS,
            "is in all_reduce (distributed_c10d.py:2810), called by _attend (attention.py:77)",
        ),
        (
            'Current thread 0x1 (most recent call first):\n  File "/app/a.py", line 3 in read\n',
            "is in read (a.py:3)",
        ),
        ("Current thread 0x1 (most recent call first):\n  <no Python frame>\n", "is in no Python"),
        ("", "does not answer: it is stopped"),
    ],
)
def test_the_place_of_a_rank_is_its_innermost_call_and_that_of_the_trainer(
    stacks: str, want: str
) -> None:
    assert place_of(stacks).startswith(want)

"""The optimizer steps of a run: how many there are, and how many sequences each takes."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from pretrain_api.v1alpha1.training import TrainingSpec


@dataclass(frozen=True)
class BatchPhase:
    """Consecutive steps of one batch size."""

    first_step: int
    """Steps before it."""
    first_sample: int
    """Sequences that the steps before it take."""
    batch_size: int
    """Sequences of each of its steps."""


@dataclass(frozen=True)
class Steps:
    """The optimizer steps of a run, numbered from 0."""

    phases: tuple[BatchPhase, ...]
    count: int
    """How many there are."""
    seq_length: int

    def batch_size(self, step: int) -> int:
        """Return the sequences that `step` takes."""
        return self._phase(step).batch_size

    def samples(self, done: int) -> int:
        """Return the sequences that the first `done` steps take together."""
        phase = self._phase(done)
        return phase.first_sample + (done - phase.first_step) * phase.batch_size

    def tokens(self, done: int) -> int:
        """Return the tokens that the first `done` steps take together."""
        return self.samples(done) * self.seq_length

    def done_at(self, tokens: int) -> int:
        """Return how many whole steps `tokens` are enough for, whether or not the run has them."""
        samples = tokens // self.seq_length
        starts = [phase.first_sample for phase in self.phases]
        phase = self.phases[max(0, bisect_right(starts, samples) - 1)]
        return phase.first_step + (samples - phase.first_sample) // phase.batch_size

    def _phase(self, step: int) -> BatchPhase:
        starts = [phase.first_step for phase in self.phases]
        return self.phases[max(0, bisect_right(starts, step) - 1)]


def steps_of(training: TrainingSpec) -> Steps:
    """Return the steps of a run; the last tokens, too few for another step, are left out.

    A later batch size holds from the first step that begins at its `fromTokens` or after them.
    """
    samples = training.tokens // training.sequence_length
    phases = tuple(phase for phase in _phases(training) if phase.first_sample <= samples)
    last = phases[-1]
    count = last.first_step + (samples - last.first_sample) // last.batch_size
    return Steps(phases, count, training.sequence_length)


def _phases(training: TrainingSpec) -> Iterator[BatchPhase]:
    phase = BatchPhase(0, 0, training.global_batch_size)
    for later in training.batch_schedule or ():
        before = -(-later.from_tokens // training.sequence_length) - phase.first_sample
        steps = max(0, -(-before // phase.batch_size))
        if steps:
            yield phase
        phase = BatchPhase(
            phase.first_step + steps,
            phase.first_sample + steps * phase.batch_size,
            later.global_batch_size,
        )
    yield phase

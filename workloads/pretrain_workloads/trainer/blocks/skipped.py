"""The samples that a run leaves out of its data."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class SkippedSamples:
    """Ranges of samples that a run does not read: those after them take their place."""

    ranges: tuple[range, ...] = ()
    """Not empty, apart from each other, in order."""

    @classmethod
    def of(cls, ranges: Iterable[range]) -> "SkippedSamples":
        """Return the union of any ranges."""
        united: list[range] = []
        for one in sorted((one for one in ranges if one), key=lambda one: one.start):
            if united and one.start <= united[-1].stop:
                last = united.pop()
                one = range(last.start, max(last.stop, one.stop))
            united.append(one)
        return cls(tuple(united))

    def data_sample(self, number: int) -> int:
        """Return which sample of the data is the `number`-th that the run reads."""
        for one in self.ranges:
            if number < one.start:
                break
            number += len(one)
        return number

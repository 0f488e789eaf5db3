"""Which of many patterns a text may match, found in one pass over it by Hyperscan.

Hyperscan approximates what it does not know (look-around, back-references), so a pattern that it
names need not match; one that it does not name cannot.
"""

import re
from functools import lru_cache
from typing import Any


class Prefilter:
    """One database of several patterns.

    Args:
        patterns: The patterns.
    """

    def __init__(self, patterns: tuple[re.Pattern[str], ...]) -> None:
        import hyperscan

        flags = hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_PREFILTER | hyperscan.HS_FLAG_SINGLEMATCH
        self._database: Any = hyperscan.Database()
        self._database.compile(
            expressions=[pattern.pattern.encode() for pattern in patterns],
            ids=list(range(len(patterns))),
            flags=[
                flags | (hyperscan.HS_FLAG_MULTILINE if p.flags & re.M else 0) for p in patterns
            ],
        )

    def candidates(self, text: str) -> set[int]:
        """Return the places of the patterns that may match `text`."""
        found: set[int] = set()
        self._database.scan(text.encode(), match_event_handler=lambda number, *_: found.add(number))
        return found


@lru_cache(maxsize=16)
def prefilter(patterns: tuple[re.Pattern[str], ...]) -> Prefilter:
    """Return the prefilter of `patterns`; compiling one takes a tenth of a second."""
    return Prefilter(patterns)

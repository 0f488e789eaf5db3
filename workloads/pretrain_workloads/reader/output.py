"""Text in the log of a pod, so that its reader knows where it begins and whether all of it came."""

import sys

from pretrain_api.reports import READING_BEGINS, READING_ENDS, ExitClass, ExitReport


def print_text(text: str) -> ExitReport:
    """Print `text` between two lines, and report its size in bytes."""
    content = text.encode()
    for part in (f"{READING_BEGINS}\n".encode(), content, f"\n{READING_ENDS}\n".encode()):
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()
    return ExitReport(exit_class=ExitClass.COMPLETE, counts={"bytes": len(content)})

"""Reads TensorBoard's event files."""

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def read_events(path: Path) -> list[tuple[int, str, float]]:
    """Return the scalars of an event file: records of a length, a checksum, an event, another."""
    content, found = path.read_bytes(), []
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        event = Event.FromString(content[12 : 12 + size])
        found += [(event.step, one.tag, one.simple_value) for one in event.summary.value]
        content = content[16 + size :]
    return found

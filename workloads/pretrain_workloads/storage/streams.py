"""A file on S3 that is open for reading: its errors name it, whenever they come."""

import io
from typing import Any

from pretrain_workloads.storage.errors import translate_errors


class NamedStream(io.RawIOBase):
    """The bytes of a file of fsspec; an error says which file could not be read, and how to go on.

    Args:
        file: The open file.
        uri: Its location, for messages.
        opener: The identity that opened it, for messages.
    """

    def __init__(self, file: Any, uri: str, opener: str) -> None:
        super().__init__()
        self._file, self._uri, self._opener = file, uri, opener

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that any place of it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from the next bytes; return their number, 0 at the end.

        Raises:
            UserError: If access is denied, or the file was deleted meanwhile.
            OSError: If the storage fails, after some tries.
        """
        with translate_errors(self._uri, self._opener):
            return int(self._file.readinto(buffer))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; return its offset."""
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return int(self._file.tell())

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()

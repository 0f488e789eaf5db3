"""The TLS certificate and its key, reloaded without a restart when their files change."""

import asyncio
import logging
import ssl
from pathlib import Path

_LOG = logging.getLogger(__name__)


class Certificate:
    """A TLS context over two files, such as those of a mounted Secret."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._loaded: tuple[int, ...] = ()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.reload()

    def reload(self) -> bool:
        """Load the files if they have changed; return whether they were loaded.

        New connections get the new certificate. While only one of the files has been replaced, they
        do not match, and the old pair stays.
        """
        now = tuple(file.stat().st_mtime_ns for file in self._files)
        if now == self._loaded:
            return False
        try:
            self.context.load_cert_chain(*self._files)
        except ssl.SSLError as error:
            if not self._loaded:
                raise
            _LOG.warning("keeps the last certificate: %s", error)
            return False
        self._loaded = now
        return True

    async def keep_fresh(self, interval_seconds: float) -> None:
        """Check the files periodically, and reload them."""
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                if self.reload():
                    _LOG.info("loaded the new certificate")
            except OSError as error:
                _LOG.warning("keeps the last certificate: %s", error)

"""A blocking client of the API server, for the readiness checks of `up`."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


class AdminClient:
    """A client of the API server at `server` with the administrator's certificate from `pki`."""

    def __init__(self, server: str, pki: Path) -> None:
        self._server = server
        self._context = ssl.create_default_context(cafile=pki / "ca.crt")
        self._context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        handler = urllib.request.HTTPSHandler(context=self._context)
        # The user's HTTP proxy cannot reach loopback addresses of this machine.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), handler)

    def get(self, path: str) -> Any | None:
        """Return the JSON document at `path`, or None if it is absent or the server is not up."""
        try:
            with self._opener.open(self._server + path, timeout=5) as response:
                return json.load(response)
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def is_ready(self) -> bool:
        """Return whether the API server is ready for requests."""
        try:
            with self._opener.open(f"{self._server}/readyz", timeout=5) as response:
                return bool(response.status == 200)
        except (OSError, http.client.HTTPException):
            return False

"""A blocking client of the API server, for the few questions that `up` and `status` ask."""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


class Api:
    """The API server at `server`, as the administrator of the folder `pki`."""

    def __init__(self, server: str, pki: Path) -> None:
        self._server = server
        self._context = ssl.create_default_context(cafile=pki / "ca.crt")
        self._context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        handler = urllib.request.HTTPSHandler(context=self._context)
        # A proxy of the user's is for the network, never for loopback.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), handler)

    def get(self, path: str) -> Any | None:
        """Return the JSON document at `path`, or None if it is absent or no one answers."""
        try:
            with self._opener.open(self._server + path, timeout=5) as answer:
                return json.load(answer)
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def is_ready(self) -> bool:
        """Return whether the API server serves requests."""
        try:
            with self._opener.open(f"{self._server}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, http.client.HTTPException):
            return False

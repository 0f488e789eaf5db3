"""Send objects to a real API server over one connection, as a dry run, and read its response."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config

from pretrain_api.kinds import KINDS
from pretrain_api.meta import API_VERSION, GROUP, VERSION

_PLURALS = {kind.name: kind.plural for kind in KINDS}
_NAMESPACED = {kind.name: kind.namespaced for kind in KINDS}
_VALUE = "Invalid value: "


@dataclass(frozen=True)
class Response:
    """The API server's response to an object."""

    is_accepted: bool
    messages: tuple[str, ...]
    """Field and message of each cause."""


class ApiServer:
    """A client that keeps its connection."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client = config.new_client_from_config(str(kubeconfig))
        self._api = client.CustomObjectsApi(self._client)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def create(self, kind: str, spec: dict[str, Any], dry_run: bool = True) -> Response:
        """Create an object and return the response."""
        body = {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {"name": "subject"},
            "spec": spec,
        }
        path = [GROUP, VERSION, *(["default"] if _NAMESPACED[kind] else []), _PLURALS[kind]]
        create = (
            self._api.create_namespaced_custom_object
            if _NAMESPACED[kind]
            else self._api.create_cluster_custom_object
        )
        options = {"dry_run": "All"} if dry_run else {}
        return _response_of(lambda: create(*path, body, field_validation="Strict", **options))

    def change(self, kind: str, spec: dict[str, Any]) -> Response:
        """Change the spec of the object that was created, as a dry run, and return the response."""
        path = (GROUP, VERSION, "default", _PLURALS[kind], "subject")
        now = self._api.get_namespaced_custom_object(*path)
        body = {**now, "spec": spec}
        return _response_of(
            lambda: self._api.replace_namespaced_custom_object(
                *path, body, dry_run="All", field_validation="Strict"
            )
        )

    def delete(self, kind: str) -> None:
        """Delete the object that was created."""
        if _NAMESPACED[kind]:
            path = (GROUP, VERSION, "default", _PLURALS[kind], "subject")
            self._api.delete_namespaced_custom_object(*path)
        else:
            self._api.delete_cluster_custom_object(GROUP, VERSION, _PLURALS[kind], "subject")


def _response_of(call: Any) -> Response:
    try:
        call()
    except client.ApiException as error:
        if error.status not in (400, 422):
            raise
        causes = json.loads(error.body).get("details", {}).get("causes", [])
        return Response(False, tuple(_message(cause) for cause in causes) or (error.body,))
    return Response(True, ())


def _message(cause: dict[str, str]) -> str:
    return f"{cause.get('field', '')}: {cause.get('message', '').removeprefix(_VALUE)}"

"""Dry-run requests to a real API server, over one connection: whether it accepts an object."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config

from pretrain_api.kinds import KINDS
from pretrain_api.meta import API_VERSION, GROUP, VERSION

_PLURALS = {kind.name: kind.plural for kind in KINDS}
_NAMESPACED = {kind.name: kind.namespaced for kind in KINDS}
NAME = "subject"
"""Name of the objects that are sent."""
_VALUE = "Invalid value: "


@dataclass(frozen=True)
class ApiResponse:
    """Whether the API server accepted an object."""

    is_accepted: bool
    causes: tuple[str, ...]
    """Field and message of each cause of a refusal."""


class ApiServer:
    """A client that keeps its connection."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client = config.new_client_from_config(str(kubeconfig))
        self._api = client.CustomObjectsApi(self._client)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def create(
        self, kind: str, spec: dict[str, Any], dry_run: bool = True, name: str = NAME
    ) -> ApiResponse:
        """Return the response to a new object."""
        body = {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        scope = ["default"] if _NAMESPACED[kind] else []
        path = [GROUP, VERSION, *scope, _PLURALS[kind]]
        create = (
            self._api.create_namespaced_custom_object
            if _NAMESPACED[kind]
            else self._api.create_cluster_custom_object
        )
        options = {"dry_run": "All"} if dry_run else {}
        return _respond(lambda: create(*path, body, field_validation="Strict", **options))

    def change(self, kind: str, spec: dict[str, Any]) -> ApiResponse:
        """Return the response to another spec for the object that `create` stored."""
        path = (GROUP, VERSION, "default", _PLURALS[kind], NAME)
        stored = self._api.get_namespaced_custom_object(*path)
        body = {**stored, "spec": spec}
        return _respond(
            lambda: self._api.replace_namespaced_custom_object(
                *path, body, dry_run="All", field_validation="Strict"
            )
        )

    def delete(self, kind: str) -> None:
        """Delete the object that `create` stored."""
        if _NAMESPACED[kind]:
            path = (GROUP, VERSION, "default", _PLURALS[kind], NAME)
            self._api.delete_namespaced_custom_object(*path)
        else:
            self._api.delete_cluster_custom_object(GROUP, VERSION, _PLURALS[kind], NAME)


def _respond(request: Callable[[], object]) -> ApiResponse:
    try:
        request()
    except client.ApiException as error:
        if error.status not in (400, 422):
            raise
        causes = json.loads(error.body).get("details", {}).get("causes", [])
        return ApiResponse(False, tuple(_format_cause(cause) for cause in causes) or (error.body,))
    return ApiResponse(True, ())


def _format_cause(cause: dict[str, str]) -> str:
    return f"{cause.get('field', '')}: {cause.get('message', '').removeprefix(_VALUE)}"

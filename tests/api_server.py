"""Ask a real API server, over one connection, what it says to an object: nothing is stored."""

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
class Answer:
    """What the API server said."""

    is_accepted: bool
    said: tuple[str, ...]
    """Field and message of each cause."""


class ApiServer:
    """A client that keeps its connection."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client = config.new_client_from_config(str(kubeconfig))
        self._api = client.CustomObjectsApi(self._client)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def create(self, kind: str, spec: dict[str, Any], dry_run: bool = True) -> Answer:
        """Return the answer to a new object."""
        body = {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {"name": "asked"},
            "spec": spec,
        }
        where = [GROUP, VERSION, *(["default"] if _NAMESPACED[kind] else []), _PLURALS[kind]]
        create = (
            self._api.create_namespaced_custom_object
            if _NAMESPACED[kind]
            else self._api.create_cluster_custom_object
        )
        options = {"dry_run": "All"} if dry_run else {}
        return _answer(lambda: create(*where, body, field_validation="Strict", **options))

    def change(self, kind: str, spec: dict[str, Any]) -> Answer:
        """Return the answer to another spec for the object that was created."""
        where = (GROUP, VERSION, "default", _PLURALS[kind], "asked")
        now = self._api.get_namespaced_custom_object(*where)
        body = {**now, "spec": spec}
        return _answer(
            lambda: self._api.replace_namespaced_custom_object(
                *where, body, dry_run="All", field_validation="Strict"
            )
        )

    def delete(self, kind: str) -> None:
        """Delete the object that was created."""
        if _NAMESPACED[kind]:
            where = (GROUP, VERSION, "default", _PLURALS[kind], "asked")
            self._api.delete_namespaced_custom_object(*where)
        else:
            self._api.delete_cluster_custom_object(GROUP, VERSION, _PLURALS[kind], "asked")


def _answer(call: Any) -> Answer:
    try:
        call()
    except client.ApiException as error:
        if error.status not in (400, 422):
            raise
        causes = json.loads(error.body).get("details", {}).get("causes", [])
        return Answer(False, tuple(_said(cause) for cause in causes) or (error.body,))
    return Answer(True, ())


def _said(cause: dict[str, str]) -> str:
    return f"{cause.get('field', '')}: {cause.get('message', '').removeprefix(_VALUE)}"

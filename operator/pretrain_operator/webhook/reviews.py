"""Parse the request of an AdmissionReview, and build its response."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pretrain_api.kinds import KINDS
from pretrain_api.problems import InvalidManifest
from pretrain_api.rules import check_change
from pretrain_operator.admission.objects import object_problems
from pretrain_operator.admission.runs import AdmissionResult
from pretrain_operator.observed.objects import Key

_SPECS = {kind.name: kind.spec for kind in KINDS}


@dataclass(frozen=True)
class ReviewRequest:
    """The request of an AdmissionReview."""

    uid: str
    key: Key
    """Kind, namespace and name of the object, which may be of a foreign kind."""
    spec: Mapping[str, Any]
    """The new spec of the object, unparsed."""
    is_update: bool
    """Whether the object exists already."""
    old_spec: Mapping[str, Any]
    """The current spec of an existing object, unparsed."""
    is_deletion: bool
    """Whether the object is deleted, or is being deleted."""

    @property
    def needs_check(self) -> bool:
        """Return whether the spec has to be checked.

        An update of labels or finalizers is always allowed, even if the spec is invalid.
        """
        is_same = self.is_update and self.spec == self.old_spec
        return self.key.kind in _SPECS and not self.is_deletion and not is_same


def parse_review(value: object) -> ReviewRequest:
    """Return the request of an AdmissionReview.

    Raises:
        InvalidManifest: If `value` is no AdmissionReview.
    """
    request = _map(_map(value).get("request"))
    uid = request.get("uid")
    if not isinstance(uid, str):
        raise InvalidManifest(["the body is no AdmissionReview: request.uid is required"])
    body, operation = _map(request.get("object")), request.get("operation")
    metadata = _map(body.get("metadata"))
    namespace = _text(request, "namespace")
    return ReviewRequest(
        uid=uid,
        key=Key(_text(_map(request.get("kind")), "kind"), namespace, _text(metadata, "name")),
        spec=_map(body.get("spec")),
        is_update=operation == "UPDATE",
        old_spec=_map(_map(request.get("oldObject")).get("spec")),
        is_deletion=operation == "DELETE" or metadata.get("deletionTimestamp") is not None,
    )


def admit_update(request: ReviewRequest) -> AdmissionResult:
    """Return the admission result of an update, checked without the objects that it refers to.

    An existing run has been planned already, and its references cannot change. A change of the
    objects that it refers to is reported by the controller.
    """
    kind = request.key.kind
    problems = object_problems(kind, request.key.name, request.spec)
    try:
        old = _SPECS[kind].model_validate(request.old_spec)
        new = _SPECS[kind].model_validate(request.spec)
    except ValidationError:
        # Invalid types of the new spec are among the problems; an invalid old one may be replaced.
        return AdmissionResult(problems=problems)
    return AdmissionResult(problems=(*problems, *check_change(kind, old, new)))


def build_review(request: ReviewRequest, result: AdmissionResult) -> dict[str, Any]:
    """Return the AdmissionReview with the response to `request`."""
    response: dict[str, Any] = {"uid": request.uid, "allowed": not result.errors}
    if result.errors:
        message = "; ".join(result.errors)
        response["status"] = {"code": 422, "reason": "Invalid", "message": message}
    if warnings := [*result.warnings, *result.missing]:
        response["warnings"] = warnings
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Mapping[str, Any], key: str) -> str:
    text = value.get(key)
    return text if isinstance(text, str) else ""

"""Read an AdmissionReview, and write the answer to it."""

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
class Review:
    """What the API server asks."""

    uid: str
    key: Key
    """Kind, namespace and name of the object; another's kind where it is no concern of ours."""
    spec: Mapping[str, Any]
    """The object's spec, as it was sent."""
    is_change: bool
    """Whether the object exists already."""
    old: Mapping[str, Any]
    """The spec that an existing object has now."""
    is_leaving: bool
    """Whether the object is deleted, or about to be."""

    @property
    def is_concern(self) -> bool:
        """Return whether there is anything to judge.

        Labels and finalizers of an object may always change, whatever is wrong with its spec.
        """
        is_same = self.is_change and self.spec == self.old
        return self.key.kind in _SPECS and not self.is_leaving and not is_same


def parse_review(value: object) -> Review:
    """Return the question in an AdmissionReview.

    Raises:
        InvalidManifest: If `value` is none.
    """
    request = _map(_map(value).get("request"))
    uid = request.get("uid")
    if not isinstance(uid, str):
        raise InvalidManifest(["the body is no AdmissionReview: request.uid is required"])
    found, operation = _map(request.get("object")), request.get("operation")
    metadata = _map(found.get("metadata"))
    namespace = _text(request, "namespace")
    return Review(
        uid=uid,
        key=Key(_text(_map(request.get("kind")), "kind"), namespace, _text(metadata, "name")),
        spec=_map(found.get("spec")),
        is_change=operation == "UPDATE",
        old=_map(_map(request.get("oldObject")).get("spec")),
        is_leaving=operation == "DELETE" or metadata.get("deletionTimestamp") is not None,
    )


def judge_change(review: Review) -> AdmissionResult:
    """Return the verdict on a change of an object.

    A run that exists has been planned, and what it is bound to cannot change: what others say of it
    no longer matters, and the controller tells of it.
    """
    kind = review.key.kind
    problems = object_problems(kind, review.key.name, review.spec)
    try:
        before = _SPECS[kind].model_validate(review.old)
        after = _SPECS[kind].model_validate(review.spec)
    except ValidationError:
        # Wrong types are told of already; what was made under older rules can only get better.
        return AdmissionResult(problems)
    return AdmissionResult((*problems, *check_change(kind, before, after)))


def build_answer(review: Review, verdict: AdmissionResult) -> dict[str, Any]:
    """Return the AdmissionReview that answers."""
    response: dict[str, Any] = {"uid": review.uid, "allowed": not verdict.errors}
    if verdict.errors:
        reason = "; ".join(verdict.errors)
        response["status"] = {"code": 422, "reason": "Invalid", "message": reason}
    if warnings := [*verdict.warnings, *verdict.missing]:
        response["warnings"] = warnings
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""

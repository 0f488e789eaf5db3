"""Names that never change within an API version, and the base model of every API type."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "pretrain.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

RELEASE = "0.1.0"
"""Version of this release: that of the package and the chart, and the tag of its images."""

KIND_LABEL = f"{GROUP}/kind"
"""Label of every child: the kind of the object that owns it, in lower case."""

NAME_LABEL = f"{GROUP}/name"
"""Label of every child: the name of the object that owns it."""

STAGE_LABEL = f"{GROUP}/stage"
"""Label of every child: the stage it runs (`list`, `prepare`, …, `train`)."""

DIGEST_LABEL = f"{GROUP}/digest"
"""Label of every child: the short content digest of what it computes."""

ATTEMPT_LABEL = f"{GROUP}/attempt"
"""Label of the children of a PretrainJob: the number of the attempt they belong to."""

DEFAULT_PROFILE_ANNOTATION = f"{GROUP}/is-default-profile"
"""Annotation (`"true"`) of the ComputeProfile that objects without `profileRef` use."""

RETRY_ANNOTATION = f"{GROUP}/retry"
"""Annotation: a new value (any text) retries a failed object whose spec is unchanged, and resets
its restart budgets. A finished data kind runs again, to read sources that have changed."""

MAX_NAME = 63
"""Characters of the name of an object of ours: as many as a label may have."""

LARGEST_INTEGER = 2**63 - 1
"""Largest integer that the API server stores."""


def _fits(value: int) -> int:
    if value > LARGEST_INTEGER:
        raise ValueError(f"is more than {LARGEST_INTEGER}, the largest integer of Kubernetes")
    return value


Positive = Annotated[int, Field(ge=1), AfterValidator(_fits)]
NonNegative = Annotated[int, Field(ge=0), AfterValidator(_fits)]

Count = NonNegative
"""A number that pods report. The API server rejects the whole status if one is larger."""

PositiveCount = Positive
"""The same, of at least one."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
]
"""A Kubernetes object name that is short enough to be a label value."""

Language = Annotated[str, Field(pattern=r"^[a-z]{2,8}$", max_length=8)]
"""`zh`, `en`, `code`, …: an ISO 639-1 code, or `code` for source code."""


class ApiModel(BaseModel):
    """Immutable, camelCase on the wire, unknown fields rejected.

    A field's docstring is its CRD description, so `kubectl explain` shows what the code says.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        ser_json_inf_nan="null",
    )


class Reference(ApiModel):
    """Another object, by name; in the same namespace where its kind has one."""

    name: Name
    """Name of the object."""


class Location(ApiModel):
    """A place in storage, with the Secret that opens it."""

    uri: Annotated[str, Field(min_length=1, max_length=1024)]
    """`s3://bucket/path`, or `file:///pretrain/...` on a volume that the ComputeProfile mounts."""

    credentials_secret_ref: Reference | None = None
    """Secret with the keys `endpoint`, `accessKey`, `secretKey` and, optionally, `region`.
    Unset means the pod's own identity (or no credentials, for a volume)."""

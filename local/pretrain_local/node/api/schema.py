"""What all types of the API's objects share, and selectors that several of them use."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class ApiType(BaseModel):
    """A type of the Kubernetes API; fields that the node does not use are ignored."""

    # The API server has validated the object already.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )


class FieldSelector(ApiType):
    """A field of the pod itself."""

    field_path: str


class ResourceFieldSelector(ApiType):
    """A limit or request of a container."""

    resource: str
    """Such as `limits.memory`."""
    container_name: str = ""
    """Empty means the container itself."""
    divisor: str | int = "1"


class KeySelector(ApiType):
    """One key of a ConfigMap or Secret."""

    name: str = ""
    key: str
    optional: bool = False


class ObjectSelector(ApiType):
    """All keys of a ConfigMap or Secret."""

    name: str = ""
    optional: bool = False

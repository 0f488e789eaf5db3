"""Resources of the API server, and the paths at which it serves them."""

from dataclasses import dataclass

from pretrain_api.kinds import KINDS
from pretrain_api.meta import API_VERSION


@dataclass(frozen=True)
class Resource:
    """One resource: a kind in an API version."""

    kind: str
    api_version: str
    plural: str
    namespaced: bool = True

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str = ""
    ) -> str:
        """Return the path of one object, or of all objects in a namespace or in the cluster."""
        prefix = "api" if "/" not in self.api_version else "apis"
        parts = [prefix, self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/" + "/".join(parts)


@dataclass(frozen=True)
class ObjectIdentity:
    """Identifies an object on the API server; its UID excludes another object of the same name."""

    resource: Resource
    namespace: str
    """Empty for cluster-scoped kinds."""
    name: str
    uid: str

    def path(self, subresource: str = "") -> str:
        """Return the path of the object."""
        return self.resource.path(self.namespace, self.name, subresource)


OURS = {kind.name: Resource(kind.name, API_VERSION, kind.plural, kind.namespaced) for kind in KINDS}
JOB = Resource("Job", "batch/v1", "jobs")
POD = Resource("Pod", "v1", "pods")
CONFIG_MAP = Resource("ConfigMap", "v1", "configmaps")
SERVICE = Resource("Service", "v1", "services")
SECRET = Resource("Secret", "v1", "secrets")
EVENT = Resource("Event", "v1", "events")
LEASE = Resource("Lease", "coordination.k8s.io/v1", "leases")
NEW_EVENT = Resource("Event", "events.k8s.io/v1", "events")

CHILDREN = {resource.kind: resource for resource in (JOB, CONFIG_MAP, SERVICE)}
"""Resources of the children that the operator creates."""

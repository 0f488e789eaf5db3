"""Resource quantities: capacity of the node, limits and requests of containers."""

from decimal import ROUND_CEILING, Decimal

from pretrain_local.node.api.pods import Container, Pod
from pretrain_local.node.api.schema import ResourceFieldSelector
from pretrain_local.state import NodeResources

GPU = "nvidia.com/gpu"

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(10**3),
    "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
}  # fmt: skip


def parse_resource_quantity(text: str | int) -> Decimal:
    """Return a Kubernetes quantity (`500m`, `1.5Gi`, `1e3`) as a number."""
    text = str(text)
    for length in (2, 1):
        factor = _SUFFIXES.get(text[-length:])
        if factor is not None:
            return Decimal(text[:-length]) * factor
    return Decimal(text)


def build_capacity(resources: NodeResources) -> dict[str, str]:
    """Return the node's capacity as quantities of the API."""
    capacity = {
        "cpu": str(resources.cpus),
        "memory": str(resources.memory_bytes),
        "pods": str(resources.pods),
    }
    return capacity | ({GPU: str(resources.gpus)} if resources.gpus else {})


def memory_limit(container: Container) -> int | None:
    """Return the memory limit of `container`, in bytes; None means no limit."""
    limit = container.resources.limits.get("memory")
    return None if limit is None else int(parse_resource_quantity(limit))


def gpus(container: Container) -> int:
    """Return the number of GPUs of `container`."""
    return int(parse_resource_quantity(container.resources.limits.get(GPU, 0)))


def resource_field(
    selector: ResourceFieldSelector, container: Container, pod: Pod, node: NodeResources
) -> str:
    """Return a limit or request in units of the divisor, rounded up.

    As in Kubernetes, the default of a limit is the node's capacity, that of a request the limit.
    """
    if selector.container_name:
        containers = [*pod.spec.init_containers, *pod.spec.containers]
        container = next(c for c in containers if c.name == selector.container_name)
    kind, _, name = selector.resource.partition(".")
    resources = container.resources
    amount = resources.limits.get(name)
    if kind == "requests":
        amount = resources.requests.get(name, amount if amount is not None else 0)
    elif amount is None:
        amount = {"cpu": node.cpus, "memory": node.memory_bytes}.get(name, 0)
    divisor = parse_resource_quantity(selector.divisor) or Decimal(1)
    return str(int((parse_resource_quantity(amount) / divisor).to_integral_value(ROUND_CEILING)))

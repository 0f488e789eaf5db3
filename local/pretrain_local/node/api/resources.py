"""Amounts of a pod: limits, requests, and the downward API's view of them."""

from decimal import ROUND_CEILING, Decimal

from pretrain_local.node.api.pods import Container, Pod, ResourceRef
from pretrain_local.state import NodeResources

GPU = "nvidia.com/gpu"

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(10**3),
    "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
}  # fmt: skip


def parse_amount(text: str | int) -> Decimal:
    """Return a Kubernetes quantity (`500m`, `1.5Gi`, `1e3`) as a number."""
    text = str(text)
    for length in (2, 1):
        factor = _SUFFIXES.get(text[-length:])
        if factor is not None:
            return Decimal(text[:-length]) * factor
    return Decimal(text)


def build_amounts(resources: NodeResources) -> dict[str, str]:
    """Return the node's capacity as Kubernetes writes it."""
    amounts = {
        "cpu": str(resources.cpus),
        "memory": str(resources.memory_bytes),
        "pods": str(resources.pods),
    }
    return amounts | ({GPU: str(resources.gpus)} if resources.gpus else {})


def memory_limit(container: Container) -> int | None:
    """Return how many bytes `container` may hold; None means no limit."""
    limit = container.resources.limits.get("memory")
    return None if limit is None else int(parse_amount(limit))


def gpus(container: Container) -> int:
    """Return how many GPUs `container` asks for."""
    return int(parse_amount(container.resources.limits.get(GPU, 0)))


def resource_field(
    reference: ResourceRef, container: Container, pod: Pod, node: NodeResources
) -> str:
    """Return a limit or request in units of the divisor, rounded up.

    An absent limit is what the node has; an absent request is the limit, as in Kubernetes.
    """
    if reference.container_name:
        everyone = [*pod.spec.init_containers, *pod.spec.containers]
        container = next(c for c in everyone if c.name == reference.container_name)
    kind, _, name = reference.resource.partition(".")
    resources = container.resources
    amount = resources.limits.get(name)
    if kind == "requests":
        amount = resources.requests.get(name, amount if amount is not None else 0)
    elif amount is None:
        amount = {"cpu": node.cpus, "memory": node.memory_bytes}.get(name, 0)
    divisor = parse_amount(reference.divisor) or Decimal(1)
    return str(int((parse_amount(amount) / divisor).to_integral_value(ROUND_CEILING)))

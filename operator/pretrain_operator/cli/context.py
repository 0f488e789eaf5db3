"""What a run is planned with: the other manifests, and the nodes of the command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.profiles import DEVICES, Device, find_device
from pretrain_api.v1alpha1.computeprofile import Accelerator, ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.admission.related_objects import RelatedObjects, related_objects
from pretrain_operator.admission.runs import AdmissionResult, admission_request, admit
from pretrain_operator.cli.manifests import Document
from pretrain_operator.observed.objects import ListedObjects


@dataclass(frozen=True)
class PlanContext:
    """All manifests, and the options for the nodes of a run."""

    objects: ListedObjects
    nodes: ComputeProfileSpec | None
    """Nodes that take precedence over those of a ComputeProfile."""
    per_node: int
    """Devices of a node, if neither a ComputeProfile nor the run gives their number."""
    assumes_nodes: bool
    """Whether a run without a ComputeProfile is planned for nodes of an unknown device."""

    @classmethod
    def of(
        cls, documents: Sequence[Document], options: argparse.Namespace, assumes_nodes: bool
    ) -> "PlanContext":
        """Return the context that `documents` and `options` describe.

        Raises:
            InvalidManifest: If the options describe no nodes.
        """
        accelerator, per_node = options.accelerator, options.per_node
        if accelerator is not None:
            _nodes(accelerator, per_node)  # what no manifest could have comes first
            known_device(accelerator)
        nodes = _nodes(accelerator or "unknown", per_node)
        objects = ListedObjects(document.observed for document in documents)
        return cls(objects, nodes if accelerator else None, per_node, assumes_nodes)

    def admit(self, document: Document) -> AdmissionResult:
        """Return the admission result of an object of any kind."""
        request = admission_request(document.observed.key, document.spec, self.objects, self.nodes)
        if isinstance(request, AdmissionResult):
            return request
        if self.assumes_nodes:
            request = replace(request, related=self._assume(request.spec, request.related))
        return admit(request)

    def related(self, document: Document, spec: PretrainJobSpec) -> RelatedObjects:
        """Return the objects that a run refers to."""
        namespace = document.observed.key.namespace
        return self._assume(spec, related_objects(spec, namespace, self.objects, self.nodes))

    def _assume(self, spec: PretrainJobSpec, related: RelatedObjects) -> RelatedObjects:
        if related.profile is not None:
            return related
        devices = spec.parallelism.gpus_per_node or self.per_node
        assumed = f"the devices of a node: {devices} are assumed; set --accelerator"
        return replace(
            related, profile=_nodes("unknown", devices), missing=(*related.missing, assumed)
        )


def known_device(name: str) -> Device:
    """Return the device of that name: of one that is not known, neither memory nor speed is.

    Raises:
        InvalidManifest: If it is not known.
    """
    device = find_device(name)
    if device is None:
        names = ", ".join(DEVICES)
        raise InvalidManifest(
            [f"--accelerator: {name!r} is not known; use one of {names}, or a ComputeProfile"]
        )
    return device


def _nodes(accelerator: str, per_node: int) -> ComputeProfileSpec:
    fields = {"name": accelerator, "perNode": per_node}
    return ComputeProfileSpec(accelerator=parse(Accelerator, fields, "--accelerator, --per-node"))

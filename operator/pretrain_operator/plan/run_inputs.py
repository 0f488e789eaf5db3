"""What a PretrainJob is bound to, and what its pods are told."""

from dataclasses import dataclass

from pretrain_api.digests import digest
from pretrain_api.profiles import device_of
from pretrain_api.runs import OpenedArtifact, TrainingRun
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec, RunInputs
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.plan.names import attempt_job_name, service_name
from pretrain_operator.plan.rendezvous import rendezvous_host, rendezvous_port


@dataclass(frozen=True)
class OpenedInputs:
    """The token blocks and the tokenizer of a run, with the Secrets that open them."""

    dataset: OpenedArtifact
    tokenizer: OpenedArtifact


def pin_inputs(spec: PretrainJobSpec, opened: OpenedInputs) -> RunInputs:
    """Return what a run that starts now is bound to.

    The digest names its checkpoints: deleted and applied again, the same run goes on where it was.
    `tokens` is left out, for it may grow; so are fields at their defaults, so that a new field of a
    later version changes nothing.
    """
    shape = spec.model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    learning = spec.training.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, exclude={"tokens"}
    )
    dataset, tokenizer = opened.dataset, opened.tokenizer
    return RunInputs(
        dataset=ArtifactRef(uri=dataset.uri, digest=dataset.digest),
        tokenizer=ArtifactRef(uri=tokenizer.uri, digest=tokenizer.digest),
        digest=digest(shape, learning, dataset.digest, tokenizer.digest),
    )


def training_run(
    owner: ObservedObject,
    spec: PretrainJobSpec,
    profile: ComputeProfileSpec,
    pinned: tuple[RunInputs, OpenedInputs],
    attempt: int,
) -> TrainingRun:
    """Return what the pods of an attempt are told."""
    inputs, opened = pinned
    accelerator, key = profile.accelerator, owner.key
    job, service = attempt_job_name(key.name, attempt), service_name(key.name)
    return TrainingRun(
        name=key.name,
        namespace=key.namespace,
        uid=owner.uid,
        spec=spec.model_copy(update={"profile_ref": None, "suspend": None}),
        attempt=attempt,
        inputs=inputs,
        dataset=opened.dataset,
        tokenizer=opened.tokenizer,
        processes_per_node=spec.parallelism.gpus_per_node or accelerator.per_node,
        device="cuda" if accelerator.resource else "cpu",
        peak_flops=_peak_flops(profile, spec.training.precision),
        rendezvous_host=rendezvous_host(job, service, key.namespace),
        rendezvous_port=rendezvous_port(owner.uid, attempt),
    )


def _peak_flops(profile: ComputeProfileSpec, precision: str) -> float | None:
    device = device_of(profile)
    if device is None:
        return None
    return 1e12 * (device.fp8_teraflops if precision == "fp8" else device.bf16_teraflops)

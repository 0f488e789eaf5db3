"""The Job of an attempt: the document that its pods read, its placement and its rendezvous."""

from collections.abc import Sequence
from datetime import datetime

from pretrain_api.digests import digest
from pretrain_api.paths import PROGRESS_PORT
from pretrain_api.profiles import device_of
from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, RunInputs
from pretrain_operator.admission.profiles import choose_profile
from pretrain_operator.observed.clock import format_time
from pretrain_operator.plan.names import attempt_job_name, service_name
from pretrain_operator.plan.placement import plan_placement
from pretrain_operator.plan.plans import AttemptJob
from pretrain_operator.plan.retry import retry_value
from pretrain_operator.plan.runs.avoided_nodes import avoided_nodes
from pretrain_operator.plan.runs.observed_run import ObservedRun
from pretrain_operator.plan.runs.run_inputs import OpenedInputs, open_inputs, pin_inputs
from pretrain_operator.plan.secrets import secret_names

_FIRST_PORT, _PORTS = 20_000, 10_000
assert not _FIRST_PORT <= PROGRESS_PORT < _FIRST_PORT + _PORTS


def plan_attempt_job(
    run: ObservedRun, number: int, attempts: Sequence[AttemptStatus], now: datetime
) -> AttemptJob:
    """Return the Job of the attempt `number`, which follows `attempts`.

    Raises:
        DependencyNotReady: If its profile or its inputs are not ready.
        InvalidManifest: If its inputs do not fit it.
    """
    spec = run.spec
    profiles = run.related.all("ComputeProfile")
    profile = run.profile or choose_profile(spec.profile_ref, profiles, run.owner.key.namespace)
    opened = open_inputs(run)
    name = attempt_job_name(run.owner.key.name, number)
    return AttemptJob(
        name=name,
        run=training_run(run, profile, opened, number),
        placement=plan_placement(profile, "trainer", spec.parallelism.gpus_per_node),
        secrets=secret_names(
            opened.dataset,
            opened.tokenizer,
            spec.checkpoint,
            spec.export.hugging_face,
            spec.initialize.hugging_face,
        ),
        status=AttemptStatus(
            number=number,
            job=name,
            avoids=avoided_nodes(attempts, spec.recovery.avoid_nodes, now),
            started_at=format_time(now),
            retry=retry_value(run.owner),
        ),
    )


def training_run(
    run: ObservedRun, profile: ComputeProfileSpec, opened: OpenedInputs, number: int
) -> TrainingRun:
    """Return the document that the pods of the attempt `number` read."""
    owner, spec, accelerator = run.owner, run.spec, profile.accelerator
    key = owner.key
    pod_0 = f"{attempt_job_name(key.name, number)}-0"
    inputs: RunInputs = run.inputs or pin_inputs(spec, opened)
    return TrainingRun(
        name=key.name,
        namespace=key.namespace,
        uid=owner.uid,
        spec=spec.model_copy(update={"profile_ref": None, "suspend": None}),
        attempt=number,
        inputs=inputs,
        dataset=opened.dataset,
        tokenizer=opened.tokenizer,
        processes_per_node=spec.parallelism.gpus_per_node or accelerator.per_node,
        device="cuda" if accelerator.resource else "cpu",
        peak_flops=_peak_flops(profile, spec.training.precision),
        rendezvous_host=f"{pod_0}.{service_name(key.name)}.{key.namespace}.svc",
        rendezvous_port=rendezvous_port(owner.uid, number),
    )


def rendezvous_port(uid: str, attempt: int) -> int:
    """Return the TCP port at which the pods of an attempt of the object `uid` rendezvous.

    PyTorch's store binds the port on every address of its machine, so two runs that share a
    machine's network must not share a port; nor must two attempts of one run, of which the first
    is still ending. The ports lie below the range that Linux uses for outgoing connections.
    """
    return _FIRST_PORT + (int(digest(uid)[:8], 16) + attempt) % _PORTS


def _peak_flops(profile: ComputeProfileSpec, precision: str) -> float | None:
    device = device_of(profile)
    if device is None:
        return None
    return 1e12 * (device.fp8_teraflops if precision == "fp8" else device.bf16_teraflops)

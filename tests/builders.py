"""Builders of test data: specs, objects, Jobs, pods and runs, with defaults for all fields."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pretrain_api.meta import API_VERSION
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec, PretrainJobStatus
from pretrain_api.v1alpha1.tokendataset import TokenDatasetSpec
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import Key, ObservedObject
from pretrain_operator.observed.pods import ContainerEnd, ObservedPod
from pretrain_operator.plan.runs.observed_run import ObservedRun

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DIGEST = "0123456789abcdef" * 4


def at(seconds: float) -> datetime:
    """Return the time `seconds` after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def pipeline_spec(**changes: Any) -> dict[str, Any]:
    """Return the spec of a DataPipeline, as in a manifest."""
    spec = {
        "sources": [{"name": "web", "uri": "file:///pretrain/data/raw/*.jsonl"}],
        "output": {"uri": "file:///pretrain/data/artifacts"},
        "tasks": 2,
    }
    return {**spec, **changes}


def tokenizer_spec(**changes: Any) -> dict[str, Any]:
    """Return the spec of a Tokenizer, as in a manifest."""
    spec = {
        "corpus": {"pipelineRef": {"name": "documents"}},
        "vocabularySize": 1024,
        "output": {"uri": "file:///pretrain/data/artifacts"},
    }
    return {**spec, **changes}


def dataset_spec(**changes: Any) -> dict[str, Any]:
    """Return the spec of a TokenDataset, as in a manifest."""
    spec = {
        "tokenizerRef": {"name": "tokens"},
        "mixture": [{"pipelineRef": {"name": "documents"}}],
        "tokens": "1M",
        "blockTokens": "100k",
        "sequenceLength": 128,
        "tasks": 2,
        "output": {"uri": "file:///pretrain/data/artifacts"},
    }
    return {**spec, **changes}


def run_spec(**changes: Any) -> dict[str, Any]:
    """Return the spec of a PretrainJob, as in a manifest."""
    spec = {
        "model": {
            "layers": 4,
            "hiddenSize": 64,
            "ffnHiddenSize": 128,
            "attentionHeads": 4,
            "queryGroups": 2,
        },
        "data": {"datasetRef": {"name": "blocks"}},
        "parallelism": {"nodes": 2, "tensor": 2, "pipeline": 2},
        "training": {
            "tokens": "1M",
            "sequenceLength": 128,
            "globalBatchSize": 8,
            "precision": "fp32",
        },
        "checkpoint": {"uri": "file:///pretrain/data/checkpoints"},
    }
    return {**spec, **changes}


def small_run_spec(steps: int, save_every: int) -> dict[str, Any]:
    """Return the spec of a run that two CPUs train: two pods of one process each."""
    return run_spec(
        parallelism={"nodes": 2, "gpusPerNode": 1},
        model={"layers": 2, "hiddenSize": 32, "ffnHiddenSize": 64, "attentionHeads": 2},
        training={
            "tokens": steps * 4 * 32,
            "sequenceLength": 32,
            "globalBatchSize": 4,
            "precision": "fp32",
        },
        checkpoint={
            "uri": "file:///pretrain/data/checkpoints",
            "every": {"steps": save_every},
        },
    )


def profile_spec(**changes: Any) -> dict[str, Any]:
    """Return the spec of a ComputeProfile, as in a manifest."""
    spec = {
        "accelerator": {"name": "cpu", "perNode": 2},
        "pods": {
            "volumes": [{"name": "data", "mountPath": "/pretrain/data", "hostPath": "/srv/data"}],
            "data": {"cpu": "2", "memory": "4Gi"},
        },
    }
    return {**spec, **changes}


def gpu_profile_spec(**changes: Any) -> dict[str, Any]:
    """Return the spec of a ComputeProfile with GPUs, as in a manifest."""
    spec = {
        "accelerator": {"name": "h100", "resource": "nvidia.com/gpu", "perNode": 8},
        "images": {
            "data": "registry.example/pretrain-data:1",
            "trainer": "registry.example/pretrain-trainer:1",
            "pullSecrets": ["registry"],
        },
        "pods": {
            "env": {"NCCL_IB_HCA": "mlx5"},
            "nodeSelector": {"gpu": "h100"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            "volumes": [
                {
                    "name": "shared",
                    "mountPath": "/pretrain/shared",
                    "persistentVolumeClaim": "shared",
                }
            ],
            "trainer": {"cpu": "64", "memory": "512Gi"},
            "priorityClassName": "training",
        },
    }
    return {**spec, **changes}


_SPECS = {
    "ComputeProfile": profile_spec,
    "DataPipeline": pipeline_spec,
    "Tokenizer": tokenizer_spec,
    "TokenDataset": dataset_spec,
    "PretrainJob": run_spec,
}


def make_object(kind: str, name: str = "thing", **changes: Any) -> ObservedObject:
    """Return an object of one of our kinds, as it was observed."""
    fields: dict[str, Any] = {
        "uid": f"uid-of-{name}",
        "generation": 1,
        "resource_version": "1",
        "labels": {},
        "annotations": {},
        "deleting": False,
        "spec": _SPECS[kind](),
        "status": {},
    }
    namespace = "" if kind == "ComputeProfile" else "default"
    return ObservedObject(key=Key(kind, namespace, name), **{**fields, **changes})


def make_body(kind: str, name: str = "thing", **changes: Any) -> dict[str, Any]:
    """Return an object of one of our kinds, as the API server sends it."""
    metadata = {"name": name, "uid": f"uid-of-{name}", "generation": 1, "resourceVersion": "1"}
    if kind != "ComputeProfile":
        metadata["namespace"] = "default"
    metadata |= changes.pop("metadata", {})
    body = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata}
    return {**body, "spec": _SPECS[kind](), **changes}


def ready_status(name: str, generation: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the status of an object whose artifact is complete."""
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Complete",
        "observedGeneration": generation,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {
        "observedGeneration": generation,
        "conditions": [condition],
        "artifact": {"uri": f"file:///pretrain/data/artifacts/{name}", "digest": DIGEST},
    }
    return {**status, **changes}


def make_report(exit_class: ExitClass = ExitClass.COMPLETE, **changes: Any) -> ExitReport:
    """Return the exit report of a pod."""
    return ExitReport(exit_class=exit_class, **changes)


def make_pod(
    rank: int = 0, phase: str = "Running", job: str = "job", **changes: Any
) -> ObservedPod:
    """Return a pod of a Job."""
    fields: dict[str, Any] = {
        "name": f"{job}-{rank}-abcde",
        "uid": f"uid-of-{job}-{rank}",
        "namespace": "default",
        "ip": "10.0.0.1",
        "node": "node-1",
    }
    return ObservedPod(job=job, rank=rank, phase=phase, **{**fields, **changes})


def succeeded_pod(rank: int = 0, job: str = "job", **report: Any) -> ObservedPod:
    """Return a pod that succeeded and left a report."""
    exit_report = make_report(rank=rank, **report)
    message = exit_report.model_dump_json(by_alias=True)
    end = ContainerEnd(0, "Completed", message, exit_report)
    return make_pod(rank, "Succeeded", job, end=end)


def failed_pod(
    rank: int = 0, job: str = "job", code: int | None = None, reason: str = "Error", **report: Any
) -> ObservedPod:
    """Return a pod that failed; with a report if `report` has fields."""
    exit_report = make_report(rank=rank, **report) if report else None
    if code is None:
        code = exit_report.exit_class.exit_code if exit_report else 1
    return make_pod(rank, "Failed", job, end=ContainerEnd(code, reason, "", exit_report))


def make_job(
    name: str = "job", pods: Sequence[ObservedPod] = (), owner: str = "thing", **changes: Any
) -> ObservedJob:
    """Return a Job that runs."""
    fields: dict[str, Any] = {
        "uid": f"uid-of-{name}",
        "namespace": "default",
        "owner_uid": f"uid-of-{owner}",
        "resource_version": "1",
        "stage": "",
        "attempt": 0,
        "annotations": {},
        "completions": 1,
        "parallelism": 1,
        "suspended": False,
        "succeeded": 0,
        "deleting": False,
        "complete": False,
        "failed": False,
        "failing": False,
        "started_at": "2026-01-02T03:00:00Z",
    }
    return ObservedJob(name=name, pods=tuple(pods), **{**fields, **changes})


def complete_job(name: str, pods: Sequence[ObservedPod], **changes: Any) -> ObservedJob:
    """Return a Job that is complete."""
    fields = {
        "complete": True,
        "completions": len(pods),
        "succeeded": len(pods),
        "finished_at": "2026-01-02T03:01:00Z",
    }
    return make_job(name, pods, **{**fields, **changes})


def artifact(name: str = "thing") -> ArtifactRef:
    """Return a reference to an artifact."""
    return ArtifactRef(uri=f"file:///pretrain/data/artifacts/{name}", digest=DIGEST)


def parsed_pipeline(**changes: Any) -> DataPipelineSpec:
    """Return the spec of a DataPipeline."""
    return DataPipelineSpec.model_validate(pipeline_spec(**changes))


def parsed_tokenizer(**changes: Any) -> TokenizerSpec:
    """Return the spec of a Tokenizer."""
    return TokenizerSpec.model_validate(tokenizer_spec(**changes))


def parsed_dataset(**changes: Any) -> TokenDatasetSpec:
    """Return the spec of a TokenDataset."""
    return TokenDatasetSpec.model_validate(dataset_spec(**changes))


def parsed_run(**changes: Any) -> PretrainJobSpec:
    """Return the spec of a PretrainJob."""
    return PretrainJobSpec.model_validate(run_spec(**changes))


def parsed_profile(**changes: Any) -> ComputeProfileSpec:
    """Return the spec of a ComputeProfile."""
    return ComputeProfileSpec.model_validate(profile_spec(**changes))


def make_observed_run(
    owner: ObservedObject | None = None, spec: PretrainJobSpec | None = None, **changes: Any
) -> ObservedRun:
    """Return a run that has no Jobs and no status yet."""
    fields: dict[str, Any] = {
        "status": PretrainJobStatus(),
        "jobs": (),
        "pods": (),
        "placement": "placed",
        "finished": None,
    }
    return ObservedRun(
        owner=owner or make_object("PretrainJob", "run"),
        spec=spec or parsed_run(),
        **{**fields, **changes},
    )


def make_training_run(
    spec: PretrainJobSpec | dict[str, Any], processes: int | None, device: str = "cpu"
) -> TrainingRun:
    """Return what the pods of an attempt read, with inputs that do not matter."""
    artifact = {"uri": "file:///pretrain/data", "digest": "d"}
    return TrainingRun.model_validate(
        {
            "name": "run",
            "namespace": "default",
            "spec": spec,
            "attempt": 1,
            "inputs": {"dataset": artifact, "tokenizer": artifact, "digest": "f"},
            "dataset": artifact,
            "tokenizer": artifact,
            "processesPerNode": processes,
            "device": device,
            "rendezvousHost": "pod-0",
            "rendezvousPort": 1,
        }
    )

"""A run whose inputs, checkpoints and exported model lie on S3 is the run on a volume."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from faulty_s3 import FaultPlan, faulty_s3
from integration.trainer.conftest import TrainerPods
from integration.trainer.launchers import StartLaunchers
from integration.trainer.training_runs import BATCH, LENGTH, losses, make_run, on_s3
from pretrain_api.artifacts import MANIFEST
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_workloads.trainer.run_folder.preflight import PATIENCE_SECONDS
from s3 import S3Server

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

STEPS = 32
"""More than there are data for: 32 steps of 8 of 240 sequences."""


@pytest.fixture
def bucket(pods: TrainerPods, s3_server: S3Server, request: pytest.FixtureRequest) -> Path:
    """A bucket with the dataset and the tokenizer, and the Secret that opens it."""
    pods.secrets["store"] = s3_server.secret
    name = request.node.name.partition("[")[0].replace("_", "-")[:60].strip("-")
    bucket: Path = s3_server.folder / name
    bucket.mkdir(exist_ok=True)
    for inputs in ("data", "tokenizer"):
        shutil.copytree((pods.root / inputs).resolve(), bucket / inputs, dirs_exist_ok=True)
    return bucket


def two_pods() -> dict[str, Any]:
    """Return a run of two nodes that saves, evaluates and exports."""
    return make_run(
        parallelism={"nodes": 2, "processes": 1},
        training={"tokens": STEPS * BATCH * LENGTH},
        checkpoint={"every": {"steps": 4}, "keep": {"last": 2}},
        evaluation={"perplexity": True, "prompts": ["一丁"], "maxNewTokens": 4},
        export={"huggingFace": {"uri": "file:///pretrain/models"}},
    )


def complete(report: ExitReport) -> ExitReport:
    assert report.exit_class is ExitClass.COMPLETE, report.message
    return report


def listed(root: Path) -> list[str]:
    """Return the files that the ranks of a run wrote below `root`.

    Launchers wrote OWNER.json; files of TensorBoard have the time in their names.
    """
    files = [path for part in ("checkpoints", "models") for path in (root / part).rglob("*")]
    names = [path.relative_to(root).as_posix() for path in files if path.is_file()]
    others = (name for name in names if "/tensorboard/" not in name)
    return sorted(name for name in others if not name.endswith("/OWNER.json"))


def manifests(root: Path) -> list[dict[str, Any]]:
    """Return the manifests that a run wrote, without what differs between any two runs."""
    stripped = []
    for part in ("checkpoints", "models"):
        (path,) = (root / part).glob(f"*/*/{MANIFEST}")
        text = path.read_text().replace("file:///pretrain", "").replace(f"s3://{root.name}", "")
        manifest = json.loads(text)
        del manifest["createdAt"]
        manifest["spec"]["checkpoint"].pop("credentialsSecretRef", None)
        manifest["spec"]["export"]["huggingFace"].pop("credentialsSecretRef", None)
        for key in ("fromStep", "curve"):
            manifest["summary"].pop(key, None)
        stripped.append(manifest)
    return stripped


def test_a_killed_run_goes_on_from_its_checkpoint_on_s3_to_the_same_files(
    pods: TrainerPods, start: StartLaunchers, bucket: Path
) -> None:
    undisturbed = complete(pods.attempt_of(two_pods())[0])

    first, second = start(on_s3(two_pods(), bucket.name))
    first.wait_for(lambda: first.goes_on_after_a_checkpoint)
    second.ranks[0].send_signal(signal.SIGKILL)
    ends = [first.report(), second.report()]
    assert [end.exit_class for end in ends] == [ExitClass.INFRASTRUCTURE] * 2
    saved = ends[0].checkpoint
    assert saved is not None
    assert saved.uri.startswith(f"s3://{bucket.name}/checkpoints/")
    newest = bucket / saved.uri.removeprefix(f"s3://{bucket.name}/")
    half = newest.with_name("step-0000000031")
    shutil.copytree(newest, half, ignore=lambda *_: ["COMPLETE.json"])

    resumed = complete(pods.attempt_of(on_s3(two_pods(), bucket.name))[0])
    assert resumed.training is not None
    assert saved.step <= resumed.training.from_step < STEPS
    assert not half.exists()
    assert "read the token blocks 1.067 times" in first.log.read_text()
    assert resumed.training.epochs == 1.067
    assert losses(resumed)[-1] == losses(undisturbed)[-1]
    assert undisturbed.training is not None
    assert resumed.training.perplexity == undisturbed.training.perplexity
    assert resumed.training.continuations == undisturbed.training.continuations
    assert listed(bucket) == listed(pods.root)
    assert manifests(bucket) == manifests(pods.root)


def test_a_run_starts_from_an_exported_model_on_s3(
    pods: TrainerPods, start: StartLaunchers, bucket: Path
) -> None:
    export = {"huggingFace": {"uri": "file:///pretrain/models"}}
    (first,) = start(on_s3(make_run(export=export), bucket.name))
    trained = complete(first.report()).training
    assert trained is not None
    assert trained.export is not None
    run = make_run(
        initialize={"huggingFace": {"uri": trained.export.uri}},
        checkpoint={"uri": "file:///pretrain/continued"},
        parallelism={"processes": 2, "tensor": 2},
    )
    (second,) = start(on_s3(run, bucket.name))
    continued = complete(second.report()).training
    assert continued is not None
    assert continued.initial_perplexity == pytest.approx(trained.perplexity, rel=1e-5)


@pytest.mark.parametrize(
    ("keys", "want", "seconds"),
    [
        pytest.param(
            {"endpoint": "http://127.0.0.1:9"},
            ["Secret store (http://127.0.0.1:9) does not answer", "correct the location, or the"],
            PATIENCE_SECONDS + 15,
            id="an endpoint where nobody listens",
        ),
        pytest.param(
            {"accessKey": "nobody"},
            ["access was refused (", "; correct accessKey of Secret store"],
            10,
            id="an access key that is not known",
        ),
        pytest.param(
            {"secretKey": "wrong"},
            [
                "access was refused; correct accessKey or secretKey of Secret store (http://127.0.0.1:"
            ],
            10,
            id="a secret key that does not fit",
        ),
    ],
)
def test_a_wrong_secret_is_refused_within_seconds(
    keys: dict[str, str],
    want: list[str],
    seconds: float,
    pods: TrainerPods,
    start: StartLaunchers,
    bucket: Path,
) -> None:
    pods.secrets["store"] |= keys
    (pod,) = start(on_s3(make_run(), bucket.name))
    report = pod.report()
    assert report.exit_class is ExitClass.USER_ERROR
    assert report.message.startswith(f"spec.checkpoint: s3://{bucket.name}/checkpoints/")
    for part in want:
        assert part in report.message
    assert report.seconds < seconds


def test_all_locations_that_cannot_be_used_are_named_together(
    pods: TrainerPods, start: StartLaunchers, bucket: Path
) -> None:
    run = on_s3(two_pods(), bucket.name)
    run["spec"]["export"]["huggingFace"]["uri"] = "s3://no-such-bucket/models"
    run["spec"]["checkpoint"]["uri"] = "s3://nor-this-one/checkpoints"
    report = start(run)[0].report()
    assert report.exit_class is ExitClass.USER_ERROR
    first, second = report.message.split("; spec.export.huggingFace: ")
    assert first.startswith("spec.checkpoint: s3://nor-this-one/checkpoints/pretrainjob-run/")
    assert second.startswith("s3://no-such-bucket/models/pretrainjob-run/")
    assert "the bucket does not exist; create it, or correct it" in first
    assert "the bucket does not exist; create it, or correct it" in second


def test_storage_that_stops_answering_later_is_not_a_user_error(
    pods: TrainerPods, start: StartLaunchers, bucket: Path
) -> None:
    pods.attempts = 1
    pods.secrets["store"] |= {"endpoint": "http://127.0.0.1:9"}
    (pod,) = start(on_s3(make_run(), bucket.name))
    report = pod.report()
    assert report.exit_class is ExitClass.INFRASTRUCTURE
    assert "Secret store (http://127.0.0.1:9) does not answer" in report.message


def test_a_store_that_fails_every_seventh_request_changes_no_loss(
    pods: TrainerPods, s3_server: S3Server, bucket: Path
) -> None:
    run = make_run(
        parallelism={"processes": 2},
        checkpoint={"every": {"steps": 3}, "keep": {"last": 2}},
        export={"huggingFace": {"uri": "file:///pretrain/models"}},
    )
    plan = FaultPlan(every=7)
    with faulty_s3(s3_server, plan) as disturbed:
        pods.secrets["store"] = disturbed.secret
        (report,) = pods.attempt_of(on_s3(run, bucket.name))
    complete(report)
    assert min(plan.done.values()) >= 3
    (calm,) = pods.attempt_of(run)
    assert losses(report) == losses(complete(calm))
    folders = sorted(path.name for path in bucket.glob("checkpoints/*/*/checkpoints/*"))
    assert [int(name.removeprefix("step-")) for name in folders] == [9, 10]

"""A store that fails now and then changes nothing; one that always fails is named."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_runs import pipeline_spec, write_corpus
from faulty_s3 import FAULTS, FaultPlan, faulty_s3
from pretrain_api.reports import ExitClass
from pretrain_api.runs import PipelineRun
from s3 import S3Server
from stage_runs import StageRunner

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def make_run(runner: StageRunner, server: S3Server, bucket: str) -> PipelineRun:
    """Return a pipeline whose text and artifacts lie in a bucket."""
    runner.secrets["store"] = server.secret
    write_corpus(server.folder / bucket / "raw")
    secret = {"credentialsSecretRef": {"name": "store"}}
    spec = pipeline_spec(f"s3://{bucket}/raw", f"s3://{bucket}/artifacts", secret=secret)
    value = {"namespace": "default", "name": "documents", "spec": spec, "tasks": spec["tasks"]}
    return PipelineRun.model_validate(value)


def documents(folder: Path) -> list[dict[str, Any]]:
    paths = sorted(folder.rglob("documents/*.parquet"))
    assert paths
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def test_a_store_that_fails_every_seventh_request_gives_the_same_documents(
    runner: StageRunner, s3_server: S3Server, tmp_path: Path
) -> None:
    plan = FaultPlan(every=7)
    with faulty_s3(s3_server, plan) as disturbed:
        report = runner.run_pipeline(make_run(runner, disturbed, "disturbed"))
    assert report.exit_class is ExitClass.COMPLETE
    assert set(plan.done) == set(FAULTS)
    assert min(plan.done.values()) >= 5
    calm = StageRunner(tmp_path / "calm")
    calm.run_pipeline(make_run(calm, s3_server, "calm"))
    folders = [s3_server.folder / name / "artifacts" for name in ("disturbed", "calm")]
    assert documents(folders[0]) == documents(folders[1])


@pytest.mark.parametrize(
    ("fault", "below", "exit_class", "message"),
    [
        ("403", "/artifacts/", ExitClass.USER_ERROR, "access was refused"),
        ("500", "/artifacts/", ExitClass.INFRASTRUCTURE, "Secret store (http://127.0.0.1:"),
        ("reset", "/artifacts/", ExitClass.INFRASTRUCTURE, "does not answer"),
    ],
)
def test_a_store_that_always_fails_is_named_within_a_minute(
    fault: str,
    below: str,
    exit_class: ExitClass,
    message: str,
    runner: StageRunner,
    s3_server: S3Server,
) -> None:
    plan = FaultPlan(every=0, always=fault, below=below)
    with faulty_s3(s3_server, plan) as broken:
        run = make_run(runner, broken, f"always-{fault}")
        (report,) = runner.run("data", "list", run, code=exit_class.exit_code)
    assert report.exit_class is exit_class
    assert f"s3://always-{fault}/artifacts" in report.message
    assert message in report.message
    assert report.seconds < 60.0


def test_a_source_that_breaks_while_it_is_read_is_named(
    runner: StageRunner, s3_server: S3Server
) -> None:
    plan = FaultPlan(every=0, below="/raw/")
    with faulty_s3(s3_server, plan) as breaking:
        run = make_run(runner, breaking, "breaking")
        (listed,) = runner.run("data", "list", run)
        plan.always = "500"
        run = run.model_copy(update={"artifact": listed.artifact})
        (report,) = runner.run("data", "prepare", run, code=1)
    assert report.exit_class is ExitClass.INFRASTRUCTURE
    assert "s3://breaking/raw/" in report.message
    assert "Secret store" in report.message

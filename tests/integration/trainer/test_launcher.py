"""The launcher of real pods: ranks that are killed, and nodes that ask it to end."""

import json
import re
import signal
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from integration.trainer.conftest import TrainerPods
from integration.trainer.launchers import LauncherPod, StartLaunchers
from integration.trainer.training_runs import BATCH, LENGTH, losses, make_run
from pretrain_api import paths
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.progress import Progress

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

STEPS = 60
"""Enough for a rank to be still training when it is killed after its sixth step."""
LONG = 3000
"""Steps of a run that is not meant to reach its end."""

TRAINING = {"tokens": STEPS * BATCH * LENGTH}
GRID = {"tensor": 2, "pipeline": 2}


def two_pods(name: str, **changes: Any) -> dict[str, Any]:
    run = make_run(
        parallelism={"nodes": 2, "processes": 2, **GRID},
        training=TRAINING,
        checkpoint={"uri": "file:///pretrain/checkpoints", "every": {"steps": 4}},
        **changes,
    )
    return run | {"name": name}


def test_a_killed_rank_costs_only_the_steps_after_the_last_checkpoint(
    pods: TrainerPods, start: StartLaunchers
) -> None:
    undisturbed = pods.attempt_of(two_pods("undisturbed"))[0]
    assert undisturbed.exit_class is ExitClass.COMPLETE, undisturbed.message

    first, second = start(two_pods("disturbed"))
    first.wait_for(lambda: first.goes_on_after_a_checkpoint)
    victim = second.ranks[0]
    victim.send_signal(signal.SIGKILL)
    ends = [first.report(), second.report()]
    assert [end.exit_class for end in ends] == [ExitClass.INFRASTRUCTURE] * 2
    assert "lost the connection to rank" in ends[0].message
    assert "on node 1: " in ends[0].message
    assert "killed by SIGKILL" in ends[1].message
    assert ends[0].checkpoint is not None
    assert ends[0].checkpoint.step >= 4
    assert ends[0].training is not None
    assert ends[0].training.to_step >= ends[0].checkpoint.step

    resumed = pods.attempt_of(two_pods("disturbed"))[0]
    assert resumed.exit_class is ExitClass.COMPLETE, resumed.message
    assert resumed.training is not None
    assert resumed.training.from_step >= ends[0].checkpoint.step
    assert losses(resumed) == losses(undisturbed)


def test_sigterm_before_the_first_step_ends_the_run_at_once(
    pods: TrainerPods, start: StartLaunchers
) -> None:
    (pod,) = start(make_run(training={"tokens": LONG * BATCH * LENGTH}))
    pod.wait_for(lambda: "starts the ranks" in pod.log.read_text())
    pod.process.terminate()
    report = pod.report()
    assert report.exit_class is ExitClass.PREEMPTED
    assert "nothing to save after step 0" in report.message
    assert pod.step == 0


def test_sigterm_saves_a_checkpoint_and_leaves_no_process(
    pods: TrainerPods, start: StartLaunchers
) -> None:
    layout = {"processes": 2, "pipeline": 2}
    schedule = {"decay": {"tokens": LONG * BATCH * LENGTH}}
    long = {"tokens": LONG * BATCH * LENGTH, "schedule": schedule}
    (pod,) = start(make_run(parallelism=dict(layout), training=long))
    pod.wait_for(lambda: pod.step >= 2)
    address = f"http://{pod.address}:{paths.PROGRESS_PORT}"
    progress = Progress.model_validate_json(urllib.request.urlopen(f"{address}/progress").read())
    metrics = urllib.request.urlopen(f"{address}/metrics").read().decode()
    tree = psutil.Process(pod.process.pid).children(recursive=True)
    pod.process.terminate()
    pod.wait_for(lambda: "asking the ranks to save and end" in pod.log.read_text())
    pod.process.terminate()  # asked twice, it saves all the same
    report = pod.report()
    assert report.exit_class is ExitClass.PREEMPTED
    assert report.checkpoint is not None
    assert report.training is not None
    assert report.checkpoint.step == report.training.to_step < LONG
    assert psutil.wait_procs(tree, timeout=30)[1] == []
    assert progress.total_steps == LONG
    assert progress.step >= 2
    assert "pretrain_step " in metrics

    rest = {"tokens": (report.checkpoint.step + 2) * BATCH * LENGTH, "schedule": schedule}
    resumed = pods.attempt(parallelism=dict(layout), training=rest)
    assert resumed.exit_class is ExitClass.COMPLETE
    assert resumed.training is not None
    assert resumed.training.from_step == report.checkpoint.step


def test_ranks_connect_over_the_interface_that_the_environment_names(pods: TrainerPods) -> None:
    pods.environment["GLOO_SOCKET_IFNAME"] = "missing0"
    report = pods.attempt()
    assert report.exit_class is not ExitClass.COMPLETE
    assert "missing0" in report.message


def test_a_finished_run_ends_without_importing_torch(
    pods: TrainerPods, start: StartLaunchers
) -> None:
    first = pods.attempt()
    pods.environment["PYTHONPROFILEIMPORTTIME"] = "1"
    (pod,) = start(make_run())
    report = pod.report()
    assert report.exit_class is ExitClass.COMPLETE
    assert report.reused
    assert report.training == first.training
    assert report.checkpoint == first.checkpoint
    assert report.curve == first.curve
    text = pod.log.read_text()
    assert re.search(r"(?m)\| +pretrain_workloads\.trainer\.launcher$", text)
    assert not re.search(r"(?m)\| +torch$", text)


def test_an_old_attempt_ends_when_a_newer_one_has_the_lease(start: StartLaunchers) -> None:
    run = make_run(
        training={"tokens": LONG * BATCH * LENGTH},
        checkpoint={"every": {"steps": 2}},
        evaluation={"perplexity": False},
    )
    (old,) = start({**run, "uid": "u1"})
    old.wait_for(lambda: old.goes_on_after_a_checkpoint)
    (new,) = start({**run, "uid": "u1"})
    end = old.report()
    assert end.exit_class is ExitClass.USER_ERROR
    assert "/pretrainjob-run/ffffffffffff: attempt 2 of this run writes into it" in end.message
    assert end.checkpoint is not None
    new.wait_for(lambda: new.step >= 1)
    new.process.terminate()
    saved = new.report()
    assert saved.exit_class is ExitClass.PREEMPTED
    assert saved.checkpoint is not None
    assert saved.checkpoint.step > end.checkpoint.step


def test_a_killed_launcher_takes_its_ranks_with_it(
    start: StartLaunchers,
) -> None:
    long = {"tokens": LONG * BATCH * LENGTH}
    (pod,) = start(make_run(parallelism={"processes": 2, "pipeline": 2}, training=long))
    pod.wait_for(lambda: pod.step >= 1)
    tree = psutil.Process(pod.process.pid).children(recursive=True)
    assert len(tree) >= 3
    pod.process.kill()
    pod.process.wait()
    gone, alive = psutil.wait_procs(tree, timeout=30)
    assert not alive
    assert len(gone) == len(tree)


def test_a_missing_spec_is_a_user_error_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "spec").mkdir()
    pod = LauncherPod(tmp_path, 0, "127.0.0.1", {})
    report = pod.report()
    assert report.exit_class is ExitClass.USER_ERROR
    assert json.dumps(str(tmp_path))[1:-1] in report.message

"""One harness for all tests, and a folder like a pod's `/pretrain` for each."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from integration.trainer.launchers import LauncherPod, StartLaunchers
from integration.trainer.training_runs import make_run, write_dataset, write_tokenizer
from ports import free_port
from pretrain_api import paths
from pretrain_api.reports import ExitReport
from pretrain_workloads.trainer.outcome import RankResults, exit_report
from pretrain_workloads.trainer.pod.workspace import Workspace
from s3 import s3_server

__all__ = ["s3_server"]


@dataclass
class TrainerPods:
    """The pods of runs that share one storage."""

    harness: "subprocess.Popen[str]"
    root: Path
    attempts: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)

    def attempt(self, **changes: Any) -> ExitReport:
        """Run an attempt in one pod and return its report."""
        return self.attempt_of(make_run(**changes))[0]

    def attempt_of(self, run: dict[str, Any]) -> list[ExitReport]:
        """Run an attempt in as many pods as the run has nodes."""
        self.attempts += 1
        run |= {"attempt": self.attempts, "rendezvousPort": free_port()}
        nodes = run["spec"]["parallelism"].get("nodes", 1)
        pods = [self._pod(run, node, nodes) for node in range(nodes)]
        assert self.harness.stdin is not None
        assert self.harness.stdout is not None
        self.harness.stdin.write(json.dumps(pods) + "\n")
        self.harness.stdin.flush()
        # An attempt that outlived its test may answer now: that is not the answer to this one.
        answer = json.loads(self.harness.stdout.readline())
        while answer["root"] != pods[0]["root"]:
            answer = json.loads(self.harness.stdout.readline())
        codes = answer["codes"]
        return [
            self._report(Path(pod["root"]), run, code)
            for pod, code in zip(pods, codes, strict=True)
        ]

    def _pod(self, run: dict[str, Any], node: int, nodes: int) -> dict[str, Any]:
        root = self.pod_root(node, run)
        workspace = Workspace(root / "scratch/trainer")
        workspace.clear()
        return {
            "root": str(root),
            "log": str(root / "log.txt"),
            "environment": {
                "PRETRAIN_ROOT": str(root),
                "POD_IP": f"127.77.{node + 1}.{self.attempts}",
                "JOB_COMPLETION_INDEX": str(node),
                **self.environment,
            },
            "assignment": {
                "nodes": nodes,
                "node_rank": node,
                "processes": run["processesPerNode"],
                "device": "cpu",
                "address": "127.0.0.1",
                "port": run["rendezvousPort"],
                "run_id": f"test-{self.attempts}",
                "start_within": 60.0,
            },
        }

    def pod_root(self, node: int, run: dict[str, Any]) -> Path:
        """Return what a pod sees as `/pretrain`: its own scratch, and the storage of all."""
        root = self.root / f"attempt-{self.attempts}-pod-{node}"
        (root / "spec").mkdir(parents=True)
        (root / "scratch").mkdir()
        for shared in ("data", "tokenizer", "checkpoints", "models"):
            (self.root / shared).mkdir(exist_ok=True)
            (root / shared).symlink_to(self.root / shared)
        for name, keys in self.secrets.items():
            (root / "secrets" / name).mkdir(parents=True)
            for key, value in keys.items():
                (root / "secrets" / name / key).write_text(value)
        (root / "spec/spec.json").write_text(json.dumps(run))
        return root

    def _report(self, root: Path, run: dict[str, Any], code: int) -> ExitReport:
        workspace = Workspace(root / "scratch/trainer")
        results = RankResults(
            reports=workspace.read_reports(),
            killed=workspace.read_killed(),
            processes=run["processesPerNode"],
            is_stop_requested=workspace.is_stop_requested,
            was_out_of_memory=False,
            agent_exit_code=code,
        )
        report = exit_report(results, workspace.read_snapshot())
        sys.stderr.write((root / "log.txt").read_text()[-12_000:])  # shown if the test fails
        return report


@pytest.fixture(scope="session")
def harness() -> Iterator["subprocess.Popen[str]"]:
    """The process that imported Megatron-core."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("harness.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def shared_storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset and a tokenizer that no test changes."""
    root = tmp_path_factory.mktemp("inputs")
    write_dataset(root / "data")
    write_tokenizer(root / "tokenizer")
    return root


@pytest.fixture
def pods(harness: "subprocess.Popen[str]", shared_storage: Path, tmp_path: Path) -> TrainerPods:
    """Pods of runs with storage of their own."""
    return _pods_in(tmp_path, harness, shared_storage)


@pytest.fixture(scope="module")
def lone_pods(
    harness: "subprocess.Popen[str]", shared_storage: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainerPods:
    """Pods of a run that tests of a module compare with."""
    return _pods_in(tmp_path_factory.mktemp("lone"), harness, shared_storage)


def _pods_in(root: Path, harness: "subprocess.Popen[str]", shared_storage: Path) -> TrainerPods:
    for inputs in ("data", "tokenizer"):
        (root / inputs).symlink_to(shared_storage / inputs)
    return TrainerPods(harness, root)


@pytest.fixture
def start(pods: TrainerPods) -> Iterator[StartLaunchers]:
    """Start the launchers of an attempt; those that still run are killed after the test."""
    started: list[LauncherPod] = []

    def attempt(run: dict[str, Any]) -> list[LauncherPod]:
        pods.attempts += 1
        port = run["rendezvousPort"] or free_port()
        run = {**run, "rendezvousPort": port, "rendezvousHost": "run-0.run"}
        run["attempt"] = pods.attempts
        hosts = pods.root / "hosts"
        hosts.write_text(f"# names of pods\n127.78.{pods.attempts}.1 run-0.run run-0\n")
        new = [
            LauncherPod(
                pods.pod_root(node, run),
                node,
                f"127.78.{pods.attempts}.{node + 1}",
                {paths.HOSTS_VARIABLE: str(hosts), **pods.environment},
            )
            for node in range(run["spec"]["parallelism"].get("nodes", 1))
        ]
        started.extend(new)
        return new

    yield attempt
    for pod in started:
        if pod.process.poll() is None:
            pod.process.kill()
            pod.process.wait()

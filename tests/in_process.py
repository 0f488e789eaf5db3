"""Run one data stage, or one training step, in this process: for a debugger.

    python -m pdb tests/in_process.py stage prepare
    python -m pdb tests/in_process.py step

A stage runs on the corpus of the tests, in a temporary folder; the stages before it run as
processes of their own. A step is the first optimizer step of a tiny model on one CPU process.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from data_runs import pipeline_spec, write_corpus
from integration.trainer.training_runs import make_run, write_dataset, write_tokenizer
from ports import free_port
from pretrain_api.runs import PIPELINE_STAGES, PipelineRun, TrainingRun
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from stage_runs import SINGLE, StageRunner


def run_stage(stage: str, root: Path) -> None:
    """Run the first task of a stage of a DataPipeline here, after the stages before it."""
    runner = StageRunner(root)
    write_corpus(runner.data / "raw")
    spec = pipeline_spec("file:///pretrain/data/raw", "file:///pretrain/data/artifacts", tasks=2)
    parsed = DataPipelineSpec.model_validate(spec)
    run = PipelineRun(name="documents", namespace="default", spec=parsed, tasks=parsed.tasks)
    for earlier in PIPELINE_STAGES[: PIPELINE_STAGES.index(stage)]:
        tasks = 1 if earlier in SINGLE else run.tasks
        report = runner.run("data", earlier, run, tasks)[0]
        run = run.model_copy(update={"artifact": run.artifact or report.artifact})
    pod = runner.prepare("data", stage, run, rank=0)
    os.environ |= {"PRETRAIN_ROOT": str(pod), "JOB_COMPLETION_INDEX": "0"}
    sys.argv = ["pretrain_workloads.data", stage]
    from pretrain_workloads.data import __main__ as program

    report = program.run_stage(stage)
    sys.stdout.write(report.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n")


def run_step(root: Path) -> None:
    """Run one optimizer step of a model of one process here."""
    write_dataset(root / "data")
    write_tokenizer(root / "tokenizer")
    for folder in ("spec", "scratch", "checkpoints"):
        (root / folder).mkdir()
    (root / "spec" / "spec.json").write_text(json.dumps(make_run()), encoding="utf-8")
    os.environ |= {
        "PRETRAIN_ROOT": str(root),
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
    }
    from pretrain_workloads.task import load_run
    from pretrain_workloads.trainer.megatron.backend import prepare_backend
    from pretrain_workloads.trainer.pod.heartbeat import Heartbeat
    from pretrain_workloads.trainer.pod.interrupts import StopRequest
    from pretrain_workloads.trainer.pod.workspace import Workspace

    run = load_run(TrainingRun)
    backend = prepare_backend(run.device)
    from pretrain_workloads.trainer.setup import build_training

    workspace = Workspace.of_pod()
    workspace.clear()
    training = build_training(
        run, backend, workspace, StopRequest(workspace), Heartbeat(workspace.heartbeats, 0, 600.0)
    )
    totals = training.run_step()  # set a breakpoint here, and step into it
    sys.stdout.write(f"step {training.step}: loss {totals.mean_loss:.4f}\n")


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("stage").add_argument("stage", choices=PIPELINE_STAGES)
    commands.add_parser("step")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pretrain-") as folder:
        if options.command == "stage":
            run_stage(options.stage, Path(folder))
        else:
            run_step(Path(folder))
    sys.stdout.flush()
    os._exit(0)  # without waiting for process groups and native threads


if __name__ == "__main__":
    main()

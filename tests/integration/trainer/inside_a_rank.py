"""A rank that inspects its own optimizer and model, and prints their state as JSON."""

import dataclasses
import json
import os
import sys

from pretrain_api.runs import TrainingRun
from pretrain_workloads.task import load_run
from pretrain_workloads.trainer.megatron.backend import prepare_backend
from pretrain_workloads.trainer.pod.interrupts import StopRequest
from pretrain_workloads.trainer.pod.workspace import Workspace


def main() -> None:
    """Save after three steps, load into a fresh optimizer, do one more, and build a wrong model."""
    run = load_run(TrainingRun)
    backend = prepare_backend(run.device)
    from pretrain_workloads.trainer import setup
    from pretrain_workloads.trainer.megatron import model
    from pretrain_workloads.trainer.megatron.optimizer import build_optimizer

    workspace = Workspace.of_pod()
    workspace.clear()
    training = setup.build_training(run, backend, workspace, StopRequest(workspace))
    training.train()
    chunks, layout = training.model.chunks, training.model.layout
    fresh = build_optimizer(run.spec, chunks[0].config, chunks)
    fresh_training = dataclasses.replace(training, optimizer=fresh)
    marker = training.checkpoints.load(fresh)
    assert marker is not None
    fresh_training.step = marker.step
    fresh_training.run_step()
    states = fresh.chained_optimizers[0].optimizer.state.values()
    steps = [int(state["step"]) for state in states]

    wrong = dataclasses.replace(layout, pattern="*-*-|*-*-")
    try:
        model.build_model(run.spec, wrong, model.model_config(run.spec, wrong))
        refusal = ""
    except RuntimeError as error:
        refusal = str(error)
    sys.stdout.write(json.dumps({"saved": marker.step, "steps": steps, "refusal": refusal}))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

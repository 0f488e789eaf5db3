"""A rank that inspects its own optimizer and model, and prints their state as JSON."""

import dataclasses
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from pretrain_api.runs import TrainingRun
from pretrain_workloads.task import load_run
from pretrain_workloads.trainer.megatron.backend import prepare_backend
from pretrain_workloads.trainer.pod.heartbeat import Heartbeat
from pretrain_workloads.trainer.pod.interrupts import StopRequest
from pretrain_workloads.trainer.pod.rank_failures import NotANumber
from pretrain_workloads.trainer.pod.workspace import Workspace

if TYPE_CHECKING:
    from pretrain_workloads.trainer.training import Training


def main() -> None:
    """Save after three steps, load into a fresh optimizer, do one more; then go wrong twice."""
    run = load_run(TrainingRun)
    backend = prepare_backend(run.device)
    from pretrain_workloads.trainer import setup
    from pretrain_workloads.trainer.megatron import model
    from pretrain_workloads.trainer.megatron.optimizer import build_optimizer

    workspace = Workspace.of_pod()
    workspace.clear()
    training = setup.build_training(
        run, backend, workspace, StopRequest(workspace), Heartbeat(workspace.heartbeats, 0, 600.0)
    )
    training.train()
    chunks, layout = training.model.chunks, training.model.layout
    fresh = build_optimizer(run.spec, chunks[0].config, chunks)
    fresh_training = dataclasses.replace(training, optimizer=fresh)
    marker = training.loader.load(fresh)
    assert marker is not None
    fresh_training.step = marker.step
    fresh_training.run_step()
    states = fresh.chained_optimizers[0].optimizer.state.values()
    steps = [int(state["step"]) for state in states]
    is_isolated = save_while_training(fresh_training)
    norm_failure = run_step_without_a_gradient(fresh_training)

    wrong = dataclasses.replace(layout, pattern="*-*-|*-*-")
    try:
        model.build_model(run.spec, wrong, model.model_config(run.spec, wrong))
        refusal = ""
    except RuntimeError as error:
        refusal = str(error)
    state = {"saved": marker.step, "steps": steps, "refusal": refusal, "norm": norm_failure}
    state |= {"isolated": is_isolated, "moved": load_states_of_a_gpu(fresh_training)}
    sys.stdout.write(json.dumps(state))
    sys.stdout.flush()
    os._exit(0)


def save_while_training(training: "Training") -> bool:
    """Return whether a checkpoint holds the weights from when it began, not from when it ended."""
    from pretrain_workloads.trainer.checkpoint.saver import RunHistory

    parameters = [one for chunk in training.model.chunks for one in chunk.parameters()]
    before = [one.detach().clone() for one in parameters]
    training.saver.begin(training.optimizer, training.step, RunHistory())
    training.run_step()
    training.saver.finish()
    has_changed = any(not one.equal(old) for one, old in zip(parameters, before, strict=True))
    training.loader.load(training.optimizer)
    is_loaded = all(one.equal(old) for one, old in zip(parameters, before, strict=True))
    return has_changed and is_loaded


def load_states_of_a_gpu(training: "Training") -> bool:
    """Return whether a checkpoint whose random states are those of a GPU can be loaded."""
    import torch

    from pretrain_workloads.trainer.checkpoint import rank_state

    state = rank_state.sharded_state(training.model, training.optimizer, True, True)
    loaded = {"random": state["random"].data | {"device": torch.zeros(16, dtype=torch.uint8)}}
    before = torch.get_rng_state()
    rank_state.restore_random_states(loaded)
    return torch.get_rng_state().equal(before)


def run_step_without_a_gradient(training: "Training") -> dict[str, Any]:
    """Run a step whose loss is a number, but whose gradient is none; return what came of it."""
    parameters = [one for chunk in training.model.chunks for one in chunk.parameters()]
    before = [one.detach().clone() for one in parameters]
    hook = parameters[0].register_hook(lambda gradient: gradient * float("nan"))
    try:
        training.run_step()
        failure = ""
    except NotANumber as error:
        failure = str(error)
    hook.remove()
    pairs = zip(parameters, before, strict=True)
    return {"failure": failure, "changed": sum(not one.equal(old) for one, old in pairs)}


if __name__ == "__main__":
    main()

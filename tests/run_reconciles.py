"""What tests of runs under way share: an attempt that trains, how attempts end, held pods."""

import json

from builders import run_spec
from pretrain_api.meta import ATTEMPT_LABEL
from pretrain_api.reports import ExitClass, ExitReport
from reconciles import names, state, with_chain
from simulation import Json, Simulation


async def with_running_run(simulation: Simulation, **spec: object) -> None:
    """Let the first attempt of a run train."""
    with_chain(simulation)
    await simulation.run()
    simulation.apply("PretrainJob", "run", spec=run_spec(**spec))
    await simulation.settle()
    assert simulation.pods.step()
    await simulation.settle()
    assert state(simulation, "PretrainJob", "run") == ("Running", "AttemptRunning")


def end_attempts(simulation: Simulation, *reasons: ExitClass, message: str = "why") -> None:
    """Let the first attempts of every run end for these reasons, and all others succeed."""

    def outcome(job: Json, rank: int) -> ExitReport:
        number = int(job["metadata"]["labels"].get(ATTEMPT_LABEL, 0))
        if 0 < number <= len(reasons):
            return ExitReport(exit_class=reasons[number - 1], message=message, rank=rank)
        return simulation.pods.succeed(job, rank)

    simulation.pods.outcome = outcome


def preempt_first(simulation: Simulation) -> None:
    """Let the first attempt be preempted, and all others succeed."""
    end_attempts(simulation, ExitClass.PREEMPTED)


def document(simulation: Simulation, job: str) -> Json:
    """Return what the pods of a Job read."""
    volumes = simulation.object("Job", job)["spec"]["template"]["spec"]["volumes"]
    (name,) = (volume["configMap"]["name"] for volume in volumes if "configMap" in volume)
    parsed: Json = json.loads(simulation.object("ConfigMap", name)["data"]["spec.json"])
    return parsed


def hold_pods(simulation: Simulation, prefix: str) -> list[str]:
    """Let pods stay after they were deleted, as while they save; return their names."""
    held = [name for name in names(simulation, "Pod") if name.startswith(prefix)]
    for name in held:
        pod = simulation.object("Pod", name)
        meta = {**pod["metadata"], "finalizers": ["node/not-yet"]}
        simulation.server.put("Pod", {**pod, "metadata": meta})
    return held


def release_pods(simulation: Simulation, held: list[str]) -> None:
    """Let pods that were held end at last."""
    for name in held:
        pod = simulation.object("Pod", name)
        simulation.server.put("Pod", {**pod, "metadata": {**pod["metadata"], "finalizers": []}})
        simulation.server.remove("Pod", name)


def attempts(simulation: Simulation, name: str = "run") -> list[Json]:
    """Return the attempts in the status of a run."""
    listed: list[Json] = simulation.object("PretrainJob", name)["status"].get("attempts") or []
    return listed


def reasons(simulation: Simulation, name: str = "run") -> list[str | None]:
    """Return why the attempts of a run have ended; `None` of one that runs."""
    return [attempt.get("reason") for attempt in attempts(simulation, name)]

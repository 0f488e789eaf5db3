"""What Flux and Argo CD make of our statuses, by the checks that the chart ships."""

from typing import Any

import cel
import lupa
import pytest
import yaml

from builders import NOW, make_object
from cluster import ROOT
from pretrain_api.conditions import Reason
from pretrain_api.kinds import KINDS
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.plans import RunPlan
from pretrain_operator.status.pretrainjob import pretrainjob_status
from pretrain_operator.status.wire import to_wire

HEALTH = ROOT / "charts/pretrain-operator/files/health"
CHECKED = sorted(kind.name for kind in KINDS if kind.name != "ComputeProfile")
Json = dict[str, Any]

STATES = {
    "invalid": (State(Phase.INVALID, Reason.INVALID_SPEC, "spec.model: …"), "failed", "Degraded"),
    "waiting": (
        State(Phase.WAITING, Reason.DEPENDENCY_NOT_FOUND, "there is no …"),
        "inProgress",
        "Progressing",
    ),
    "waiting for what is made": (
        State(Phase.WAITING, Reason.WAITING_FOR_DEPENDENCY, "waits for …"),
        "current",
        "Healthy",
    ),
    "waiting for what failed": (
        State(Phase.WAITING, Reason.DEPENDENCY_FAILED, "… failed"),
        "failed",
        "Degraded",
    ),
    "running": (State(Phase.RUNNING, Reason.ATTEMPT_RUNNING, "runs"), "current", "Healthy"),
    "restarting": (State(Phase.RESTARTING, Reason.RESTARTING, "…"), "current", "Healthy"),
    "blocked": (State(Phase.BLOCKED, Reason.NAME_TAKEN, "…"), "failed", "Degraded"),
    "suspended": (State(Phase.SUSPENDED, Reason.SUSPENDED, "…"), "current", "Suspended"),
    "queued": (State(Phase.QUEUED, Reason.QUEUED, "…"), "current", "Suspended"),
    "complete": (State(Phase.COMPLETE, Reason.COMPLETE, "…"), "current", "Healthy"),
    "failed": (State(Phase.FAILED, Reason.OUT_OF_MEMORY, "…"), "failed", "Degraded"),
}


def shown(state: State, generation: int = 1) -> Json:
    """Return a run as the API server shows it; `generation` is above 1 after an edit."""
    status = pretrainjob_status(Observation(make_object("PretrainJob")), RunPlan(state), NOW)
    return {"metadata": {"name": "run", "generation": generation}, "status": to_wire(status)}


def flux(item: Json, kind: str = "PretrainJob") -> str:
    """Return what Flux decides: in progress, else failed, else current."""
    (manifest,) = yaml.safe_load_all((HEALTH / "flux.yaml").read_text(encoding="utf-8"))
    (check,) = (one for one in manifest["spec"]["healthCheckExprs"] if one["kind"] == kind)
    for name in ("inProgress", "failed", "current"):
        context = cel.Context()
        for field, value in item.items():
            context.add_variable(field, value)
        if cel.compile(check[name]).execute(context) is True:
            return name
    return "inProgress"


def argo(item: Json, kind: str = "PretrainJob") -> str:
    """Return what Argo CD decides."""
    text = (HEALTH / "argocd-cm.yaml").read_text(encoding="utf-8")
    script = yaml.safe_load(text)["data"][f"resource.customizations.health.pretrain.dev_{kind}"]
    runtime = lupa.LuaRuntime()
    runtime.globals()["obj"] = runtime.table_from(item, recursive=True)
    return str(runtime.execute(script)["status"])


@pytest.mark.parametrize("name", STATES)
def test_every_phase_has_one_health(name: str) -> None:
    state, of_flux, of_argo = STATES[name]
    item = shown(state)
    assert flux(item) == of_flux
    assert argo(item) == of_argo


def test_an_object_that_was_edited_is_in_progress_until_the_operator_has_seen_it() -> None:
    item = shown(STATES["complete"][0], generation=2)
    assert flux(item) == "inProgress"
    assert argo(item) == "Progressing"


def test_an_object_without_a_status_is_in_progress() -> None:
    """Flux waits while a field of an expression does not exist."""
    assert argo({"metadata": {"name": "run", "generation": 1}}) == "Progressing"


def test_the_example_has_the_checks_of_the_chart() -> None:
    text = (HEALTH / "flux.yaml").read_text(encoding="utf-8")
    example = (ROOT / "examples/gitops/flux.yaml").read_text(encoding="utf-8")
    (shipped,) = yaml.safe_load_all(text)
    *_, kustomization = yaml.safe_load_all(example)
    assert kustomization["spec"]["healthCheckExprs"] == shipped["spec"]["healthCheckExprs"]


def test_every_phase_is_listed_and_every_kind_has_both_checks() -> None:
    assert {state.phase for state, _, _ in STATES.values()} == set(Phase)
    flux_text = (HEALTH / "flux.yaml").read_text(encoding="utf-8")
    checks = yaml.safe_load(flux_text)["spec"]["healthCheckExprs"]
    assert sorted(check["kind"] for check in checks) == CHECKED
    assert len({(c["inProgress"], c["failed"], c["current"]) for c in checks}) == 1
    argo_text = (HEALTH / "argocd-cm.yaml").read_text(encoding="utf-8")
    scripts = yaml.safe_load(argo_text)["data"]
    assert sorted(key.rpartition("_")[2] for key in scripts) == CHECKED
    assert len(set(scripts.values())) == 1

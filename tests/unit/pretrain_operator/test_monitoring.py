"""Alerts and dashboard ask for metrics that exist, in expressions that Prometheus reads."""

import json
import re
from collections.abc import Iterator

import promql_parser
import pytest
import yaml
from prometheus_client import REGISTRY

import pretrain_operator.metrics
from builders import make_body
from helm import CHART
from pretrain_api.v1alpha1.progress import CheckpointStatus, Progress, ValidationLoss
from pretrain_operator.observed.objects import parse_object
from pretrain_workloads.trainer.progress.progress_server import metrics

ALERTS = yaml.safe_load((CHART / "files/alerts.yaml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((CHART / "files/dashboard.json").read_text(encoding="utf-8"))
OURS = re.compile(r"\b(?:pretrain|controller_runtime|rest_client|workqueue|process)_[a-z_]+")


def expressions() -> Iterator[str]:
    """Yield every expression of the alerts and the dashboard."""
    for group in ALERTS["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def exported() -> set[str]:
    """Return the names of all metrics: of the operator, and of a run that has everything."""
    names = {sample.name for metric in REGISTRY.collect() for sample in metric.samples}
    names |= {name for metric in REGISTRY.collect() for name in sample_names(metric.name)}
    at = "2026-01-01T00:00:00Z"
    numbers = dict.fromkeys(Progress.model_fields, 1)
    lists = {
        "checkpoint": CheckpointStatus(step=1, uri="s3://a/b", at=at),
        "validation": [ValidationLoss(name="zh", perplexity=1.0)],
        "rollbacks": [],
    }
    everything = Progress().model_copy(update={**numbers, **lists})
    text = metrics(everything).decode()
    return names | set(re.findall(r"^(\w+)", text, re.MULTILINE))


def sample_names(metric: str) -> Iterator[str]:
    """Yield the names of samples that a metric has once it has labels."""
    yield from (metric, f"{metric}_total", f"{metric}_bucket")


@pytest.mark.parametrize("expression", [*expressions()])
def test_an_expression_is_readable_and_its_metrics_exist(expression: str) -> None:
    promql_parser.parse(expression)
    names = set(OURS.findall(re.sub(r'"[^"]*"', "", expression)))
    names -= {"pretrain_operator"}
    assert names
    assert names <= exported()


def test_every_alert_says_how_bad_it_is_and_what_has_happened() -> None:
    for rule in ALERTS["groups"][0]["rules"]:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert len(rule["annotations"]["summary"]) < 100


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for y in range(place["y"], place["y"] + place["h"]):
            for x in range(place["x"], place["x"] + place["w"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_objects_are_counted_by_phase_and_attempts_by_how_they_ended() -> None:
    attempts = [{"number": 1, "reason": "preempted"}, {"number": 2}]
    known = {"phase": "Running", "attempts": attempts, "goodput": {"share": 0.97}}
    running = make_body("PretrainJob", "a", status=known)
    new = make_body("PretrainJob", "b", status={})
    profile = make_body("ComputeProfile", "cpu", status={})
    bodies = (("PretrainJob", running), ("PretrainJob", new), ("ComputeProfile", profile))
    objects = [parse_object(kind, body) for kind, body in bodies]
    for _ in range(2):  # a second scrape counts nothing twice
        pretrain_operator.metrics.count_objects(objects)
    assert value("pretrain_objects", kind="PretrainJob", phase="Running") == 1
    assert value("pretrain_objects", kind="PretrainJob", phase="New") == 1
    assert value("pretrain_goodput", run_namespace="default", run="a") == 0.97
    assert value("pretrain_attempts", reason="preempted") == 1
    assert value("pretrain_attempts", reason="running") == 1
    pretrain_operator.metrics.count_objects([])
    assert value("pretrain_objects", kind="PretrainJob", phase="Running") is None


def value(name: str, **labels: str) -> float | None:
    """Return the value of a metric."""
    return REGISTRY.get_sample_value(name, labels)

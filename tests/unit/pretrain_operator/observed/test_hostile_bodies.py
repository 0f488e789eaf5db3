"""Bodies of Jobs, pods and Events that users, controllers of others or broken programs write.

The API server checks types, but not the text of labels, annotations, messages and reports. A body
that could not be parsed would end the process: nobody's run would be reconciled any more.
"""

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import NOW, at, make_report
from pretrain_api.meta import ATTEMPT_LABEL, LARGEST_INTEGER
from pretrain_api.reports import ExitClass
from pretrain_operator.cluster.store import Store
from pretrain_operator.observed.events import parse_event
from pretrain_operator.observed.jobs import parse_job
from pretrain_operator.observed.objects import parse_integer
from pretrain_operator.observed.pods import LOST_AFTER_SECONDS, parse_pod, parse_report

Json = dict[str, Any]

TIME = "2026-01-02T03:04:05Z"
texts = st.text(max_size=20) | st.sampled_from(["", "-1", "1.5", "٣", "²", "9" * 5000, "main"])
labels = st.dictionaries(
    st.sampled_from([ATTEMPT_LABEL, "pretrain.dev/stage", "pretrain.dev/kind", "x"]), texts
)
annotations = st.dictionaries(
    st.sampled_from(["batch.kubernetes.io/job-completion-index", "pretrain.dev/config-map"]), texts
)
numbers = st.integers(0, 2**31 - 1)
times = st.just(TIME)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Give any subset of the fields; each may also be null."""
    return st.fixed_dictionaries({}, optional={name: st.none() | f for name, f in fields.items()})


owners = st.lists(some(kind=texts, name=texts, uid=texts, controller=st.booleans()), max_size=3)
metadata = st.builds(
    lambda required, rest: {**required, **rest},
    st.just({"name": "x", "uid": "u", "namespace": "default"}),
    some(
        labels=labels,
        annotations=annotations,
        ownerReferences=owners,
        resourceVersion=st.sampled_from(["1", "", "12345678901234567890123"]),
        deletionTimestamp=times,
        creationTimestamp=times,
    ),
)
conditions = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["Failed", "Complete", "FailureTarget", "PodScheduled", "x"]),
            "status": st.sampled_from(["True", "False", "Unknown"]),
        },
        optional={"reason": texts, "message": texts, "lastTransitionTime": times},
    ),
    max_size=4,
)
terminated = some(exitCode=st.integers(-1, 255), reason=texts, message=texts, finishedAt=times)
containers = st.lists(
    some(name=texts, state=some(terminated=terminated, waiting=some(reason=texts, message=texts))),
    max_size=3,
)
jobs = st.fixed_dictionaries(
    {"metadata": metadata},
    optional={
        "spec": some(completions=numbers, parallelism=numbers, suspend=st.booleans()),
        "status": some(
            succeeded=numbers, conditions=conditions, startTime=times, completionTime=times
        ),
    },
)
pods = st.fixed_dictionaries(
    {"metadata": metadata},
    optional={
        "spec": some(nodeName=texts),
        "status": some(
            phase=texts,
            podIP=texts,
            reason=texts,
            message=texts,
            conditions=conditions,
            containerStatuses=containers,
        ),
    },
)


@settings(max_examples=60)
@given(jobs)
def test_any_job_is_parsed_and_stored(body: Json) -> None:
    job = parse_job(body)
    assert 0 <= job.attempt <= LARGEST_INTEGER
    assert job.completions >= 1
    assert job.is_finished == (job.complete or job.failed)
    Store(lambda key, _: None).replace("Job", [body], "1")


@settings(max_examples=60)
@given(pods)
def test_any_pod_is_parsed_and_stored(body: Json) -> None:
    pod = parse_pod(body)
    assert 0 <= pod.rank <= LARGEST_INTEGER
    assert len(pod.waiting) <= 300
    if pod.end is not None:
        assert len(pod.end.last_line) <= 300
        assert "\n" not in pod.end.last_line
    if pod.job_uid:
        owners = body["metadata"]["ownerReferences"]
        assert {"kind": "Job", "uid": pod.job_uid, "controller": True}.items() <= {
            key: value
            for owner in owners
            if owner.get("uid") == pod.job_uid
            for key, value in owner.items()
        }.items()
    Store(lambda key, _: None).replace("Pod", [body], "1")


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.5", "1e3", " 1", "1_0", "٣", "²", "9" * 5000])
def test_a_text_that_is_no_number_of_ours_is_zero(text: str) -> None:
    assert parse_integer(text) == 0


def test_every_number_that_we_write_is_read_back() -> None:
    for number in (0, 1, 99_999, 2**31 - 1):
        assert parse_integer(str(number)) == number


@pytest.mark.parametrize("at_name", ["main", "sidecar"])
def test_only_the_container_of_the_workload_counts(at_name: str) -> None:
    """Meshes and other webhooks add containers, which end in another way."""
    ended = {"terminated": {"exitCode": 65, "reason": "Error", "message": "bad"}}
    statuses = [{"name": "proxy", "state": {"terminated": {"exitCode": 1}}}]
    statuses.insert(0 if at_name == "sidecar" else 1, {"name": at_name, "state": ended})
    body = {"metadata": {"name": "x", "uid": "u", "namespace": "default"}}
    pod = parse_pod({**body, "status": {"phase": "Failed", "containerStatuses": statuses}})
    assert (pod.end.exit_code if pod.end else None) == (65 if at_name == "main" else None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '"complete"',
        '{"class": "aClassOfALaterVersion"}',
        '{"class": "complete", "rank": -1}',
        '{"class": "complete", "rank": 9223372036854775808}',
        '{"class": "complete", "seconds": "long"}',
        '{"class": "complete", "counts": {"read": 1.5}}',
        '{"class": "complete", "artifact": {"uri": "s3://b"}}',
        '{"class": "complete", "message": "\\ud800"}',
        '{"class": "complete"',
        '{"class": "complete", "rank": ' + "9" * 5000 + "}",
        "[" * 4096,
        '{"class": "complete", "pipeline": ' + '{"a":' * 700,
    ],
    ids=lambda text: text[:60],
)
def test_a_message_that_is_no_report_is_none(text: str) -> None:
    assert parse_report(text) is None


@given(st.sampled_from(ExitClass), st.text(max_size=50), st.integers(0, LARGEST_INTEGER))
def test_every_report_is_read_back(exit_class: ExitClass, message: str, count: int) -> None:
    report = make_report(exit_class, message=message, counts={"read": count}, rank=count)
    text = report.model_dump_json(by_alias=True, exclude_none=True)
    assert parse_report(text) == report
    later = {**json.loads(text), "aFieldOfALaterVersion": {"a": 1}}
    assert parse_report(json.dumps(later)) == report


def test_a_report_is_as_deep_as_the_interpreter_allows_and_no_deeper() -> None:
    deep = '{"class": "complete", "x": ' + "[" * sys.getrecursionlimit() * 10
    assert parse_report(deep) is None


@pytest.mark.parametrize(("seconds", "want"), [(0, False), (30, False), (31, True), (1e6, True)])
def test_a_pod_is_lost_only_some_time_after_its_grace_period(seconds: float, want: bool) -> None:
    body = {"metadata": {"name": "x", "uid": "u", "namespace": "d", "deletionTimestamp": TIME}}
    assert LOST_AFTER_SECONDS == 30
    assert parse_pod(body).is_lost(at(seconds)) is want
    del body["metadata"]["deletionTimestamp"]
    assert not parse_pod(body).is_lost(at(seconds))


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({}, -60),
        ({"lastTimestamp": None, "eventTime": None, "series": None}, -60),
        ({"eventTime": "2026-01-02T03:04:05.123456Z"}, 0.123456),
        ({"lastTimestamp": TIME}, 0),
        ({"lastTimestamp": None, "series": {"lastObservedTime": "2026-01-02T04:04:06+01:00"}}, 1),
        ({"lastTimestamp": TIME, "series": {"count": 2, "lastObservedTime": None}}, 0),
    ],
)
def test_an_event_has_the_time_of_its_last_occurrence(fields: Json, want: float) -> None:
    created = "2026-01-02T03:03:05Z"
    event = parse_event({"metadata": {"name": "e", "creationTimestamp": created}, **fields})
    assert (event.at - NOW).total_seconds() == pytest.approx(want)
    assert (event.reason, event.message) == ("", "")

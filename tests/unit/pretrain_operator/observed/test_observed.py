from typing import Any

from builders import make_report
from pretrain_api.reports import ExitClass
from pretrain_operator.observed.jobs import parse_job
from pretrain_operator.observed.pods import parse_pod

POD: dict[str, Any] = {
    "metadata": {
        "name": "x-list-1-abcde",
        "uid": "u",
        "namespace": "default",
        "labels": {"batch.kubernetes.io/job-name": "x-list"},
        "annotations": {"batch.kubernetes.io/job-completion-index": "1"},
    },
    "spec": {"nodeName": "node-1"},
}


def terminated(code: int, message: str, reason: str = "Error") -> dict[str, Any]:
    state = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    return {"phase": "Failed", "containerStatuses": [{"name": "main", "state": state}]}


def test_a_report_is_read_from_the_termination_message() -> None:
    report = make_report(ExitClass.USER_ERROR, message="spec.sources[0].uri: no file")
    pod = parse_pod({**POD, "status": terminated(64, report.model_dump_json(by_alias=True))})
    assert pod.report == report
    assert (pod.job, pod.rank, pod.node) == ("x-list", 1, "node-1")


def test_a_report_with_fields_of_a_later_version_is_read() -> None:
    pod = parse_pod({**POD, "status": terminated(1, '{"class": "infrastructure", "new": 1}')})
    assert pod.report is not None
    assert pod.report.exit_class is ExitClass.INFRASTRUCTURE


def test_the_last_line_of_a_message_without_a_report_is_kept() -> None:
    pod = parse_pod({**POD, "status": terminated(1, "Traceback\nKeyError: 'x'\n")})
    assert pod.report is None
    assert pod.end is not None
    assert pod.end.last_line == "KeyError: 'x'"


def test_a_process_that_is_killed_after_its_report_is_not_complete() -> None:
    report = make_report().model_dump_json(by_alias=True)
    assert parse_pod({**POD, "status": terminated(137, report)}).report is None


def test_a_waiting_pod_has_reason_and_message_of_its_container() -> None:
    state = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling "x"'}}
    status = {"phase": "Pending", "containerStatuses": [{"name": "main", "state": state}]}
    assert parse_pod({**POD, "status": status}).waiting == 'ImagePullBackOff: Back-off pulling "x"'


def test_an_image_that_cannot_be_pulled_has_the_same_message_between_two_pulls() -> None:
    why = "failed to resolve reference: not found"
    during = {"reason": "ErrImagePull", "message": why}
    pause = f'Back-off pulling image "registry.example/x:1": ErrImagePull: {why}'
    between = {"reason": "ImagePullBackOff", "message": pause}
    for waiting in (during, between):
        containers = [{"name": "main", "state": {"waiting": waiting}}]
        status = {"phase": "Pending", "containerStatuses": containers}
        assert parse_pod({**POD, "status": status}).waiting == f"ErrImagePull: {why}"


def test_a_pod_whose_container_is_being_created_has_no_waiting_reason() -> None:
    state = {"waiting": {"reason": "ContainerCreating"}}
    status = {"phase": "Pending", "containerStatuses": [{"name": "main", "state": state}]}
    assert parse_pod({**POD, "status": status}).waiting == ""


def test_a_pod_without_a_node_has_the_message_of_the_scheduler() -> None:
    unscheduled = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
    }
    pod = parse_pod({**POD, "status": {"phase": "Pending", "conditions": [unscheduled]}})
    assert pod.waiting.startswith("Unschedulable: 0/1 nodes are available")


def test_a_job_is_failing_before_it_has_failed() -> None:
    target = {"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy"}
    job = parse_job(
        {
            "metadata": {"name": "j", "uid": "u", "namespace": "default"},
            "spec": {"completions": 2, "parallelism": 0},
            "status": {"conditions": [target], "succeeded": 1},
        }
    )
    assert (job.failing, job.failed, job.is_finished) == (True, False, False)
    assert (job.completions, job.parallelism, job.succeeded) == (2, 0, 1)
    assert job.failure_reason == "PodFailurePolicy"

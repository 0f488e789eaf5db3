"""Read what lies in a cluster's storage: by a short pod with the storage's volumes and Secrets.

The storage may be a volume, or a bucket that only pods can reach: so the text comes through the log
of a pod, which everybody sees who may start one.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import urllib3
from kubernetes import client, watch

from pretrain_api.problems import InvalidManifest
from pretrain_api.reports import READING_BEGINS, READING_ENDS, ExitReport
from pretrain_operator.build.reader_job import ReaderJob, build_document, build_reader
from pretrain_operator.observed.objects import ObservedObject

_TIMEOUT_SECONDS = 20
"""Timeout of a request to the API server, for connecting and for each read."""


def read_text(owner: ObservedObject, reader: ReaderJob) -> str:
    """Run a reader and return its text; its Job is deleted then. `connect` comes first.

    Raises:
        InvalidManifest: If it may not be created, does not start or end in time, or has failed.
    """
    jobs, core = client.BatchV1Api(), client.CoreV1Api()
    namespace = owner.key.namespace
    try:
        job = jobs.create_namespaced_job(
            namespace, build_reader(owner, reader), _request_timeout=_TIMEOUT_SECONDS
        )
        try:
            core.create_namespaced_config_map(
                namespace,
                build_document(reader, job.metadata.uid),
                _request_timeout=_TIMEOUT_SECONDS,
            )
            return _text(core, _ended_pod(core, namespace, reader))
        finally:
            jobs.delete_namespaced_job(
                reader.name,
                namespace,
                propagation_policy="Background",
                _request_timeout=_TIMEOUT_SECONDS,
            )
    except client.ApiException as error:
        raise InvalidManifest([_refusal(error)]) from None
    except urllib3.exceptions.HTTPError as error:
        server = core.api_client.configuration.host
        raise InvalidManifest([f"the API server {server} does not answer: {error}"]) from None


def _ended_pod(core: client.CoreV1Api, namespace: str, reader: ReaderJob) -> Any:
    """Wait for the end of the reader's pod, and say on stderr what it waits for."""
    state = "no pod was created"
    for event in _events(core, namespace, reader):
        pod = event["object"]
        if pod.status.phase in ("Succeeded", "Failed"):
            return pod
        if event["type"] == "DELETED":
            raise InvalidManifest([f"pod {pod.metadata.name} was deleted before it had ended"])
        now = f"pod {pod.metadata.name}: {_state(pod)}"
        if now != state:
            sys.stderr.write(f"{now}\n")
        state = now
    raise InvalidManifest([f"nothing was read within {reader.seconds} s: {state}"])


def _events(core: client.CoreV1Api, namespace: str, reader: ReaderJob) -> Iterator[Any]:
    """Yield what happens to the reader's pods until its time is over; a watch may end before."""
    selector = f"batch.kubernetes.io/job-name={reader.name}"
    deadline = time.monotonic() + reader.seconds
    while (left := deadline - time.monotonic()) > 0:
        yield from watch.Watch().stream(
            core.list_namespaced_pod,
            namespace,
            label_selector=selector,
            timeout_seconds=max(1, int(left)),
        )


def _state(pod: Any) -> str:
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status == "False":
            return f"is not scheduled: {condition.message}"
    for container in pod.status.container_statuses or []:
        waiting = container.state.waiting
        if waiting is not None:
            return ": ".join(part for part in (waiting.reason, waiting.message) if part)
    return str(pod.status.phase)


def _text(core: client.CoreV1Api, pod: Any) -> str:
    """Return what the pod printed between its two lines.

    Raises:
        InvalidManifest: If it has failed, or if a part of its text is missing.
    """
    report, name = _report(pod), pod.metadata.name
    if pod.status.phase == "Failed" or report is None:
        why = report.message if report else f"{pod.status.reason or 'it left no report'}"
        raise InvalidManifest([f"pod {name} could not read it: {why}"])
    response = core.read_namespaced_pod_log(
        name, pod.metadata.namespace, _preload_content=False, _request_timeout=_TIMEOUT_SECONDS
    )
    log: bytes = response.data
    _, begins, rest = log.partition(f"{READING_BEGINS}\n".encode())
    text, ends, _ = rest.rpartition(f"\n{READING_ENDS}\n".encode())
    if not begins or not ends or len(text) != report.counts.get("bytes"):
        raise InvalidManifest(
            [f"pod {name}: its log of {len(log):,} bytes is not whole; try again"]
        )
    return text.decode()


def _report(pod: Any) -> ExitReport | None:
    for container in pod.status.container_statuses or []:
        ended = container.state.terminated
        try:
            return ExitReport.model_validate(json.loads(ended.message), extra="ignore")
        except (AttributeError, TypeError, ValueError):
            continue
    return None


def _refusal(error: client.ApiException) -> str:
    """Return what the API server refused, in its own words."""
    try:
        why = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        why = f"{error.status} {error.reason}"
    message = f"the API server refused it: {why}"
    if error.status == 403:
        message += "; use a user who may create and delete Jobs and ConfigMaps, and read pods/log"
    return message

"""Pods on the process node: their inputs, how they end, the status in the API server."""

import base64

import pytest

from cluster import Namespace, is_condition, is_phase, wait_until
from pods import Json, make_container, make_indexed_job, make_pod, make_pod_spec, terminated
from pretrain_local import procfs
from pretrain_local.node.runtime.survivors import MARKER_VARIABLE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

_WRITE_MESSAGE = "open('/pretrain/termination-log', 'w').write({})"


def test_an_indexed_job_completes_and_each_pod_knows_its_rank(space: Namespace) -> None:
    script = _WRITE_MESSAGE.format("__import__('os').environ['JOB_COMPLETION_INDEX']")
    space.apply(make_indexed_job("ranks", 3, make_pod_spec(make_container(script))))
    space.wait_for("job", "ranks", is_condition("Complete"))
    pods = space.list("pods", "job-name=ranks")
    assert sorted(terminated(pod)["message"] for pod in pods) == ["0", "1", "2"]


def test_exit_codes_reach_the_failure_policy_of_a_job(space: Namespace) -> None:
    on_64 = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [64]}}
    space.apply(
        make_indexed_job(
            "refused",
            1,
            make_pod_spec(make_container("raise SystemExit(64)")),
            backoffLimit=6,
            podFailurePolicy={"rules": [on_64]},
        )
    )
    job = space.wait_for("job", "refused", is_condition("Failed"))
    reasons = {c["reason"] for c in job["status"]["conditions"] if c["type"] == "Failed"}
    assert reasons == {"PodFailurePolicy"}
    (pod,) = space.list("pods", "job-name=refused")
    assert terminated(pod)["exitCode"] == 64
    assert terminated(pod)["reason"] == "Error"


_SETTINGS_AND_KEYS: tuple[Json, ...] = (
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
     "data": {"colour": "blue", "shape": "round"}},
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"},
     "data": {"token": base64.b64encode(b"hidden").decode()}},
)  # fmt: skip


def test_a_container_gets_its_variables_arguments_and_volumes(space: Namespace) -> None:
    space.apply(*_SETTINGS_AND_KEYS)
    names = ["POD", "TEAM", "LIMIT", "COLOUR", "TOKEN", "all_shape", "GREETING"]
    script = (
        "import os, sys, pathlib;"
        f"values = [os.environ[name] for name in {names}];"
        "values += [open('/pretrain/config/colour').read()];"
        "values += [open('/pretrain/secrets/keys/token').read()];"
        "values += [open('/pretrain/facts/labels').read(), sys.argv[1]];"
        "values += [os.environ['POD_IP']];" + _WRITE_MESSAGE.format("'|'.join(values)")
    )
    container = make_container(
        script,
        args=["$(COLOUR)-$$(COLOUR)"],
        resources={"limits": {"memory": "1Gi"}},
        env=[
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "TEAM", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['team']"}}},
            {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
            {"name": "COLOUR", "valueFrom": {
                "configMapKeyRef": {"name": "settings", "key": "colour"}}},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
            {"name": "GREETING", "value": "$(POD) in $(COLOUR)"},
        ],
        envFrom=[{"prefix": "all_", "configMapRef": {"name": "settings"}}],
        volumeMounts=[
            {"name": "config", "mountPath": "/pretrain/config"},
            {"name": "keys", "mountPath": "/pretrain/secrets/keys"},
            {"name": "facts", "mountPath": "/pretrain/facts"},
        ],
    )  # fmt: skip
    pod = make_pod("inputs", "")
    pod["spec"] = make_pod_spec(
        container,
        volumes=[
            {"name": "config", "configMap": {"name": "settings"}},
            {"name": "keys", "secret": {"secretName": "keys"}},
            {"name": "facts", "projected": {"sources": [{"downwardAPI": {"items": [
                {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]}},
        ],
    )  # fmt: skip
    space.apply(pod)
    pod = space.wait_for("pod", "inputs", is_phase("Succeeded", "Failed"))
    want = ["inputs", "tests", str(2**30), "blue", "hidden", "round", "inputs in blue", "blue",
            "hidden", 'team="tests"', "blue-$(COLOUR)", pod["status"]["podIP"]]  # fmt: skip
    assert terminated(pod)["message"].split("|") == want


def test_a_missing_secret_is_named_and_its_arrival_heals_the_pod(space: Namespace) -> None:
    container = make_container(
        "pass", volumeMounts=[{"name": "keys", "mountPath": "/pretrain/secrets/later"}]
    )
    pod = make_pod("waits", "")
    volume = {"name": "keys", "secret": {"secretName": "later"}}
    pod["spec"] = make_pod_spec(container, volumes=[volume])
    space.apply(pod)

    def is_config_error(item: Json) -> bool:
        state = item.get("status", {}).get("containerStatuses", [{}])[0].get("state", {})
        return bool(state.get("waiting", {}).get("reason") == "CreateContainerConfigError")

    pod = space.wait_for("pod", "waits", is_config_error, seconds=15)
    message = pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    assert 'secret "later" not found' in message
    space.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "later"}})
    space.wait_for("pod", "waits", is_phase("Succeeded"), seconds=15)


def test_init_containers_run_first_and_share_volumes(space: Namespace) -> None:
    mounts = [{"name": "scratch", "mountPath": "/pretrain/scratch"}]
    write = "open('/pretrain/scratch/{0}', 'w').write('{0}')"
    read = "''.join(open(f'/pretrain/scratch/{n}').read() for n in 'ab')"
    pod = make_pod("ordered", "")
    pod["spec"] = make_pod_spec(
        make_container(_WRITE_MESSAGE.format(read), volumeMounts=mounts),
        initContainers=[
            make_container(write.format("a"), "first", volumeMounts=mounts),
            make_container(write.format("b"), "second", volumeMounts=mounts),
        ],
        volumes=[{"name": "scratch", "emptyDir": {}}],
    )
    space.apply(pod)
    pod = space.wait_for("pod", "ordered", is_phase("Succeeded", "Failed"))
    assert terminated(pod)["message"] == "ab"
    assert terminated(pod, "initContainerStatuses")["reason"] == "Completed"


def test_a_failed_init_container_fails_the_pod_and_the_rest_never_starts(
    space: Namespace,
) -> None:
    first = make_container("raise SystemExit(3)", "first")
    pod = make_pod("halted", "")
    pod["spec"] = make_pod_spec(make_container("pass"), initContainers=[first])
    space.apply(pod)
    pod = space.wait_for("pod", "halted", is_phase("Failed"))
    assert terminated(pod, "initContainerStatuses")["exitCode"] == 3
    main = pod["status"]["containerStatuses"][0]["state"]
    assert main["waiting"]["reason"] == "PodInitializing"


def test_a_program_that_ignores_the_request_to_stop_is_killed(space: Namespace) -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); time.sleep(600)"
    )
    space.apply(make_pod("deaf", script))
    space.wait_for("pod", "deaf", is_phase("Running"))
    wait_until(lambda: "deaf" in _log(space, "deaf") or None, "the log")
    space.delete("pod", "deaf", "--grace-period=1")
    assert space.get("pod", "deaf") is None


def test_a_program_may_finish_its_work_when_it_is_asked_to_stop(space: Namespace) -> None:
    script = (
        "import signal, sys, time;"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(143)));"
        "print('ready', flush=True); time.sleep(600)"
    )
    space.apply(make_pod("polite", script))
    space.wait_for("pod", "polite", is_phase("Running"))
    wait_until(lambda: "ready" in _log(space, "polite") or None, "the log")
    space.kubectl("patch", "pod", "polite", "-p", '{"spec": {"activeDeadlineSeconds": 1}}')
    pod = space.wait_for("pod", "polite", is_phase("Failed"))
    assert pod["status"]["reason"] == "DeadlineExceeded"
    assert terminated(pod)["exitCode"] == 143
    assert _log(space, "pod/polite").splitlines() == ["ready", "saved"]


def test_children_do_not_outlive_the_main_process(space: Namespace) -> None:
    script = (
        "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True);"
        + _WRITE_MESSAGE.format("'left a child'")
    )
    space.apply(make_pod("parent", script))
    pod = space.wait_for("pod", "parent", is_phase("Succeeded", "Failed"))
    assert pod["status"]["phase"] == "Succeeded"
    local = space.cluster.local
    assert local is not None
    folder = local.files.pods / pod["metadata"]["uid"]
    assert procfs.with_environment(f"{MARKER_VARIABLE}={folder}/") == []


def test_too_much_memory_ends_as_oom_killed(space: Namespace) -> None:
    limits = {"limits": {"memory": "64Mi"}}
    script = (
        "import time; held = bytearray(300_000_000); held[::4096] = held[1::4096]; time.sleep(60)"
    )
    pod = make_pod("greedy", "")
    pod["spec"] = make_pod_spec(make_container(script, resources=limits))
    space.apply(pod)
    pod = space.wait_for("pod", "greedy", is_phase("Failed"))
    assert terminated(pod)["reason"] == "OOMKilled"
    assert terminated(pod)["exitCode"] == 137


def test_a_missing_program_is_named(space: Namespace) -> None:
    pod = make_pod("lost", "")
    pod["spec"] = make_pod_spec(make_container("", command=["no-such-program"]))
    space.apply(pod)
    pod = space.wait_for("pod", "lost", is_phase("Failed"))
    assert terminated(pod)["reason"] == "StartError"
    assert "no-such-program" in terminated(pod)["message"]


def test_a_container_is_restarted_with_a_back_off(space: Namespace) -> None:
    mounts = [{"name": "scratch", "mountPath": "/pretrain/scratch"}]
    script = (
        "import pathlib, sys; marker = pathlib.Path('/pretrain/scratch/seen');"
        "again = marker.exists(); marker.touch(); print('again' if again else 'first');"
        "sys.exit(0 if again else 7)"
    )
    pod = make_pod("retried", "")
    pod["spec"] = make_pod_spec(
        make_container(script, volumeMounts=mounts),
        restartPolicy="OnFailure",
        volumes=[{"name": "scratch", "emptyDir": {}}],
    )
    space.apply(pod)
    pod = space.wait_for("pod", "retried", is_phase("Succeeded"))
    status = pod["status"]["containerStatuses"][0]
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 7
    assert _log(space, "retried").strip() == "again"
    assert space.kubectl("logs", "retried", "--previous").strip() == "first"


def test_logs_are_shown_and_followed(space: Namespace) -> None:
    mounts = [{"name": "gate", "mountPath": "/pretrain/gate"}]
    script = "for number in range(50): print('line', number)"
    pod = make_pod("talks", "")
    pod["spec"] = make_pod_spec(
        make_container(script, volumeMounts=mounts), volumes=[{"name": "gate", "emptyDir": {}}]
    )
    space.apply(pod)
    space.wait_for("pod", "talks", is_phase("Succeeded"))
    lines = [f"line {number}" for number in range(50)]
    assert _log(space, "talks").splitlines() == lines
    assert space.kubectl("logs", "-f", "talks").splitlines() == lines
    assert space.kubectl("logs", "--tail=2", "talks").splitlines() == lines[-2:]


def test_the_service_account_token_opens_the_api_server(space: Namespace) -> None:
    script = (
        "import os, pathlib, ssl, urllib.error, urllib.request;"
        "root = pathlib.Path(os.environ.get('PRETRAIN_ROOT', '/pretrain')).parent;"
        "folder = root / 'var/run/secrets/kubernetes.io/serviceaccount';"
        "context = ssl.create_default_context(cafile=folder / 'ca.crt');"
        "host, port = (os.environ['KUBERNETES_SERVICE_' + n] for n in ('HOST', 'PORT'));"
        "token = (folder / 'token').read_text();"
        "request = urllib.request.Request(f'https://{host}:{port}/apis',"
        " headers={'Authorization': f'Bearer {token}'});"
        "code = urllib.request.urlopen(request, context=context).status;"
    )
    pod = make_pod("inside", script + _WRITE_MESSAGE.format("str(code)"))
    pod["spec"]["automountServiceAccountToken"] = True
    space.apply(pod)
    pod = space.wait_for("pod", "inside", is_phase("Succeeded", "Failed"))
    assert terminated(pod)["message"] == "200", _log(space, "inside")


def _log(space: Namespace, name: str) -> str:
    return space.kubectl("logs", name)

"""Several pods at once: they find each other by name, and each GPU is given to one."""

import pytest

from cluster import Namespace, is_condition, is_phase
from pods import Json, make_container, make_indexed_job, make_pod, make_pod_spec, terminated

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

_SCRIPT = """
import os, socket, time

def resolve(name):
    file = os.environ.get("PRETRAIN_HOSTS", "/etc/hosts")
    for line in open(file):
        address, *names = line.split() or [""]
        if name in names:
            return address

own = os.environ["POD_IP"]
rank, host = int(os.environ["JOB_COMPLETION_INDEX"]), os.environ["LEADER"]
deadline = time.monotonic() + 30
while (address := resolve("{job}-0.{job}")) is None and time.monotonic() < deadline:
    time.sleep(0.05)
if rank == 0:
    server = socket.create_server((own, 29500))
    peer, (source, _) = server.accept()
    message = peer.recv(100).decode()
else:
    while True:
        try:
            peer = socket.create_connection((address, 29500), source_address=(own, 0))
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    peer.sendall(b"hello from " + own.encode())
    message = host
open("/pretrain/termination-log", "w").write(message)
"""


def _job(name: str) -> Json:
    container = make_container(
        _SCRIPT.replace("{job}", name),
        env=[
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "LEADER", "value": f"{name}-0.{name}:29500"},
        ],
    )
    return make_indexed_job(name, 2, make_pod_spec(container, subdomain=name))


def test_two_runs_at_once_each_meet_at_the_name_of_their_first_pod(space: Namespace) -> None:
    space.apply(_job("left"), _job("right"))
    for name in ("left", "right"):
        space.wait_for("job", name, is_condition("Complete"))
        pods = space.list("pods", f"job-name={name}")
        ranks = {pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"]: pod
                 for pod in pods}  # fmt: skip
        want = f"hello from {ranks['1']['status']['podIP']}"
        assert terminated(ranks["0"])["message"] == want
        addresses = {pod["status"]["podIP"] for pod in pods}
        assert len(addresses) == 2
        assert all(address.startswith("127.") for address in addresses)


def test_advertised_gpus_are_counted_and_allocated_once(space: Namespace) -> None:
    script = (
        "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(600)"
    )
    limits = {"limits": {"nvidia.com/gpu": "3"}}
    for name in ("one", "two", "three"):
        pod = make_pod(name, "")
        pod["spec"] = make_pod_spec(make_container(script, resources=limits))
        pod["spec"]["terminationGracePeriodSeconds"] = 1
        space.apply(pod)
    running = [n for n in ("one", "two", "three") if _settles(space, n)]
    assert len(running) == 2, "8 GPUs are enough for two pods of 3"
    (waiting,) = {"one", "two", "three"} - set(running)
    space.delete("pod", running[0])
    space.wait_for("pod", waiting, is_phase("Running"))


def _settles(space: Namespace, name: str) -> bool:
    """Return whether a pod runs, once it does or is unschedulable."""

    def is_decided(pod: Json) -> bool:
        conditions = pod.get("status", {}).get("conditions", [])
        refused = any(c.get("reason") == "Unschedulable" for c in conditions)
        return refused or is_phase("Running")(pod)

    return is_phase("Running")(space.wait_for("pod", name, is_decided))

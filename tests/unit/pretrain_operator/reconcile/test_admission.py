import asyncio

from builders import make_body, parsed_run, profile_spec
from pretrain_operator.cluster.store import Store
from pretrain_operator.observed.objects import Key
from pretrain_operator.reconcile.admission import admit_run

KEY = Key("PretrainJob", "default", "run")


def _store(per_node: int) -> Store:
    store = Store(lambda key, matters: None)
    spec = profile_spec(accelerator={"name": "cpu", "perNode": per_node})
    store.put("ComputeProfile", make_body("ComputeProfile", "cpu", spec=spec))
    return store


def test_a_run_keeps_the_layout_that_it_started_with() -> None:
    spec = parsed_run(parallelism={"nodes": 2})
    first = asyncio.run(admit_run(_store(2), KEY, spec, None))
    assert first.spec is not None
    assert first.plan is not None
    later = asyncio.run(admit_run(_store(8), KEY, spec, first.plan))
    assert later.spec is not None
    assert later.spec.parallelism == first.spec.parallelism
    other = asyncio.run(admit_run(_store(8), KEY, spec, None))
    assert other.plan is not None
    assert other.plan.world_size == 16

import asyncio

from builders import parsed_run, profile_spec, run_spec
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_operator.plan.run_admission import admit_run
from pretrain_operator.reconcile.admission import admit

PROFILE = ComputeProfileSpec.model_validate(profile_spec())


def test_what_is_remembered_is_what_would_be_computed() -> None:
    for spec in (
        parsed_run(),
        parsed_run(parallelism={"nodes": 2}),
        parsed_run(training={**run_spec()["training"], "tokens": 1}),
    ):
        for profile in (PROFILE, None):
            want = admit_run(spec, profile, 512, None)
            got = asyncio.run(admit(spec, profile, 512, None))
            assert (got.plan, got.problems) == (want.plan, want.problems)
            assert got.spec.model_dump() == want.spec.model_dump()


def test_a_run_keeps_the_layout_that_it_started_with() -> None:
    first = asyncio.run(admit(parsed_run(parallelism={"nodes": 2}), PROFILE, None, None))
    assert first.plan is not None
    bigger = ComputeProfileSpec.model_validate(profile_spec(accelerator={"perNode": 8}))
    spec = parsed_run(parallelism={"nodes": 2})
    later = asyncio.run(admit(spec, bigger, None, first.plan))
    assert later.spec.parallelism == first.spec.parallelism

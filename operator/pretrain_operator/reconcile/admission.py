"""Admission of runs, beside the event loop and once for the same question.

The search for the layout of a large run takes seconds: other objects must not wait for it, and a
run that waits for its data must not ask again and again.
"""

import asyncio
from functools import lru_cache

from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.plan import PlanStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.plan.run_admission import Admission, admit_run


async def admit(
    spec: PretrainJobSpec,
    profile: ComputeProfileSpec | None,
    vocabulary: int | None,
    earlier: PlanStatus | None,
) -> Admission:
    """Return whether a run may start, as `admit_run` does."""
    if earlier is not None:
        return admit_run(spec, profile, vocabulary, earlier)
    said = spec.model_dump_json(by_alias=True, exclude_unset=True)
    offered = profile.model_dump_json(by_alias=True, exclude_unset=True) if profile else None
    return await asyncio.to_thread(_admit, said, offered, vocabulary)


@lru_cache(maxsize=256)
def _admit(spec: str, profile: str | None, vocabulary: int | None) -> Admission:
    offered = ComputeProfileSpec.model_validate_json(profile) if profile is not None else None
    return admit_run(PretrainJobSpec.model_validate_json(spec), offered, vocabulary, None)

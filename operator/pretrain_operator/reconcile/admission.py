"""Admission of runs beside the event loop.

The search for the layout of a large run takes a while: other objects must not wait for it.
"""

import asyncio

from pretrain_api.v1alpha1.plan import PlanStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.plan.observed import Key
from pretrain_operator.plan.run_admission import Verdict, admit, keep_layout
from pretrain_operator.plan.surroundings import Objects, surroundings_of


async def admit_run(
    objects: Objects, key: Key, spec: PretrainJobSpec, earlier: PlanStatus | None
) -> Verdict:
    """Return whether the run `key` may start.

    `earlier` is the plan that its attempts were started with: such a run keeps its layout, and
    only its length may change.
    """
    if earlier is not None:
        return keep_layout(spec, earlier)
    around = surroundings_of(spec, key.namespace, objects)
    return await asyncio.to_thread(admit, key.name, spec, around)

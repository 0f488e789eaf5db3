"""Admission of runs beside the event loop.

The search for the layout of a large run takes up to a second of pure computing. In a thread it
shares the interpreter with the event loop: other objects go on, but slowly. So only a few searches
run side by side, also after a restart, when every run that waits is looked at at once.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from pretrain_api.v1alpha1.plan import PlanStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.admission.related_objects import related_objects
from pretrain_operator.admission.runs import AdmissionResult, Question, admit, keep_layout
from pretrain_operator.observed.objects import Key, ObjectReader

_SEARCHES = ThreadPoolExecutor(2, "admission")


async def admit_run(
    objects: ObjectReader, key: Key, spec: PretrainJobSpec, earlier: PlanStatus | None
) -> AdmissionResult:
    """Return whether the run `key` may start.

    `earlier` is the plan that its attempts were started with: such a run keeps its layout, and
    only its length may change.
    """
    if earlier is not None:
        return keep_layout(spec, earlier)
    question = Question(key.name, spec, related_objects(spec, key.namespace, objects))
    return await asyncio.get_running_loop().run_in_executor(_SEARCHES, admit, question)

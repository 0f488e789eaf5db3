"""One reconcile, the same for every kind: observe, plan, carry out, write the status, requeue."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from pretrain_operator.build.children import build_children
from pretrain_operator.cluster.cluster import Cluster
from pretrain_operator.observed.objects import Key, ObservedObject
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.references import collect_related
from pretrain_operator.plan.blocked import BLOCKING, blocked_state
from pretrain_operator.plan.plans import Plan
from pretrain_operator.plan.requeue import requeue_after_seconds
from pretrain_operator.reconcile.kinds import KIND_FUNCTIONS, KindFunctions

_ORPHAN = "orphan"
"""Finalizer of an object whose children were asked to stay."""

_SEARCHES = ThreadPoolExecutor(2, "search")
"""A search shares the interpreter with the event loop: more threads would starve other objects,
above all after a restart, when every waiting run is planned."""


async def reconcile(cluster: Cluster, key: Key, now: datetime) -> float | None:
    """Reconcile an object; return the seconds after which to requeue it, if any.

    Idempotent and without state of its own: after a crash between any two writes, the next call
    continues from the objects in the cluster.
    """
    owner = cluster.store.get(key)
    if owner is None or owner.deleting:
        cluster.forget(key)
        if owner is not None and _ORPHAN not in owner.finalizers:
            # A finalizer of somebody else may keep the object for long, but not what it runs.
            await cluster.delete_jobs(owner, [job.name for job in cluster.store.jobs(owner)])
        return None
    kind = KIND_FUNCTIONS[key.kind]
    observed = await observe(cluster, owner, kind, now)
    plan = await make_plan(kind, observed, now)
    plan = await carry_out(cluster, owner, plan)
    await cluster.write_status(owner, kind.status(observed, plan, now), now)
    return requeue_after_seconds(plan, observed, now)


async def observe[P: Plan](
    cluster: Cluster, owner: ObservedObject, kind: KindFunctions[P], now: datetime
) -> Observation:
    """Return everything that the reconcile of `owner` reads."""
    jobs = await cluster.jobs(owner, now)
    return Observation(
        owner=owner,
        jobs=jobs,
        pods=cluster.store.pods(owner),
        related=collect_related(cluster.store, owner),
        progress=await cluster.read_progress(owner, kind.polled_pod(jobs)),
        poll_seconds=cluster.progress.interval_seconds(owner.key),
    )


async def make_plan[P: Plan](kind: KindFunctions[P], observed: Observation, now: datetime) -> P:
    """Return the plan; if it may take long, it is made in a thread."""
    if not kind.needs_search(observed):
        return kind.plan(observed, now)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_SEARCHES, kind.plan, observed, now)


async def carry_out[P: Plan](cluster: Cluster, owner: ObservedObject, plan: P) -> P:
    """Carry out the actions of `plan`; return it, blocked if a child cannot be created.

    Which Secrets a Job mounts is known only now; whether they exist is looked up just before the
    Job is created, and for no other reconcile.
    """
    try:
        await cluster.delete_jobs(owner, plan.delete)
        await cluster.hurry_pods(owner, plan.hurry)
        await cluster.declare_lost(owner, plan.lost)
        if plan.resize is not None:
            await cluster.resize_job(owner, plan.resize.job, plan.resize.parallelism)
        if plan.create is not None:
            await cluster.require_secrets(owner, plan.create.secrets)
            await cluster.apply(owner, *build_children(owner, plan.create))
        if plan.keep is not None:
            await cluster.restore(owner, *build_children(owner, plan.keep))
    except BLOCKING as error:
        plan = plan.blocked(blocked_state(owner, error))
    if plan.delete_owner:
        await cluster.delete_object(owner)
    return plan

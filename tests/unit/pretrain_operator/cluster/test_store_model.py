"""The store against a model: watches, lists and responses arrive late, repeated and out of order.

The model is the log of a cluster: every version of every object, and every deletion, in order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from builders import make_body, make_object, pipeline_spec, tokenizer_spec
from pretrain_api.meta import KIND_LABEL, NAME_LABEL
from pretrain_operator.cluster.store import Store
from pretrain_operator.observed.objects import Key

Json = dict[str, Any]
Slot = tuple[str, str]
"""Kind and name of an object."""
Version = tuple[str, int]
"""UID and resourceVersion of an object."""

NAMES = ("a", "b")
KINDS = ("DataPipeline", "Tokenizer", "Job", "Pod")
OWNERS = {name: make_object("DataPipeline", name) for name in NAMES}

kinds, names = st.sampled_from(KINDS), st.sampled_from(NAMES)


@dataclass(frozen=True)
class Event:
    """One entry of the log."""

    kind: str
    body: Json
    deleted: bool


def make_version(slot: Slot, uid: str, version: int, variant: str) -> Json:
    """Return a version of an object; `variant` is the pipeline that it refers to or belongs to."""
    kind, name = slot
    metadata: Json = {"uid": uid, "resourceVersion": str(version), "generation": version}
    if kind == "DataPipeline":
        tasks = 1 + NAMES.index(variant)
        return make_body(kind, name, metadata=metadata, spec=pipeline_spec(tasks=tasks))
    if kind == "Tokenizer":
        spec = tokenizer_spec(corpus={"pipelineRef": {"name": variant}})
        return make_body(kind, name, metadata=metadata, spec=spec)
    controller = {"kind": "Job", "uid": "some-job", "controller": True}
    if kind == "Job":
        controller = {"kind": "DataPipeline", "uid": OWNERS[variant].uid, "controller": True}
    metadata |= {"name": name, "namespace": "default", "ownerReferences": [controller]}
    metadata["labels"] = {KIND_LABEL: "datapipeline", NAME_LABEL: variant}
    return {"kind": kind, "metadata": metadata}


def version_of(body: Json) -> Version:
    return body["metadata"]["uid"], int(body["metadata"]["resourceVersion"])


class StoreMachine(RuleBasedStateMachine):
    """A cluster that changes, and a store that is told of it late."""

    @initialize(kind=kinds)
    def start(self, kind: str) -> None:
        self.kind = kind
        """All steps are about objects of one kind: the more often they concern the same one."""
        self.calls: set[Key] = set()
        self.store = Store(lambda key, _: self.calls.add(key))
        self.log: list[Event] = []
        self.objects: dict[Slot, Json] = {}
        self.watched = dict.fromkeys(KINDS, 0)
        """How much of the log each watch has delivered."""
        self.listed = dict.fromkeys(KINDS, 0)
        """The part of the log that the last list of a kind contains."""
        self.has_gaps: set[str] = set()
        """Kinds whose watch has lost events since the last list."""

    @rule(name=names, variant=names)
    def write(self, name: str, variant: str) -> None:
        """A user or a controller creates or changes an object."""
        slot, version = (self.kind, name), len(self.log) + 1
        old = self.objects.get(slot)
        uid = old["metadata"]["uid"] if old else f"{self.kind}-{name}-{version}"
        self.objects[slot] = make_version(slot, uid, version, variant)
        self.log.append(Event(self.kind, self.objects[slot], deleted=False))

    @rule(name=names)
    def delete(self, name: str) -> None:
        """A user or a controller deletes an object."""
        body = self.objects.pop((self.kind, name), None)
        if body is not None:
            metadata = {**body["metadata"], "resourceVersion": str(len(self.log) + 1)}
            self.log.append(Event(self.kind, {**body, "metadata": metadata}, deleted=True))

    @rule(name=names)
    def respond(self, name: str) -> None:
        """The response to a write of the operator overtakes the watch."""
        if body := self.objects.get((self.kind, name)):
            self._deliver(lambda: self.store.upsert(self.kind, body))

    @rule(back=st.integers(0, 6))
    def respond_late(self, back: int) -> None:
        """A response with an earlier version arrives now."""
        events = [
            e for e in self.log[self.listed[self.kind] :] if e.kind == self.kind and not e.deleted
        ]
        if len(events) > back:
            event = events[-1 - back]
            self._deliver(lambda: self.store.upsert(self.kind, event.body))

    @rule(count=st.integers(1, 4))
    def watch(self, count: int) -> None:
        """The watch of one kind delivers its next events."""
        for _ in range(count):
            self._watch_one(self.kind)

    @rule()
    def lose_events(self) -> None:
        """The watch is opened again: it reports all objects, but no deletions in between."""
        self.watched[self.kind] = len(self.log)
        self.has_gaps.add(self.kind)
        for body in self._of(self.kind).values():
            self._deliver(lambda body=body: self.store.upsert(self.kind, body))  # type: ignore[misc]

    @rule()
    def catch_up(self) -> None:
        """The watch delivers everything."""
        while self.watched[self.kind] < len(self.log):
            self._watch_one(self.kind)

    @rule(is_stale=st.booleans(), name=names, variant=names)
    def resync(self, is_stale: bool, name: str, variant: str) -> None:
        """A list replaces what a watch has missed; an object may change while it is sent."""
        bodies, version = list(self._of(self.kind).values()), len(self.log)
        if is_stale:
            self.write(name, variant)
            self.respond(name)
        self._deliver(lambda: self.store.replace(self.kind, bodies, str(version)))
        self.listed[self.kind] = version
        self.has_gaps.discard(self.kind)
        self._check(self.kind)

    @invariant()
    def without_a_gap_a_watch_that_has_delivered_everything_shows_what_there_is(self) -> None:
        if self.watched[self.kind] == len(self.log) and self.kind not in self.has_gaps:
            self._check(self.kind)

    @invariant()
    def references_are_those_of_the_stored_versions(self) -> None:
        for name, pipeline in OWNERS.items():
            want = {
                item.key
                for item in self.store.all("Tokenizer")
                if item.spec["corpus"]["pipelineRef"]["name"] == name
            }
            assert self.store.dependents(pipeline.key) == want

    def _of(self, kind: str) -> dict[Slot, Json]:
        return {slot: body for slot, body in self.objects.items() if slot[0] == kind}

    def _watch_one(self, kind: str) -> None:
        events = self.log[self.watched[kind] :]
        position = next((i for i, event in enumerate(events) if event.kind == kind), len(events))
        self.watched[kind] += min(position + 1, len(events))
        if position == len(events):
            return
        event = events[position]
        update = self.store.drop if event.deleted else self.store.upsert
        self._deliver(lambda: update(kind, event.body))

    def _deliver(self, update: Callable[[], None]) -> None:
        """Update the store; check that no version goes back, and that all changes are reported."""
        before = self._shown()
        self.calls.clear()
        update()
        after = self._shown()
        for slot in before.keys() & after.keys():
            assert after[slot][1] >= before[slot][1], f"{slot} goes back to an earlier version"
        changed = {slot for slot, _ in before.items() ^ after.items()}
        concerned = {
            OWNERS[owner].key if owner else Key(kind, "default", name)
            for owner, kind, name in changed
        }
        assert concerned <= self.calls

    def _shown(self) -> dict[tuple[str, str, str], Version]:
        """Return all versions that the store shows, by owner (if any), kind and name."""
        shown = {
            ("", kind, item.key.name): (item.uid, int(item.resource_version))
            for kind in ("DataPipeline", "Tokenizer")
            for item in self.store.all(kind)
        }
        for name, owner in OWNERS.items():
            for job in self.store.jobs(owner):
                shown[name, "Job", job.name] = (job.uid, int(job.resource_version))
            for pod in self.store.pods(owner):
                shown[name, "Pod", pod.name] = (pod.uid, int(pod.resource_version))
        return shown

    def _check(self, kind: str) -> None:
        want = {}
        for (_, name), body in self._of(kind).items():
            owner = body["metadata"].get("labels", {}).get(NAME_LABEL, "")
            want[owner, kind, name] = version_of(body)
        pending = [event.kind for event in self.log[self.watched[kind] :]]
        shown = {slot: version for slot, version in self._shown().items() if slot[1] == kind}
        assert shown == want, f"{len(pending)} events are pending"


StoreMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestStoreAgainstAModel = StoreMachine.TestCase


def test_a_deleted_object_does_not_replace_the_newer_one_of_its_name() -> None:
    """A watch that is behind still reports it, while the response to a create is stored already."""
    store = Store(lambda key, _: None)
    first, second = (
        make_version(("Job", "a"), uid, version, "a") for uid, version in (("1", 5), ("2", 7))
    )
    store.upsert("Job", second)
    store.upsert("Job", first)
    assert [job.uid for job in store.jobs(OWNERS["a"])] == ["2"]
    store.drop("Job", first)
    assert [job.uid for job in store.jobs(OWNERS["a"])] == ["2"]


def test_a_job_whose_labels_are_edited_belongs_to_one_owner_at_a_time() -> None:
    calls = []
    store = Store(lambda key, _: calls.append(key.name))
    store.upsert("Job", make_version(("Job", "x"), "1", 1, "a"))
    moved = make_version(("Job", "x"), "1", 2, "b")
    store.upsert("Job", moved)
    assert sorted(calls) == ["a", "a", "b"]
    store.drop("Job", moved)
    assert store.jobs(OWNERS["a"]) == store.jobs(OWNERS["b"]) == ()

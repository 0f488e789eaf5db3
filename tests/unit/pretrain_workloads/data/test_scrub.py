from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches import make_batch
from pretrain_api.v1alpha1.pipeline.scrub import Scrub
from pretrain_workloads.data.scrub.kinds import ACTIONS, KINDS
from pretrain_workloads.data.scrub.scrubber import Scrubber, merge_samples
from scrub_labels import LOOK_ALIKES, PLANTED, labels

EVERYTHING = {name: "mask" for name in KINDS if name not in ACTIONS}


def scrubbed(text: str, **spec: Any) -> str:
    return Scrubber(Scrub.model_validate(spec)).scrub(make_batch([text]))[0].texts[0]


def test_every_kind_has_an_action_in_the_api_and_labelled_examples() -> None:
    assert set(EVERYTHING) <= set(Scrub.model_fields)
    assert set(EVERYTHING) == set(PLANTED) == set(LOOK_ALIKES)


def test_planted_data_is_found_and_look_alikes_are_left_alone() -> None:
    planted: Counter[tuple[str, bool]] = Counter()
    alike: Counter[tuple[str, bool]] = Counter()
    wrong = []
    for label in labels():
        text = scrubbed(label.text, **EVERYTHING)
        if label.value:
            planted[label.kind, label.value not in text] += 1
            if label.value in text:
                wrong.append(label)
        else:
            alike[label.kind, text == label.text] += 1
            if text != label.text:
                wrong.append(label)
    assert planted.total() >= 500
    assert alike.total() >= 500
    for counts in (planted, alike):
        for kind in EVERYTHING:
            right = counts[kind, True] / (counts[kind, True] + counts[kind, False])
            assert right >= 0.98, (kind, right, [w.text for w in wrong if w.kind == kind])


@pytest.mark.parametrize(
    ("text", "spec", "want"),
    [
        ("联系邮箱abc@example.com。", {"emails": "mask"}, "联系邮箱<email>。"),
        ("联系邮箱abc@example.com。", {}, "联系邮箱abc@example.com。"),
        ("请找张三丰和李四", {"names": ["张三丰", "张三"]}, "请找<name>和李四"),
        (
            "正文。\n（本文转载自人民网）\n责任编辑：王某\n完",
            {"boilerplate": "remove"},
            "正文。\n完",
        ),
        (
            "Long text.\n" * 9 + "References\n[1] A. Author, 2020.\n[2] B.\n",
            {"references": "remove"},
            "Long text.\n" * 9,
        ),
        ("References\n[1] first\n" + "Text.\n" * 20, {"references": "remove"}, None),
    ],
)
def test_what_is_asked_for_is_scrubbed_and_nothing_else(
    text: str, spec: dict[str, Any], want: str | None
) -> None:
    assert scrubbed(text, **spec) == (text if want is None else want)


def test_a_document_may_be_dropped_for_what_it_holds() -> None:
    scrubber = Scrubber(Scrub.model_validate({"id_cards": "drop", "emails": "mask"}))
    batch = make_batch(["a@b.cn", "身份证11010519491231002X", "clean"])
    changed, rows, reasons = scrubber.scrub(batch)
    assert changed.texts[0] == "<email>"
    assert rows.tolist() == [1]
    assert reasons == ["holds id_cards"]
    assert dict(scrubber.counts) == {"emails": 1, "id_cards": 1}


def test_a_prompt_keeps_its_end_when_its_length_changes() -> None:
    prompt, completion = "Who is a.person@example.com?", " Write to b@c.de."
    batch = make_batch([prompt + completion])
    batch = replace(batch, prompts=np.array([len(prompt)], np.int32))
    changed, _, _ = Scrubber(Scrub.model_validate({"emails": "mask"})).scrub(batch)
    text, size = changed.texts[0], int(changed.prompts[0])
    assert (text[:size], text[size:]) == ("Who is <email>?", " Write to <email>.")


def test_samples_show_the_place_but_never_the_data() -> None:
    scrubber = Scrubber(Scrub.model_validate({"emails": "mask"}))
    texts = [f"{n}: write to user{n}@example.com or 1381234{n:04}" for n in range(40)]
    scrubber.scrub(make_batch(texts))
    (samples,) = scrubber.samples.values()
    assert len(samples) == 5
    assert all("<email>" in sample and "1381234" not in sample for sample in samples)
    assert "@" not in "".join(samples)


@given(
    st.lists(st.text(st.sampled_from("a@b.c1 3\n床"), max_size=30), max_size=12), st.integers(1, 4)
)
def test_samples_and_counts_do_not_depend_on_the_tasks(texts: list[str], tasks: int) -> None:
    def run(part: list[str]) -> Scrubber:
        scrubber = Scrubber(Scrub.model_validate(EVERYTHING))
        scrubber.scrub(make_batch(part))
        return scrubber

    whole, parts = run(texts), [run(texts[rank::tasks]) for rank in range(tasks)]
    assert sum((part.counts for part in parts), Counter()) == whole.counts
    assert merge_samples([part.samples for part in parts]) == merge_samples([whole.samples])


def test_nothing_asked_for_costs_nothing() -> None:
    assert Scrubber(Scrub()).is_idle
    assert not Scrubber(Scrub(names=["张三"])).is_idle

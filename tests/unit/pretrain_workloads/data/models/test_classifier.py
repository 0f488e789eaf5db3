import random

import numpy as np
import xxhash

from batches import points_of
from pretrain_workloads.data.models.calibration import Calibration, calibrate, calibration_error
from pretrain_workloads.data.models.classifier import Classifier, train_classifier
from pretrain_workloads.data.models.features import MOST, SLOTS, fill_features, linear_scores
from pretrain_workloads.data.models.samples import SamplesOf
from pretrain_workloads.data.text.units import tables

SEA = "wave harbour sail tide anchor reef captain deck storm gull 海 船 浪 港".split()
FARM = "plough barn wheat cattle orchard fence tractor hay goat soil 田 牛 麦 犁".split()


def samples(noise: float = 0.2, count: int = 600) -> SamplesOf:
    """Return texts about two subjects, of which some words are of the other one."""
    rng = random.Random(1)
    found: SamplesOf = {"farm": [], "sea": []}
    for name, own, other in (("farm", FARM, SEA), ("sea", SEA, FARM)):
        for _ in range(count):
            words = [rng.choice(other if rng.random() < noise else own) for _ in range(12)]
            text = " ".join(words)
            found[name].append((xxhash.xxh3_64_intdigest(text.encode()), text))
    return found


def features_of(text: str) -> dict[int, float]:
    """Return the features of one text by slot."""
    one = np.ones((1, SLOTS), np.float32)
    total = linear_scores(*points_of([text]), one)[0, 0]
    slots, values = np.empty(MOST, np.int32), np.empty(MOST, np.float32)
    points, _ = points_of([text])
    count = fill_features(points, *tables(), np.zeros(SLOTS, np.int32), slots, values)
    assert abs(values[:count].sum() - total) < 1e-3
    assert slots[:count].max(initial=0) < SLOTS
    found: dict[int, float] = {}
    for slot, value in zip(slots[:count].tolist(), values[:count].tolist(), strict=True):
        found[slot] = found.get(slot, 0.0) + value
    return found


TEXTS = ["The sea, the sea!\nAnd a ship.", "床前明月光，疑是地上霜。", "", "x" * 20_000, "\u3000"]


def test_a_text_scores_what_its_features_weigh_whatever_lies_beside() -> None:
    weights = np.random.default_rng(0).normal(size=(3, SLOTS)).astype(np.float32)
    want = [
        sum((value * weights[:, slot] for slot, value in features_of(text).items()), np.zeros(3))
        for text in TEXTS
    ]
    np.testing.assert_allclose(linear_scores(*points_of(TEXTS), weights), want, atol=1e-4)


def test_two_subjects_are_told_apart_and_the_confidence_is_honest() -> None:
    classifier, measured = train_classifier(samples())
    assert min(measured.accuracy.values()) > 0.95, measured
    assert measured.calibration_error < 0.1, measured
    chances = classifier.probabilities(*points_of(["tide and reef and 船", "hay barn 牛 soil"]))
    assert chances.argmax(axis=1).tolist() == [1, 0]
    np.testing.assert_allclose(chances.sum(axis=1), 1)


def test_labels_without_meaning_give_no_confidence() -> None:
    rng = random.Random(2)
    mixed = [sample for of in samples(noise=0.5).values() for sample in of]
    rng.shuffle(mixed)
    half = len(mixed) // 2
    _, measured = train_classifier({"a": mixed[:half], "b": mixed[half:]})
    assert max(measured.accuracy.values()) < 0.8
    assert measured.calibration_error < 0.15, measured


def test_the_same_samples_give_the_same_file_and_it_is_read_back() -> None:
    first, _ = train_classifier(samples(count=100))
    second, _ = train_classifier(samples(count=100))
    assert first.to_bytes() == second.to_bytes()
    read = Classifier.from_bytes(first.to_bytes())
    points = points_of(["tide", "hay"])
    assert read.probabilities(*points).tolist() == first.probabilities(*points).tolist()


def test_calibration_undoes_too_much_confidence() -> None:
    rng = np.random.default_rng(3)
    logits = (rng.normal(size=(4000, 1)) * [[-1.0, 1.0]]).astype(np.float32)
    labels = (rng.random(4000) < Calibration(1, np.zeros(2)).probabilities(logits)[:, 1]).astype(
        np.int64
    )
    loud = logits * np.float32(7)
    fitted = calibrate(loud, labels)
    before = calibration_error(Calibration(1, np.zeros(2)).probabilities(loud), labels)
    after = calibration_error(fitted.probabilities(loud), labels)
    assert before > 0.15
    assert after < 0.04
    assert 5 < fitted.temperature < 10

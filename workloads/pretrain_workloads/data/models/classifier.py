"""A linear classifier: trained, calibrated and measured on three parts of its samples."""

import io
from dataclasses import dataclass
from itertools import batched

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.pipeline.summary import ModelSummary
from pretrain_workloads.data.models.calibration import Calibration, calibrate, calibration_error
from pretrain_workloads.data.models.features import Values, linear_scores
from pretrain_workloads.data.models.samples import SamplesOf
from pretrain_workloads.data.models.training import Labels, train
from pretrain_workloads.data.text.units import Offsets, Points, code_points

_TENTHS = 10
"""Of ten samples one measures the classifier, one calibrates it, and eight train it."""

_BATCH = 256


@dataclass(frozen=True)
class Classifier:
    """A calibrated linear classifier."""

    classes: list[str]
    """Names of the classes."""

    weights: Values
    """One row for each class."""

    calibration: Calibration

    def probabilities(self, points: Points, offsets: Offsets) -> npt.NDArray[np.float64]:
        """Return the probability of each class, a row for each text."""
        return self.calibration.probabilities(linear_scores(points, offsets, self.weights))

    def to_bytes(self) -> bytes:
        """Return the content of a file that `from_bytes` reads."""
        stream = io.BytesIO()
        np.savez_compressed(
            stream,
            classes=np.asarray(self.classes),
            weights=self.weights.astype(np.float16),
            temperature=np.float64(self.calibration.temperature),
            biases=self.calibration.biases,
        )
        return stream.getvalue()

    @staticmethod
    def from_bytes(content: bytes) -> "Classifier":
        """Return the classifier that `to_bytes` wrote."""
        with np.load(io.BytesIO(content)) as arrays:
            calibration = Calibration(float(arrays["temperature"]), arrays["biases"])
            weights = arrays["weights"].astype(np.float32)
            return Classifier(arrays["classes"].tolist(), weights, calibration)


def train_classifier(samples: SamplesOf) -> tuple[Classifier, ModelSummary]:
    """Return a classifier of the classes of `samples`, and how well it does."""
    classes = list(samples)
    labelled = sorted(
        (key, label, text) for label, name in enumerate(classes) for key, text in samples[name]
    )
    part = np.fromiter((key % _TENTHS for key, _, _ in labelled), np.int64, len(labelled))
    labels = np.fromiter((label for _, label, _ in labelled), np.int64, len(labelled))
    texts = [text for _, _, text in labelled]
    trains = np.flatnonzero(part > 1)
    order = trains[np.random.default_rng(0).permutation(len(trains))]
    chosen = code_points([texts[row] for row in order.tolist()])
    # float16 is what the file holds: the model that is measured is the one that is used
    weights = train(*chosen, labels[order], len(classes)).astype(np.float16).astype(np.float32)
    calibration = calibrate(_scores(texts, part == 1, weights), labels[part == 1])
    classifier = Classifier(classes, weights, calibration)
    chances = calibration.probabilities(_scores(texts, part == 0, weights))
    return classifier, _measured(classes, chances, labels[part == 0], len(texts))


def _scores(texts: list[str], chosen: npt.NDArray[np.bool_], weights: Values) -> Values:
    rows = np.flatnonzero(chosen).tolist()
    parts = [
        linear_scores(*code_points([texts[row] for row in part]), weights)
        for part in batched(rows, _BATCH)
    ]
    return np.concatenate([np.empty((0, len(weights)), np.float32), *parts])


def _measured(
    classes: list[str], chances: npt.NDArray[np.float64], labels: Labels, samples: int
) -> ModelSummary:
    right = chances.argmax(axis=1) == labels
    accuracy = {
        name: round(float(right[labels == label].mean()), 4)
        for label, name in enumerate(classes)
        if (labels == label).any()
    }
    error = round(calibration_error(chances, labels), 4)
    return ModelSummary(samples=samples, accuracy=accuracy, calibration_error=error)

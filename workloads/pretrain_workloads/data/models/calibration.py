"""Calibrate a classifier: among the documents that it gives 0.8, four of five shall be good."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.models.features import Values
from pretrain_workloads.data.models.training import Labels

_STEPS = 500
_RATE = 0.05
_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """How probabilities come of the scores of a linear model."""

    temperature: float
    """What scores are divided by."""

    biases: npt.NDArray[np.float64]
    """What is then added to the score of each class."""

    def probabilities(self, scores: Values) -> npt.NDArray[np.float64]:
        """Return the probability of each class, a row for each text."""
        logits = scores / self.temperature + self.biases
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def calibrate(scores: Values, labels: Labels) -> Calibration:
    """Return the calibration that makes `labels` most likely, each class counting equally.

    By Adam on the cross-entropy, from a temperature of 1.
    Source: Guo et al., "On calibration of modern neural networks", 2017 (temperature scaling).

    Args:
        scores: Scores of texts that the model was not trained on, a column for each class.
        labels: Their classes.
    """
    classes = scores.shape[1]
    counts = np.bincount(labels, minlength=classes)
    importance = (1 / (classes * np.maximum(1, counts)))[labels]
    wanted = np.eye(classes)[labels]
    fitted = np.zeros(classes + 1)  # the logarithm of the temperature, then the biases
    mean, square = np.zeros_like(fitted), np.zeros_like(fitted)
    for step in range(1, _STEPS + 1):
        current = Calibration(float(np.exp(fitted[0])), fitted[1:])
        errors = (current.probabilities(scores) - wanted) * importance[:, None]
        slope = -(errors * scores).sum() / current.temperature
        gradient = np.concatenate(([slope], errors.sum(axis=0))) + 1e-4 * fitted
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        corrected = mean / (1 - 0.9**step), square / (1 - 0.99**step)
        fitted = fitted - _RATE * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
    return Calibration(float(np.exp(fitted[0])), fitted[1:])


def calibration_error(probabilities: npt.NDArray[np.float64], labels: Labels) -> float:
    """Return the mean distance between confidence and accuracy, over ten bins of confidence.

    Source: Guo et al. 2017, "expected calibration error".
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum(_BINS - 1, (confidence * _BINS).astype(np.int64))
    distance = 0.0
    for number in np.unique(bins):
        chosen = bins == number
        distance += float(chosen.mean() * abs(confidence[chosen].mean() - right[chosen].mean()))
    return distance

"""Train a linear classifier: multinomial logistic regression, by stochastic gradient descent.

The order of the steps is that of the samples, so the same samples give the same weights. Features
are computed anew in each epoch: kept, they would take twenty times the memory of the texts.
Source of the step sizes: Duchi et al., "Adaptive subgradient methods", JMLR 2011.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.models.features import MOST, SLOTS, Values, fill_features
from pretrain_workloads.data.text.compiled import kernel
from pretrain_workloads.data.text.units import Offsets, Points, tables

EPOCHS = 12
_RATE = 0.5
_PENALTY = 1e-6
"""Weight of the squared weights in the loss of a sample, for the weights that the sample uses."""

type Labels = npt.NDArray[np.int64]
"""Class of each sample."""


def train(points: Points, offsets: Offsets, labels: Labels, classes: int) -> Values:
    """Return one row of weights for each class; all classes count equally.

    Args:
        points: Code points of the samples.
        offsets: Offset of each sample in `points`, and the end.
        labels: Class of each sample.
        classes: Number of classes; each has samples.
    """
    sizes = np.bincount(labels, minlength=classes)
    importance = (len(labels) / (classes * np.maximum(1, sizes))).astype(np.float32)
    weights = np.zeros((SLOTS, classes), np.float32)
    squares = np.full((SLOTS, classes), 1e-4, np.float32)
    _descend(points, offsets, *tables(), labels, importance, weights, squares, EPOCHS)
    return np.ascontiguousarray(weights.T)


@kernel
def _descend(
    points: Any,
    offsets: Any,
    kinds: Any,
    lower: Any,
    labels: Any,
    importance: Any,
    weights: Any,
    squares: Any,
    epochs: Any,
) -> Any:
    classes = weights.shape[1]
    chances = np.zeros(classes, np.float32)
    counts = np.zeros(SLOTS, np.int32)
    slots, values = np.empty(MOST, np.int32), np.empty(MOST, np.float32)
    for epoch in range(epochs):
        rate = np.float32(_RATE / (1 + epoch))
        for sample in range(labels.shape[0]):
            chances[:] = 0
            text = points[offsets[sample] : offsets[sample + 1]]
            found = fill_features(text, kinds, lower, counts, slots, values)
            for i in range(found):
                for label in range(classes):
                    chances[label] += values[i] * weights[slots[i], label]
            chances -= chances.max()
            total = np.float32(0)
            for label in range(classes):
                chances[label] = np.exp(chances[label])
                total += chances[label]
            for label in range(classes):
                error = chances[label] / total - (label == labels[sample])
                chances[label] = error * importance[labels[sample]]
            for i in range(found):
                for label in range(classes):
                    place = slots[i]
                    step = chances[label] * values[i] + np.float32(_PENALTY) * weights[place, label]
                    squares[place, label] += step * step
                    weights[place, label] -= rate * step / np.sqrt(squares[place, label])

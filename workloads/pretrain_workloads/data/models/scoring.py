"""Score the documents of a batch: their domain first, then their quality."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.pipeline.models import QualityModel, TextModels
from pretrain_workloads.data.batch import Batch, Rows
from pretrain_workloads.data.files import model
from pretrain_workloads.data.models.classifier import Classifier
from pretrain_workloads.data.quality_floors import floor_of
from pretrain_workloads.storage import Folder

QUALITY = "quality"
"""Name of the feature, and of the column."""

DEFAULT_MODEL = Path(__file__).parent / "default_quality.npz"
"""The model that comes with the software; `benchmarks/train_quality_model.py` made it."""

DEFAULT_LANGUAGES = ("zh", "en")
"""Languages that it knows."""

DEFAULT_CHARACTERS = 200
"""Shorter documents say too little about their quality."""

type Scorer = Callable[[Batch], npt.NDArray[np.float32]]
"""Returns the quality of each document, NaN if it cannot be told."""


class TextScorer:
    """The models of a spec, loaded.

    Args:
        models: What the spec says.
        folder: Folder of the artifact, which holds the trained models.
    """

    def __init__(self, models: TextModels, folder: Folder) -> None:
        self._domain = None
        if models.domain is not None:
            self._domain = Classifier.from_bytes(folder.read_bytes(model("domain")))
            self._min_score = models.domain.min_score
        self._quality = None if models.quality is None else _quality(models.quality, folder)
        self._floors = models.quality.keep if models.quality else []

    def score(self, batch: Batch) -> Batch:
        """Return `batch` with the domains and the quality that the models tell."""
        if not len(batch):
            return batch
        if self._domain is not None:
            chances = self._domain.probabilities(batch.points, batch.offsets)
            best = chances.argmax(axis=1)
            sure = chances[np.arange(len(batch)), best] >= self._min_score
            domains = [
                self._domain.classes[label] if told else domain
                for label, told, domain in zip(best, sure, batch.domains, strict=True)
            ]
            batch = batch.with_domains(domains)
        if self._quality is not None:
            batch = batch.with_feature(QUALITY, self._quality(batch))
        return batch

    def below_minimum(self, batch: Batch) -> tuple[Rows, list[str]]:
        """Return the documents whose score is below the least one, and why each is dropped."""
        if not self._floors or not len(batch):
            return np.empty(0, np.int64), []
        scores = batch.features[QUALITY]
        entries = floor_of(self._floors, batch.languages, batch.domains)
        minimum = np.array([entry.minimum or 0.0 for entry in self._floors] + [0.0], np.float32)
        rows = np.flatnonzero(scores < minimum[entries])  # false for NaN
        return rows, [
            f"quality {scores[row]:.3f}, less than {minimum[entries[row]]:g}"
            for row in rows.tolist()
        ]


def _quality(spec: QualityModel, folder: Folder) -> Scorer:
    if spec.onnx is not None:
        from pretrain_workloads.data.models.onnx_model import OnnxScorer  # loads slowly

        return OnnxScorer(spec.onnx)
    if spec.good:
        return _linear(Classifier.from_bytes(folder.read_bytes(model("quality"))))
    score = _linear(Classifier.from_bytes(DEFAULT_MODEL.read_bytes()))

    def known(batch: Batch) -> npt.NDArray[np.float32]:
        is_known = np.array([language in DEFAULT_LANGUAGES for language in batch.languages])
        is_known &= batch.characters >= DEFAULT_CHARACTERS
        return np.where(is_known, score(batch), np.float32(np.nan))

    return known


def _linear(classifier: Classifier) -> Scorer:
    good = classifier.classes.index("good")

    def score(batch: Batch) -> npt.NDArray[np.float32]:
        chances = classifier.probabilities(batch.points, batch.offsets)
        return chances[:, good].astype(np.float32)

    return score

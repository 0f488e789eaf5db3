"""Score documents with a model of the user's: a BERT or alike in ONNX form."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.pipeline.models import OnnxModel
from pretrain_workloads.data.batch import Batch
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import open_location

MODEL, TOKENIZER = "model.onnx", "tokenizer.json"

_BATCH = 16
"""Documents that are scored at once; those of about one length go together."""

_CHARACTERS_PER_TOKEN = 16
"""Text beyond so many characters for each token is not even tokenized."""


class OnnxScorer:
    """A loaded model; calling it scores a batch.

    Args:
        spec: Where the model is, and what its output means.

    Raises:
        UserError: If files are missing or cannot be loaded, or the inputs are unknown ones.
    """

    def __init__(self, spec: OnnxModel) -> None:
        self._spec, folder = spec, open_location(spec)
        if missing := [name for name in (MODEL, TOKENIZER) if not folder.exists(name)]:
            raise UserError(f"spec.models.quality.onnx: {spec.uri} lacks {', '.join(missing)}")
        with folder.fetched(MODEL) as path:
            self._session = _session(path, folder.uri_of(MODEL))
        self._tokenizer = _tokenizer(folder.read_bytes(TOKENIZER), folder.uri_of(TOKENIZER))
        self._tokenizer.enable_truncation(spec.max_tokens)
        self._tokenizer.enable_padding()
        self._inputs = [given.name for given in self._session.get_inputs()]
        known = {"input_ids", "attention_mask", "token_type_ids"}
        if unknown := sorted(set(self._inputs) - known):
            raise UserError(
                f"{folder.uri_of(MODEL)}: has the inputs {', '.join(unknown)}; "
                f"only {', '.join(sorted(known))} are known"
            )

    def __call__(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Return the score of each document of `batch`, from 0 to 1."""
        scores = np.empty(len(batch), np.float32)
        order = np.argsort(batch.characters, kind="stable")
        limit = self._spec.max_tokens * _CHARACTERS_PER_TOKEN
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            encodings = self._tokenizer.encode_batch(
                [batch.texts[row][:limit] for row in rows.tolist()]
            )
            given = {
                "input_ids": [encoding.ids for encoding in encodings],
                "attention_mask": [encoding.attention_mask for encoding in encodings],
                "token_type_ids": [encoding.type_ids for encoding in encodings],
            }
            feed = {name: np.asarray(given[name], np.int64) for name in self._inputs}
            scores[rows] = self._probabilities(self._run(feed))
        return scores

    def _run(self, feed: dict[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        try:
            return np.asarray(self._session.run(None, feed)[0])
        except Exception as error:  # its errors have no common class
            raise UserError(
                f"spec.models.quality.onnx: {self._spec.uri} does not run on a batch of "
                f"{len(feed['input_ids'])} documents with the ids of its tokenizer: {error}"
            ) from error

    def _probabilities(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        spec = self._spec
        values = logits.reshape(len(logits), -1).astype(np.float64)
        if values.shape[1] == 1:
            if spec.maximum is not None:
                return np.asarray(np.clip(values[:, 0] / spec.maximum, 0, 1))
            return np.asarray(1 / (1 + np.exp(-values[:, 0])))
        if spec.positive_class >= values.shape[1]:
            raise UserError(
                f"spec.models.quality.onnx.positiveClass: {spec.positive_class} is no class of a "
                f"model with {values.shape[1]} outputs; use 0 to {values.shape[1] - 1}"
            )
        odds = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(odds[:, spec.positive_class] / odds.sum(axis=1))


def _session(path: Path, uri: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # tasks are what is parallel
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common class
        raise UserError(f"{uri}: no model that ONNX Runtime can load: {error}") from error


def _tokenizer(content: bytes, uri: str) -> Any:
    import tokenizers

    try:
        return tokenizers.Tokenizer.from_buffer(content)
    except Exception as error:  # a plain Exception is what the library raises
        raise UserError(f"{uri}: no tokenizer of Hugging Face: {error}") from error

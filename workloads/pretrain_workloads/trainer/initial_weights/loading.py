"""Fills the weights of this rank from a Hugging Face model: the inverse of the export."""

import logging
from contextlib import ExitStack
from typing import Any

import torch
from megatron.core.dist_checkpointing.mapping import ShardedTensor

from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder
from pretrain_workloads.trainer.initial_weights.weight_files import WeightFiles
from pretrain_workloads.trainer.megatron.published_names import (
    EMBEDDINGS,
    EXPERTS,
    FINAL_NORM,
    expert_names,
    parts_of,
)
from pretrain_workloads.trainer.megatron.weights import sharded_tensors, with_all_axes

log = logging.getLogger(__name__)

_ROWS = 4096
"""Rows of an embedding that are read at a time for their mean."""


@torch.no_grad()
def load_weights(chunks: list[Any], model: ModelSpec, vocabulary_size: int, folder: Folder) -> None:
    """Fill this rank's part of the model; it reads the rows that it needs, a tensor at a time.

    Ids that the Hugging Face model lacks start with the mean of its rows.

    Args:
        chunks: This rank's chunks of the model.
        model: Its shape.
        vocabulary_size: Ids that it knows.
        folder: Folder of the Hugging Face model, whose configuration was checked.

    Raises:
        UserError: If a tensor is missing, or a file cannot be read.
    """
    with ExitStack() as stack:
        source = _Model(WeightFiles(folder, stack), model, vocabulary_size)
        for tensor in sharded_tensors(chunks):
            _fill(tensor, source, folder)
    log.info("the weights are those of %s", folder.uri)


def _fill(tensor: ShardedTensor, source: "_Model", folder: Folder) -> None:
    try:
        part = source.part(tensor)
        if part.shape != with_all_axes(tensor).shape:
            raise ValueError(f"{tuple(part.shape)} in place of {tuple(tensor.data.shape)}")
    except (RuntimeError, ValueError, IndexError) as error:
        raise UserError(
            f"{folder.uri}: the weights of {tensor.key} have other sizes than its config.json says "
            f"({error}); save the model again"
        ) from error
    with_all_axes(tensor).copy_(part)


class _Model:
    """The Hugging Face model, as tensors of Megatron-core."""

    def __init__(self, files: WeightFiles, model: ModelSpec, vocabulary_size: int) -> None:
        self._files, self._model = files, model
        self._vocabulary_size = vocabulary_size

    def part(self, tensor: ShardedTensor) -> torch.Tensor:
        """Return what a rank's slice of one of Megatron-core's tensors starts with."""
        key, offset, shape = tensor.key, tensor.global_offset, with_all_axes(tensor).shape
        if key in EMBEDDINGS:
            return self._embedding(EMBEDDINGS[key], offset[0], offset[0] + shape[0])
        if key in FINAL_NORM:
            return self._files.whole(FINAL_NORM[key])
        _, _, symbol, part = key.split(".", 3)
        layer = f"model.layers.{int(symbol) // 2}."
        match part:
            case "self_attention.linear_qkv.weight" | "self_attention.linear_qkv.bias":
                kind = part.rpartition(".")[2]
                return self._query_key_value(layer, kind, offset[0], offset[0] + shape[0])
            case "mlp.linear_fc1.weight" | "mlp.shared_experts.linear_fc1.weight":
                block = layer + part.removesuffix(".linear_fc1.weight")
                names = (f"{block}.gate_proj.weight", f"{block}.up_proj.weight")
                return self._gate_up(names, offset[0], offset[0] + shape[0])
        if part.startswith(EXPERTS):
            return self._experts(layer, part, offset, shape)
        whole = self._files.whole(layer + parts_of(self._model)[part])
        if whole.dim() == 1:
            return whole
        return whole[:, offset[1] : offset[1] + shape[1]]

    def _embedding(self, name: str, start: int, stop: int) -> torch.Tensor:
        """Return rows of an embedding; those that pad the vocabulary are zero."""
        known, width = self._files.shape(name)
        rows = self._files.rows(name, min(start, known), min(stop, known))
        new = min(stop, self._vocabulary_size) - max(start, known)
        mean = self._mean(name)[None].expand(new, width) if new > 0 else rows[:0]
        padding = stop - start - len(rows) - len(mean)
        return torch.cat([rows, mean.to(rows), rows.new_zeros(padding, width)])

    def _mean(self, name: str) -> torch.Tensor:
        count, width = self._files.shape(name)
        total = torch.zeros(width, dtype=torch.float64)
        for start in range(0, count, _ROWS):
            total += self._files.rows(name, start, min(count, start + _ROWS)).double().sum(0)
        return total / count

    def _query_key_value(self, layer: str, kind: str, start: int, stop: int) -> torch.Tensor:
        """Return rows of the joint projection, or of its bias: for each group its queries, a key,
        a value.
        """
        model, head = self._model, self._model.head_width
        queries = model.attention_heads // model.key_value_heads
        group = (queries + 2) * head
        first, last = start // group, -(-stop // group)

        def rows(name: str, heads: int) -> torch.Tensor:
            size = heads * head
            found = self._files.rows(f"{layer}self_attn.{name}.{kind}", first * size, last * size)
            return found.view(last - first, size, *found.shape[1:])

        parts = [rows("q_proj", queries), rows("k_proj", 1), rows("v_proj", 1)]
        joint = torch.cat(parts, dim=1).flatten(0, 1)
        return joint[start - first * group : stop - first * group]

    def _gate_up(self, names: tuple[str, str], start: int, stop: int) -> torch.Tensor:
        """Return rows of the joint projection: all of the gate, then all of the other half."""
        width = self._files.shape(names[0])[0]
        halves = [
            self._files.rows(name, *_within(start - at, stop - at, width))
            for name, at in zip(names, (0, width), strict=True)
        ]
        return torch.cat(halves)

    def _experts(
        self, layer: str, part: str, offset: tuple[int, ...], shape: torch.Size
    ) -> torch.Tensor:
        """Return rows (of `linear_fc1`) or columns of some experts' weights."""
        names = expert_names(self._model)
        found = []
        for number in range(offset[0], offset[0] + shape[0]):
            expert = f"{layer}{names.experts}.{number}"
            if part == f"{EXPERTS}1.weight":
                halves = (f"{expert}.{names.gate}.weight", f"{expert}.{names.up}.weight")
                found.append(self._gate_up(halves, offset[1], offset[1] + shape[1]))
            else:
                whole = self._files.whole(f"{expert}.{names.down}.weight")
                found.append(whole[:, offset[2] : offset[2] + shape[2]])
        return torch.stack(found)


def _within(start: int, stop: int, size: int) -> tuple[int, int]:
    """Return the part of a range that lies within `size` rows."""
    return min(max(start, 0), size), min(max(stop, 0), size)

"""Writes the weights of a checkpoint as Hugging Face's safetensors files."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.distributed.checkpoint import filesystem, metadata, state_dict_loader

from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_workloads.trainer.export.export_request import ExportRequest
from pretrain_workloads.trainer.export.tensors import converted, tensor_groups

FILE_BYTES = 4 * 2**30
"""A file of weights is closed when it holds this much."""

type Tensors = dict[str, torch.Tensor]


def write_weights(request: ExportRequest) -> None:
    """Write the weights of the request's checkpoint, holding about one file in memory."""
    warnings.filterwarnings("ignore", module=r"torch\.distributed\.checkpoint.*")
    output = Path(request.output)
    files: list[Path] = []
    names: list[list[str]] = []
    pending: Tensors = {}
    total = 0

    def close_file() -> None:
        files.append(output / f"part-{len(files)}.safetensors")
        names.append(list(pending))
        save_file(pending, files[-1], metadata={"format": "pt"})
        pending.clear()

    for group in _read_groups(request.checkpoint, request.model):
        for name, tensor in group.items():
            parts = converted(name, tensor, request.model, request.vocabulary_size)
            pending |= {key: value.contiguous() for key, value in parts.items()}
        total += sum(tensor.nbytes for tensor in group.values())
        if sum(tensor.nbytes for tensor in pending.values()) >= FILE_BYTES:
            close_file()
    if pending:
        close_file()
    _rename_files(output, files, names, total)


def _read_groups(checkpoint: str, model: ModelSpec) -> Iterator[Tensors]:
    """Yield the checkpoint's tensors, one layer at a time."""
    reader = filesystem.FileSystemReader(checkpoint)
    stored = {
        name: value
        for name, value in reader.read_metadata().state_dict_metadata.items()
        if isinstance(value, metadata.TensorStorageMetadata)
    }
    for group in tensor_groups(model):
        tensors = {
            name: torch.empty(stored[name].size, dtype=stored[name].properties.dtype)
            for name in group
        }
        state_dict_loader.load(tensors, storage_reader=reader, no_dist=True)
        yield tensors


def _rename_files(output: Path, files: list[Path], names: list[list[str]], total: int) -> None:
    """Give the files the names that Hugging Face expects, and write the index of several files."""
    if len(files) == 1:
        files[0].rename(output / "model.safetensors")
        return
    weight_map: dict[str, str] = {}
    for number, (file, keys) in enumerate(zip(files, names, strict=True), start=1):
        name = f"model-{number:05d}-of-{len(files):05d}.safetensors"
        file.rename(output / name)
        weight_map |= dict.fromkeys(keys, name)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (output / "model.safetensors.index.json").write_text(json.dumps(index, indent=2), "utf-8")

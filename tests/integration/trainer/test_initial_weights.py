"""Continual pretraining: a run starts from the weights of a Hugging Face model, in any layout."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from integration.trainer.conftest import TrainerPods
from integration.trainer.launchers import StartLaunchers
from integration.trainer.training_runs import make_run
from pretrain_api.reports import ExitClass, ExitReport

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

EXPORT = {"huggingFace": {"uri": "file:///pretrain/models"}}


def train_first(pods: TrainerPods, **model: Any) -> Path:
    """Train and export a model; return its folder."""
    report = pods.attempt(
        model=model,
        export=EXPORT,
        checkpoint={"uri": "file:///pretrain/checkpoints/first"},
    )
    assert report.exit_class is ExitClass.COMPLETE, report.message
    (folder,) = (pods.root / "models").glob("*/*")
    return folder


@pytest.fixture(scope="module")
def original(
    harness: Any, shared_storage: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainerPods:
    """Storage with one exported model, which no test changes."""
    root = tmp_path_factory.mktemp("original")
    for inputs in ("data", "tokenizer"):
        (root / inputs).symlink_to(shared_storage / inputs)
    pods = TrainerPods(harness, root)
    train_first(pods)
    return pods


def copy_model(original: TrainerPods, pods: TrainerPods) -> Path:
    """Copy the exported model to the storage of a test; return its folder."""
    shutil.copytree(original.root / "models", pods.root / "models")
    (folder,) = (pods.root / "models").glob("*/*")
    return folder


def continue_from(pods: TrainerPods, folder: Path, **changes: Any) -> ExitReport:
    place = f"file:///pretrain/{folder.relative_to(pods.root)}"
    return pods.attempt(
        initialize={"huggingFace": {"uri": place}},
        checkpoint={"uri": "file:///pretrain/checkpoints/second"},
        **changes,
    )


LAYOUTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "one process": ({}, {}),
    "tensor 2 x pipeline 2": ({"processes": 4, "tensor": 2, "pipeline": 2}, {}),
    "tied embeddings, pipeline 2 interleaved": (
        {"processes": 2, "pipeline": 2, "virtualPipeline": 2},
        {"tieEmbeddings": True},
    ),
    "tensor 2 x data 2": ({"processes": 4, "tensor": 2, "sequence": True}, {}),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_run_starts_where_the_exported_model_ended(
    case: str, pods: TrainerPods, original: TrainerPods
) -> None:
    layout, model = LAYOUTS[case]
    folder = train_first(pods, **model) if model else copy_model(original, pods)
    first = json.loads((folder / "MANIFEST.json").read_text())["summary"]
    report = continue_from(pods, folder, parallelism=layout, model=model)
    assert report.exit_class is ExitClass.COMPLETE, report.message
    assert report.training is not None
    assert report.training.initial_perplexity == pytest.approx(first["perplexity"], rel=1e-5)
    assert report.training.perplexity is not None
    assert report.training.perplexity < first["perplexity"]


def test_a_model_in_several_files_that_knows_fewer_ids_is_loaded(
    pods: TrainerPods, original: TrainerPods
) -> None:
    folder = copy_model(original, pods)
    divide(folder)
    report = continue_from(
        pods,
        folder,
        parallelism={"processes": 2, "tensor": 2},
        model={"vocabularySize": 300},
        export={"huggingFace": {"uri": "file:///pretrain/models/grown"}},
        training={
            "tokens": 8 * 32,
            "schedule": {"warmup": {"tokens": 0}},
            "optimizer": {"learningRate": 0.0, "minLearningRate": 0.0},
        },
    )
    assert report.exit_class is ExitClass.COMPLETE, report.message
    (grown,) = (pods.root / "models/grown").glob("*/*")
    before, after = merged(folder), merged(grown)
    for name, tensor in before.items():
        if tensor.shape[0] != 256:
            assert torch.equal(after[name], tensor), name
        else:
            assert torch.equal(after[name][:256], tensor), name
            mean = tensor.double().mean(0).float()
            assert torch.allclose(after[name][256:], mean.expand(44, -1), atol=1e-7), name


def divide(folder: Path) -> None:
    """Divide the weights into two files and an index, as large models are."""
    tensors = list(load_file(folder / "model.safetensors").items())
    names: dict[str, str] = {}
    for number, part in enumerate((tensors[::2], tensors[1::2]), 1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file(dict(part), folder / file, metadata={"format": "pt"})
        names |= dict.fromkeys((name for name, _ in part), file)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def merged(folder: Path) -> dict[str, torch.Tensor]:
    return {
        name: tensor
        for file in folder.glob("*.safetensors")
        for name, tensor in load_file(file).items()
    }


def test_a_resumed_run_does_not_start_from_the_model_again(
    pods: TrainerPods, original: TrainerPods
) -> None:
    folder = copy_model(original, pods)
    flat = {"warmup": {"tokens": 0}, "decay": {"shape": "constant"}}
    whole = continue_from(pods, folder, training={"tokens": 4 * 8 * 32, "schedule": flat})
    (folder / "model.safetensors").write_bytes(b"")  # nobody reads it again
    resumed = continue_from(pods, folder, training={"tokens": 6 * 8 * 32, "schedule": flat})
    assert whole.exit_class is resumed.exit_class is ExitClass.COMPLETE, resumed.message
    assert resumed.training is not None
    assert whole.training is not None
    assert resumed.training.from_step == 4
    assert resumed.training.initial_perplexity == whole.training.initial_perplexity


def edit_config(**changes: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def edit_weights(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def narrow(tensors: dict[str, torch.Tensor]) -> None:
    name = "model.layers.1.self_attn.k_proj.weight"
    tensors[name] = tensors[name][:-1].contiguous()


def drop(tensors: dict[str, torch.Tensor]) -> None:
    del tensors["model.layers.2.mlp.up_proj.weight"]


def empty_index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text("[]")


def other_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    described = json.loads(path.read_text())
    vocabulary = described["model"]["vocab"]
    first, second = list(vocabulary)[7:9]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    path.write_text(json.dumps(described))


def other_form(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


WRONG_MODELS: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "another shape": (
        edit_config(num_hidden_layers=6, intermediate_size=256, rope_parameters=None),
        [
            "spec.model.layers: 4, but file:///pretrain/models/",
            "has 6; use 6; spec.model.ffnHiddenSize: 128, but",
        ],
    ),
    "another architecture": (
        edit_config(model_type="gemma", attention_bias=True),
        ["model_type is 'gemma', none of llama, mistral, qwen2, ", "; attention_bias is True;"],
    ),
    "more ids": (
        edit_config(vocab_size=500),
        ["spec.model.vocabularySize: 256, but", "has 500 ids; use 500 or more"],
    ),
    "another tokenizer": (
        other_tokenizer,
        ["was trained with another tokenizer: 2 ids stand for other pieces, such as 7, '"],
    ),
    "weights that were cut": (cut_weights, ["model.safetensors: ends within ", "copy it again"]),
    "weights of other sizes": (edit_weights(narrow), ["linear_qkv.weight have other sizes than"]),
    "a tensor that is missing": (
        edit_weights(drop),
        ["has no tensor model.layers.2.mlp.up_proj.weight; use the whole model"],
    ),
    "an index that is none": (empty_index, ["index.json: is no list of weights (TypeError"]),
    "weights of an old form": (other_form, ["holds neither model.safetensors nor model.safetenso"]),
}


@pytest.mark.parametrize("case", WRONG_MODELS)
def test_another_model_is_refused_with_what_would_do(
    case: str, pods: TrainerPods, original: TrainerPods, start: StartLaunchers
) -> None:
    spoil, want = WRONG_MODELS[case]
    folder = copy_model(original, pods)
    spoil(folder)
    place = f"file:///pretrain/{folder.relative_to(pods.root)}"
    (pod,) = start(make_run(initialize={"huggingFace": {"uri": place}}))
    report = pod.report()
    assert report.exit_class is ExitClass.USER_ERROR, report.message
    for part in want:
        assert part in report.message

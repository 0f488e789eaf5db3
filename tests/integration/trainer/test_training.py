"""What a run does beside stepping: export, precision, recomputation, failures with a reason."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integration.trainer.conftest import TrainerPods
from integration.trainer.launchers import StartLaunchers
from integration.trainer.training_runs import LENGTH, losses, make_run
from pretrain_api.artifacts import MANIFEST
from pretrain_api.reports import ExitClass
from pretrain_api.runs import TrainingRun
from pretrain_workloads.indexed_blocks import mask_bytes

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

EXPORT = {"huggingFace": {"uri": "file:///pretrain/models"}}
PROMPTS = {"prompts": ["一丁", "七"], "maxNewTokens": 5}


@pytest.mark.parametrize(
    ("layout", "model"),
    [
        pytest.param({"processes": 4, "tensor": 2, "pipeline": 2}, {}, id="tensor 2 x pipeline 2"),
        pytest.param(
            {"processes": 2, "pipeline": 2}, {"tieEmbeddings": True}, id="tied embeddings"
        ),
        pytest.param(
            {"processes": 4, "context": 2, "tensor": 2, "sequence": True},
            {"vocabularySize": 300},
            id="context 2, more ids than the tokenizer",
        ),
    ],
)
def test_the_exported_model_has_the_logits_of_the_trained_one(
    layout: dict[str, Any], model: dict[str, Any], pods: TrainerPods
) -> None:
    report = pods.attempt(parallelism=layout, model=model, export=EXPORT, evaluation=PROMPTS)
    assert report.exit_class is ExitClass.COMPLETE, report.message
    assert report.training is not None
    assert report.training.export_logit_difference is not None
    assert report.training.export_logit_difference < 1e-5
    assert [one.prompt for one in report.training.continuations] == PROMPTS["prompts"]
    assert all(one.text for one in report.training.continuations)
    assert report.training.export is not None
    (folder,) = (pods.root / "models").glob("*/*")
    manifest = json.loads((folder / MANIFEST).read_text())
    written = {file.name for file in folder.iterdir()} - {MANIFEST}
    assert {file["path"] for file in manifest["files"]} == written
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= written
    config = json.loads((folder / "config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"]) == (None, 2), "the tokenizer's own"
    assert config["vocab_size"] == model.get("vocabularySize", 256)


def test_bf16_trains_and_exports(pods: TrainerPods) -> None:
    report = pods.attempt(
        parallelism={"processes": 2, "tensor": 2}, training={"precision": "bf16"}, export=EXPORT
    )
    assert report.exit_class is ExitClass.COMPLETE, report.message
    assert report.training is not None
    assert losses(report)[-1] < losses(report)[0]
    assert report.training.export_logit_difference is not None


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"processes": 4, "tensor": 2, "context": 2, "sequence": False},
        {"processes": 4, "tensor": 2, "sequence": True, "pipeline": 2, "virtualPipeline": 2},
    ],
    ids=["one process", "tensor 2 x context 2", "tensor 2 x pipeline 2 with two chunks each"],
)
@pytest.mark.parametrize("recompute", ["selective", "full"])
def test_recomputing_changes_no_loss(
    recompute: str, layout: dict[str, Any], pods: TrainerPods
) -> None:
    plain = pods.attempt(
        parallelism=dict(layout), checkpoint={"uri": "file:///pretrain/checkpoints/plain"}
    )
    again = pods.attempt(
        parallelism=dict(layout),
        training={"recompute": recompute},
        checkpoint={"uri": "file:///pretrain/checkpoints/again"},
    )
    assert losses(again) == losses(plain)
    assert len(losses(plain)) == 10


def test_a_loss_that_is_no_number_ends_every_rank_with_that_class(pods: TrainerPods) -> None:
    report = pods.attempt(
        parallelism={"processes": 4, "tensor": 2, "pipeline": 2},
        model={"initStd": 1.0, "normEpsilon": 1.0},
        training={
            # Each step multiplies the weights by 1 - learningRate · weightDecay = -9.
            "optimizer": {
                "learningRate": 10.0,
                "minLearningRate": 10.0,
                "weightDecay": 1.0,
                "gradientClip": 0.0,
            },
            "schedule": {"warmup": {"tokens": 0}, "decay": {"shape": "constant"}},
            "tokens": 40 * 8 * LENGTH,
            "precision": "bf16",
        },
        evaluation={"perplexity": False},
    )
    if report.exit_class is ExitClass.COMPLETE:
        pytest.fail(f"losses {losses(report)}")
    assert report.exit_class is ExitClass.NOT_A_NUMBER


def test_sizes_that_do_not_divide_are_refused_all_at_once(pods: TrainerPods) -> None:
    report = pods.attempt(
        parallelism={"processes": 2, "tensor": 2}, model={"queryGroups": 1, "ffnHiddenSize": 127}
    )
    assert report.exit_class is ExitClass.USER_ERROR
    assert "spec.model.queryGroups = 1" in report.message
    assert "spec.model.ffnHiddenSize = 127" in report.message


def own_dataset(pods: TrainerPods) -> Path:
    source = (pods.root / "data").resolve()
    (pods.root / "data").unlink()
    shutil.copytree(source, pods.root / "data")
    return pods.root / "data"


def test_an_id_beyond_the_vocabulary_is_bad_data_with_its_place(pods: TrainerPods) -> None:
    block = own_dataset(pods) / "blocks/00000.bin"
    tokens = np.fromfile(block, np.uint16)
    tokens[:] = 777
    tokens.tofile(block)
    report = pods.attempt(parallelism={"processes": 2, "pipeline": 2})
    assert report.exit_class is ExitClass.BAD_DATA
    assert "blocks/00000.bin: sequence" in report.message
    assert "holds id 777" in report.message


def test_a_truncated_block_is_bad_data_with_the_numbers(pods: TrainerPods) -> None:
    block = own_dataset(pods) / "blocks/00000.bin"
    block.write_bytes(block.read_bytes()[:1000])
    report = pods.attempt()
    assert report.exit_class is ExitClass.BAD_DATA
    assert (
        "blocks/00000.bin: holds 500 tokens, and its index 3841, but 120 sequences"
        in report.message
    )


def seal(folder: Path) -> None:
    """Write a manifest with the checksums of a dataset's files."""
    files = [
        {"path": f"{path.relative_to(folder)}", "bytes": path.stat().st_size, "sha256": checksum}
        for path in folder.rglob("*.bin")
        for checksum in [hashlib.sha256(path.read_bytes()).hexdigest()]
    ]
    manifest = {"kind": "TokenDataset", "name": "blocks", "digest": "d" * 64, "createdAt": "now"}
    (folder / "MANIFEST.json").write_text(json.dumps({**manifest, "spec": {}, "files": files}))


def test_a_block_with_other_tokens_than_its_artifact_is_bad_data(pods: TrainerPods) -> None:
    folder = own_dataset(pods)
    seal(folder)
    block = folder / "blocks/00000.bin"
    tokens = np.fromfile(block, np.uint16)
    tokens[5] ^= 1
    tokens.tofile(block)
    report = pods.attempt(parallelism={"processes": 2, "pipeline": 2})
    assert report.exit_class is ExitClass.BAD_DATA
    assert "/pretrain/data/blocks/00000.bin: its checksum is wrong" in report.message


def damage_block(folder: Path, root: Path) -> None:
    (folder / "blocks/00001.bin").unlink()
    block = folder / "blocks/00000.bin"
    block.write_bytes(block.read_bytes() + b"\0\0")


def damage_tokenizer(folder: Path, root: Path) -> None:
    source = (root / "tokenizer").resolve()
    (root / "tokenizer").unlink()
    shutil.copytree(source, root / "tokenizer")
    (root / "tokenizer/tokenizer.json").write_text('{"version": ')


def take_another_tokenizer(folder: Path, root: Path) -> None:
    seal(folder)
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    other = {"uri": "s3://data/tokenizer-other/0", "digest": "0" * 64}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest | {"inputs": [other]}))


def spoil_bytes(folder: Path, root: Path) -> None:
    blocks = json.loads((folder / "blocks.json").read_text())
    blocks["validation"][0]["bytes"] = "many"
    (folder / "blocks.json").write_text(json.dumps(blocks))


def spoil_manifest(folder: Path, root: Path) -> None:
    (folder / "MANIFEST.json").write_text('{"kind": "TokenDataset"}')


def shrink_vocabulary(folder: Path, root: Path) -> None:
    blocks = json.loads((folder / "blocks.json").read_text())
    (folder / "blocks.json").write_text(json.dumps(blocks | {"vocabularySize": 200}))


WRONG_INPUTS: dict[str, tuple[Callable[[Path, Path], None], ExitClass, list[str]]] = {
    "blocks of another size": (
        damage_block,
        ExitClass.BAD_DATA,
        ["00000.bin: has 7684 bytes, but 120 sequences of 32 tokens need 7682", "is missing"],
    ),
    "bytes that are no number": (
        spoil_bytes,
        ExitClass.BAD_DATA,
        ["/pretrain/data/blocks.json: is no list of token blocks (ValueError: invalid literal"],
    ),
    "a manifest that is none": (
        spoil_manifest,
        ExitClass.BAD_DATA,
        ["/pretrain/data/MANIFEST.json: is no manifest of an artifact (", "; delete the artifact"],
    ),
    "a broken tokenizer": (
        damage_tokenizer,
        ExitClass.USER_ERROR,
        ["/pretrain/tokenizer/tokenizer.json: cannot be loaded ("],
    ),
    "blocks of another tokenizer": (
        take_another_tokenizer,
        ExitClass.USER_ERROR,
        ["was made with the tokenizer s3://data/tokenizer-other/0, not with file:///pretrain/"],
    ),
    "another number of ids": (
        shrink_vocabulary,
        ExitClass.USER_ERROR,
        ["tokenizer.json: has 256 ids, but the blocks of file:///pretrain/data were made with 200"],
    ),
}


@pytest.mark.parametrize("case", WRONG_INPUTS)
def test_wrong_inputs_are_refused_before_any_rank_starts(
    case: str, pods: TrainerPods, start: StartLaunchers
) -> None:
    spoil, exit_class, want = WRONG_INPUTS[case]
    spoil(own_dataset(pods), pods.root)
    (pod,) = start(make_run())
    report = pod.report()
    assert report.exit_class is exit_class
    for part in want:
        assert part in report.message
    assert "starts" not in pod.log.read_text()
    assert pod.step == 0


def test_defaults_that_are_written_out_ask_for_nothing(
    pods: TrainerPods, start: StartLaunchers
) -> None:
    run = TrainingRun.model_validate(make_run())
    (pod,) = start(run.model_dump(mode="json", by_alias=True))
    assert pod.report().exit_class is ExitClass.COMPLETE


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        ({"training": {"precision": "fp8"}}, "spec.training.precision: the trainer computes in"),
        ({"model": {"qkvBias": True, "qkNorm": True}}, "spec.model.qkvBias: no exported model has"),
    ],
)
def test_what_this_trainer_cannot_do_is_refused_by_itself(
    changes: dict[str, Any], want: str, pods: TrainerPods, start: StartLaunchers
) -> None:
    """An operator of a later version may admit more than the image of a run can do."""
    (pod,) = start(make_run(**changes))
    report = pod.report()
    assert report.exit_class is ExitClass.USER_ERROR
    assert want in report.message


def test_a_dataset_of_another_length_is_refused_with_both_numbers(pods: TrainerPods) -> None:
    report = pods.attempt(training={"sequenceLength": 64})
    assert report.exit_class is ExitClass.USER_ERROR
    assert "spec.training.sequenceLength: 64" in report.message
    assert "use 32" in report.message


def write_masks(folder: Path, share: float) -> None:
    """Let about `share` of the labels count, in runs of many lengths."""
    index = json.loads((folder / "blocks.json").read_text())
    rng = np.random.default_rng(5)
    for entry in (*index["blocks"], *index["validation"]):
        tokens = entry["sequences"] * LENGTH + 1
        counted = np.repeat(rng.random(tokens // 7 + 1) < share, 7)[:tokens]
        (folder / f"{entry['path']}.mask").write_bytes(mask_bytes(counted))
        entry["mask"] = True
    (folder / "blocks.json").write_text(json.dumps(index))


def test_a_mask_of_which_all_labels_count_changes_nothing(pods: TrainerPods) -> None:
    plain = pods.attempt()
    write_masks(own_dataset(pods), 1.0)
    masked = pods.attempt(checkpoint={"uri": "file:///pretrain/checkpoints/masked"})
    assert losses(masked) == losses(plain)
    assert plain.training is not None
    assert masked.training is not None
    assert masked.training.perplexity == plain.training.perplexity


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param({"processes": 2}, id="data 2"),
        pytest.param({"processes": 4, "tensor": 2, "context": 2}, id="tensor 2 x context 2"),
        pytest.param({"processes": 2, "pipeline": 2, "virtualPipeline": 2}, id="interleaved"),
    ],
)
def test_every_label_that_counts_has_the_same_weight_in_any_layout(
    layout: dict[str, Any], pods: TrainerPods
) -> None:
    """Ranks have other numbers of labels that count: a mean over each of them would differ."""
    write_masks(own_dataset(pods), 0.3)
    training = {"optimizer": {"learningRate": 3e-3, "minLearningRate": 3e-4, "gradientClip": 0.3}}
    alone = pods.attempt(training=training)
    uri = {"uri": "file:///pretrain/checkpoints/divided"}
    divided = pods.attempt(parallelism=dict(layout), training=training, checkpoint=uri)
    assert divided.exit_class is ExitClass.COMPLETE, divided.message
    assert losses(divided) == pytest.approx(losses(alone), abs=2e-5)
    assert alone.training is not None
    assert divided.training is not None
    assert divided.training.perplexity == pytest.approx(alone.training.perplexity, rel=1e-4)


def test_a_batch_of_prompts_alone_is_read_and_nothing_is_learnt_from_it(
    pods: TrainerPods,
) -> None:
    folder = own_dataset(pods)
    write_masks(folder, 0.5)
    (folder / "blocks/00000.mask").write_bytes(bytes(481))
    report = pods.attempt()
    assert report.exit_class is ExitClass.COMPLETE, report.message
    assert set(losses(report)) == {0.0}


def test_a_mask_that_does_not_fit_its_block_is_bad_data(pods: TrainerPods) -> None:
    folder = own_dataset(pods)
    write_masks(folder, 0.5)
    (folder / "blocks/00000.mask").write_bytes(b"1")
    report = pods.attempt()
    assert report.exit_class is ExitClass.BAD_DATA
    assert "blocks/00000.mask: has 1 bytes, but 3841 tokens need 481" in report.message


def test_two_pods_train_together_and_pod_0_reports_the_training(pods: TrainerPods) -> None:
    run = make_run(parallelism={"nodes": 2, "processes": 2, "tensor": 2, "pipeline": 2})
    first, second = pods.attempt_of(run)
    assert (first.exit_class, second.exit_class) == (ExitClass.COMPLETE, ExitClass.COMPLETE)
    assert first.training is not None
    assert first.training.to_step == 10
    assert second.training is None

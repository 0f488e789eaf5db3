"""A real model in ONNX form, small enough to compute by hand, through the real runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers

from batches import make_batch
from pretrain_api.v1alpha1.pipeline.models import OnnxModel
from pretrain_workloads.data.models.onnx_model import OnnxScorer
from pretrain_workloads.failures import UserError

VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3}


def write_model(folder: Path, table: list[list[float]], inputs: tuple[str, ...]) -> None:
    """Write a model whose logits are the sum of `table` over the tokens that are not masked."""
    from onnx import TensorProto, helper, numpy_helper, save

    shape = ["batch", "length"]
    given = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in inputs]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["seen"]),
        helper.make_node("ReduceSum", ["seen", "middle"], ["logits"], keepdims=0),
    ]
    constants = [
        numpy_helper.from_array(np.array(table, np.float32), "table"),
        numpy_helper.from_array(np.array([-1], np.int64), "last"),
        numpy_helper.from_array(np.array([1], np.int64), "middle"),
    ]
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(table[0])])
    graph = helper.make_graph(nodes, "words", given, [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, folder / "model.onnx")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(VOCABULARY, "[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))


def scores(folder: Path, texts: list[str], **fields: Any) -> list[float]:
    model = OnnxModel.model_validate({"uri": f"file://{folder}"} | fields)
    return [float(score) for score in OnnxScorer(model)(make_batch(texts))]


BOTH = ("input_ids", "attention_mask")


def test_the_score_is_the_probability_of_a_class(tmp_path: Path) -> None:
    write_model(tmp_path, [[9, 9], [0, 0], [0, 2], [2, 0]], BOTH)
    texts = ["good", "bad bad", "good bad", "x"] * 9
    got = scores(tmp_path, texts)
    want = [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(4)), 0.5, 0.5] * 9
    np.testing.assert_allclose(got, want, atol=1e-6)
    np.testing.assert_allclose(scores(tmp_path, texts, positiveClass=0), 1 - np.array(want), 1e-5)


def test_one_output_is_a_regression_or_the_log_odds(tmp_path: Path) -> None:
    write_model(tmp_path, [[0.0], [0.0], [2.0], [-1.0]], BOTH)
    assert scores(tmp_path, ["good", "good good good", "bad"], maximum=5) == pytest.approx(
        [0.4, 1, 0]
    )
    assert scores(tmp_path, ["good"]) == pytest.approx([1 / (1 + np.exp(-2))])


def test_only_the_first_tokens_count(tmp_path: Path) -> None:
    write_model(tmp_path, [[0.0], [0.0], [1.0], [-1.0]], BOTH)
    text = "good " * 8 + "bad " * 1000
    assert scores(tmp_path, [text], maxTokens=8, maximum=8) == pytest.approx([1])


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"lacks model.onnx, tokenizer.json"):
        scores(tmp_path, ["x"])
    write_model(tmp_path, [[0, 0]] * 4, BOTH)
    with pytest.raises(UserError, match="2 is no class of a model with 2 outputs; use 0 to 1"):
        scores(tmp_path, ["x"], positiveClass=2)
    write_model(tmp_path, [[0, 0]] * 4, (*BOTH, "pixels"))
    with pytest.raises(UserError, match="has the inputs pixels; only"):
        scores(tmp_path, ["x"])
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    write = tmp_path / "model.onnx"
    write.write_bytes(b"not a model")
    with pytest.raises(UserError, match="no model that ONNX Runtime can load"):
        scores(tmp_path, ["x"])


def test_a_model_that_does_not_fit_its_tokenizer_is_told(tmp_path: Path) -> None:
    write_model(tmp_path, [[0.0, 0.0]] * 2, BOTH)  # ids 2 and 3 are beyond its table
    with pytest.raises(UserError, match="does not run on a batch of 1 documents"):
        scores(tmp_path, ["good"])

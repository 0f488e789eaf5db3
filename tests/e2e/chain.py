"""The smallest real chain: half a megabyte of real text, four kinds, one tiny model."""

import ast
import gzip
import json
import sysconfig
from pathlib import Path
from pydoc_data import topics
from typing import Any

from pretrain_api.meta import API_VERSION

type Manifest = dict[str, Any]

STEPS = 60
"""Enough that a run still trains when a test has seen its first checkpoint."""

STEP_TOKENS = 8 * 64
"""Labels of a step."""

_POEMS = (
    "静夜思 李白\n床前明月光，疑是地上霜。\n举头望明月，低头思故乡。",
    "春晓 孟浩然\n春眠不觉晓，处处闻啼鸟。\n夜来风雨声，花落知多少。",
    "登鹳雀楼 王之涣\n白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。",
    "相思 王维\n红豆生南国，春来发几枝。\n愿君多采撷，此物最相思。",
    "江雪 柳宗元\n千山鸟飞绝，万径人踪灭。\n孤舟蓑笠翁，独钓寒江雪。",
    "悯农 李绅\n锄禾日当午，汗滴禾下土。\n谁知盘中餐，粒粒皆辛苦。",
)
_MODULES = (
    "argparse",
    "ast",
    "calendar",
    "dataclasses",
    "datetime",
    "inspect",
    "pathlib",
    "typing",
)


def write_corpus(folder: Path) -> None:
    """Write Chinese poems, Python's language reference and some of its modules below `folder`."""
    folder.mkdir(parents=True)
    _jsonl(folder / "zh.jsonl", [{"id": f"zh{i}", "text": t} for i, t in enumerate(_poems())])
    english = [{"id": name, "text": text} for name, text in sorted(topics.topics.items())]
    data = "\n".join(json.dumps(row, ensure_ascii=False) for row in english).encode()
    (folder / "en.jsonl.gz").write_bytes(gzip.compress(data, mtime=0))
    _jsonl(folder / "code.jsonl", [{"id": i, "text": t} for i, t in _functions()])


def profile(data: Path) -> Manifest:
    """Return a CPU profile whose volume is the folder `data`."""
    spec = {
        "accelerator": {"name": "cpu", "perNode": 2},
        "pods": {
            "env": {"GLOO_SOCKET_IFNAME": "lo"},
            "volumes": [{"name": "data", "mountPath": "/pretrain/data", "hostPath": str(data)}],
        },
    }
    return _manifest("ComputeProfile", "tiny", spec)


def documents(**changes: Any) -> Manifest:
    """Return the pipeline."""
    spec = {
        "profileRef": {"name": "tiny"},
        "sources": [
            _source("poems", "zh.jsonl", language="zh"),
            _source("reference", "en.jsonl.gz", language="en"),
            _source("modules", "code.jsonl", language="code"),
        ],
        "output": {"uri": "file:///pretrain/data/artifacts"},
        "rules": [{"length": {"minCharacters": 16}}, {"repetition": {}, "languages": ["en"]}],
        "deduplication": {"near": {"similarity": 0.8}},
        "tasks": 2,
    }
    return _manifest("DataPipeline", "documents", {**spec, **changes})


def tokenizer() -> Manifest:
    """Return the tokenizer."""
    spec = {
        "profileRef": {"name": "tiny"},
        "corpus": {"pipelineRef": {"name": "documents"}, "sampleBytes": "1M"},
        "vocabularySize": 1024,
        "output": {"uri": "file:///pretrain/data/artifacts"},
    }
    return _manifest("Tokenizer", "pieces", spec)


def dataset() -> Manifest:
    """Return the token blocks."""
    spec = {
        "profileRef": {"name": "tiny"},
        "tokenizerRef": {"name": "pieces"},
        "mixture": [
            {"pipelineRef": {"name": "documents"}, "where": {"language": "zh"}, "weight": 1},
            {"pipelineRef": {"name": "documents"}, "where": {"language": "en"}, "weight": 3},
            {"pipelineRef": {"name": "documents"}, "where": {"language": "code"}, "weight": 1},
        ],
        "tokens": "60k",
        "blockTokens": "16k",
        "sequenceLength": 64,
        "validation": {"fraction": 0.05, "maxTokens": "4k"},
        "output": {"uri": "file:///pretrain/data/artifacts"},
    }
    return _manifest("TokenDataset", "blocks", spec)


def run(name: str = "tiny", **changes: Any) -> Manifest:
    """Return a run of `STEPS` steps, tensor 2 x pipeline 2 over two pods."""
    spec = {
        "profileRef": {"name": "tiny"},
        "model": {
            "layers": 2,
            "hiddenSize": 64,
            "ffnHiddenSize": 128,
            "attentionHeads": 4,
            "queryGroups": 2,
        },
        "data": {"datasetRef": {"name": "blocks"}},
        "parallelism": {"nodes": 2, "tensor": 2, "pipeline": 2},
        "training": {
            "tokens": STEPS * STEP_TOKENS,
            "sequenceLength": 64,
            "globalBatchSize": 8,
            "microBatchSize": 4,
            "precision": "fp32",
            "optimizer": {"learningRate": 0.003, "minLearningRate": 0.0003},
        },
        "checkpoint": {"uri": "file:///pretrain/data/checkpoints", "every": {"steps": 5}},
        "evaluation": {"prompts": ["床前明月光，"], "maxNewTokens": 8},
        "export": {"huggingFace": {"uri": "file:///pretrain/data/models"}},
    }
    return _manifest("PretrainJob", name, {**spec, **changes})


def all_kinds(data: Path) -> list[Manifest]:
    """Return the whole chain."""
    return [profile(data), documents(), tokenizer(), dataset(), run()]


def _manifest(kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _source(name: str, file: str, **fields: str) -> Manifest:
    return {"name": name, "uri": f"file:///pretrain/data/raw/{file}", **fields}


def _poems() -> list[str]:
    """Return the poems, and pairs of them, so that the language has more than six documents."""
    pairs = [f"{a}\n\n{b}" for a in _POEMS for b in _POEMS if a != b]
    return [*_POEMS, *pairs]


def _functions() -> list[tuple[str, str]]:
    found = []
    root = Path(sysconfig.get_paths()["stdlib"])
    for module in _MODULES:
        path = root / f"{module}.py"
        source = (path if path.exists() else root / module / "__init__.py").read_text("utf-8")
        for node in ast.parse(source).body:
            text = ast.get_source_segment(source, node) or ""
            if len(text) > 200:
                found.append((f"{module}:{node.lineno}", text))
    return found


def _jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

"""Random PretrainJob specs: plausible ones, so that every rule is both kept and broken."""

from random import Random
from typing import Any

from hypothesis import strategies as st

Spec = dict[str, Any]

_SMALL = [1, 1, 1, 2, 2, 3, 4, 6, 8]
_TOKENS: list[int | str] = ["100G", "1T", "20M", 4096, "1.5G", "300k", "2Gi", 0]
_SEQUENCES = [1024, 2048, 4096, 4100, 6144, 8192, 1030, 16]
_BATCHES = [1, 4, 8, 12, 16, 48, 60, 64, 96, 128, 255, 256, 512]


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Spec]:
    """Give any subset of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


def models() -> st.SearchStrategy[Spec]:
    """Give shapes: presets, overridden presets, and others."""
    heads = st.sampled_from([4, 8, 12, 16, 24, 30, 32, 40, 64])
    widths = st.sampled_from([512, 768, 1000, 1024, 1536, 2048, 4096, 5120])
    own = {
        "layers": st.sampled_from([1, 2, 4, 6, 12, 16, 24, 30, 32, 61, 94, 126]),
        "hiddenSize": widths,
        "ffnHiddenSize": st.sampled_from([1024, 2048, 2730, 4096, 5461, 8192, 11008]),
        "attentionHeads": heads,
    }
    optional = {
        "queryGroups": st.sampled_from([1, 2, 3, 4, 6, 8, 12, 32]),
        "headDim": st.sampled_from([32, 63, 64, 80, 128, 512]),
        "vocabularySize": st.sampled_from([32000, 32001, 50257, 128256]),
        "tieEmbeddings": st.booleans(),
        "experts": experts(),
    }
    rare = {name: optional[name] for name in ("queryGroups", "vocabularySize")}
    presets = st.sampled_from(["llama2-7b", "llama3-8b", "llama3-405b", "llama3.2-1b"])
    return st.one_of(
        st.fixed_dictionaries(own, optional=rare),
        st.fixed_dictionaries(own, optional=optional),
        st.fixed_dictionaries({"preset": presets}, optional={**own, **rare}),
        st.fixed_dictionaries({}, optional=own),
    )


def experts() -> st.SearchStrategy[Spec]:
    """Give mixtures of experts."""
    return st.fixed_dictionaries(
        {
            "count": st.sampled_from([2, 4, 6, 8, 64]),
            "ffnHiddenSize": st.sampled_from([512, 1023, 2048]),
        },
        optional={
            "topK": st.sampled_from([1, 2, 4, 8]),
            "sharedFfnHiddenSize": st.sampled_from([512, 1023]),
            "denseLayers": st.sampled_from([0, 1, 3, 40]),
            "groups": st.sampled_from([1, 2, 3, 4]),
            "groupTopK": st.sampled_from([1, 2, 4]),
        },
    )


def layouts() -> st.SearchStrategy[Spec]:
    """Give degrees: often few, sometimes with uneven stages."""
    degree = st.sampled_from(_SMALL)
    grid = {
        "nodes": st.sampled_from([1, 2, 3, 4, 8, 16]),
        "gpusPerNode": st.sampled_from([1, 2, 4, 8]),
        "tensor": degree,
        "pipeline": degree,
        "context": degree,
        "virtualPipeline": degree,
        "sequence": st.booleans(),
        "distributedOptimizer": st.booleans(),
    }
    uneven = {
        "expert": degree,
        "expertTensor": degree,
        "countEmbedding": st.booleans(),
        "countLoss": st.booleans(),
        "firstStageLayers": st.integers(1, 12),
        "lastStageLayers": st.integers(1, 12),
        "stageLayers": st.lists(st.integers(0, 16), min_size=1, max_size=6),
    }
    plain = {name: grid[name] for name in ("nodes", "gpusPerNode", "tensor", "pipeline")}
    counts = {name: uneven[name] for name in ("countEmbedding", "countLoss", "firstStageLayers")}
    return st.one_of(
        _some(**plain), _some(**grid), _some(**plain, **counts), _some(**grid, **uneven)
    )


def trainings() -> st.SearchStrategy[Spec]:
    """Give lengths, batches and schedules."""
    tokens = st.sampled_from(_TOKENS)
    batch = st.sampled_from(_BATCHES)
    rate = st.sampled_from([0.0, 1e-5, 3e-5, 3e-4, 0.01, 0.5])
    schedule = _some(
        warmup=_some(tokens=tokens),
        decay=_some(tokens=tokens, shape=st.sampled_from(["cosine", "linear", "constant", "wsd"])),
        anneal=st.fixed_dictionaries({"tokens": tokens}),
    )
    step = st.fixed_dictionaries({"fromTokens": tokens, "globalBatchSize": batch})
    phase = st.fixed_dictionaries(
        {"sequenceLength": st.sampled_from([2048, 8192, 32768, 32770]), "tokens": tokens},
        optional={"globalBatchSize": batch},
    )
    betas = st.lists(st.sampled_from([0.0, 0.9, 0.95, 1.0]), min_size=2, max_size=2)
    required = {
        "tokens": st.sampled_from(_TOKENS[:3]),
        "sequenceLength": st.sampled_from(_SEQUENCES),
        "globalBatchSize": batch,
    }
    micro = {"microBatchSize": st.sampled_from([1, 1, 2, 3, 4])}
    rest = {
        **micro,
        "precision": st.sampled_from(["bf16", "fp32", "fp8"]),
        "optimizer": _some(learningRate=rate, minLearningRate=rate, betas=betas),
        "schedule": schedule,
        "batchSchedule": st.lists(step, min_size=1, max_size=3),
        "longContext": phase,
        "recompute": st.sampled_from(["none", "selective", "full"]),
    }
    return st.one_of(
        st.fixed_dictionaries(required, optional=micro),
        st.fixed_dictionaries(required, optional=rest),
    )


def specs() -> st.SearchStrategy[Spec]:
    """Give specs with valid types and fields; they may break any rule."""
    saving = st.fixed_dictionaries(
        {"uri": st.sampled_from(["s3://checkpoints/run", "file:///pretrain/data/c", "/tmp/c"])},
        optional={
            "every": _some(steps=st.sampled_from([100, 1000])),
            "keep": _some(everySteps=st.sampled_from([1000, 1500])),
        },
    )
    usual = st.just({"uri": "s3://checkpoints/run"})
    return st.fixed_dictionaries(
        {
            "model": models(),
            "data": st.just({"datasetRef": {"name": "blocks"}}),
            "training": trainings(),
            "checkpoint": st.one_of(usual, usual, saving),
        },
        optional={
            "parallelism": layouts(),
            "evaluation": _some(everySteps=st.sampled_from([10, 10_000_000])),
            "export": st.just({"huggingFace": {"uri": "s3://models/run"}}),
            "initialize": st.just({"huggingFace": {"uri": "s3://models/llama"}}),
        },
    )


def nearly_sound_specs() -> st.SearchStrategy[Spec]:
    """Give specs whose sizes are multiples of what must divide them; in half, one size is changed.

    All of them state their grid. One draw seeds all choices: many draws would take ten times as
    long.
    """
    return st.randoms(use_true_random=True).map(_nearly_sound)


def _nearly_sound(random: Random) -> Spec:
    tensor, context = random.choice([1, 1, 2, 3, 4]), random.choice([1, 1, 2, 4])
    pipeline, data = random.choice([1, 1, 2, 3, 4]), random.choice([1, 2, 3])
    virtual = random.choice([1, 2]) if pipeline > 1 else 1
    counts_ends = pipeline > 1 and random.random() < 0.2
    heads, micro = tensor * random.randint(1, 4), random.choice([1, 1, 2])
    world = tensor * pipeline * context * data
    nodes = random.choice([n for n in (1, 2, 3, 4, 8) if world % n == 0])
    sizes = {
        "layers": pipeline * virtual * random.randint(1, 4) - 2 * counts_ends,
        "hiddenSize": heads * random.choice([32, 64]),
        "ffnHiddenSize": tensor * random.choice([64, 96]),
        "attentionHeads": heads,
        "queryGroups": random.choice([n for n in range(1, heads + 1) if heads % n == 0]),
        "nodes": nodes,
        "tensor": tensor,
        "pipeline": pipeline,
        "virtualPipeline": virtual,
        "context": context,
        "sequenceLength": 2 * context * tensor * random.choice([8, 24]),
        "globalBatchSize": micro * data * pipeline * random.randint(1, 3),
        "microBatchSize": micro,
    }
    if random.random() < 0.5:
        sizes[random.choice(list(sizes))] += random.choice([-1, 1, 2])
    switches: Spec = {"gpusPerNode": world // nodes}
    switches["sequence"] = tensor > 1 and random.random() < 0.7
    if counts_ends:
        switches |= {"countEmbedding": True, "countLoss": True}
    spec = _as_manifest({name: max(1, size) for name, size in sizes.items()}, switches)
    spec["training"]["tokens"] = random.choice(["1G", "1G", 4096])
    spec["training"]["precision"] = random.choice(["bf16", "bf16", "bf16", "fp32", "fp8"])
    if random.random() < 0.5:
        spec["model"]["vocabularySize"] = random.choice([32_000, 50_257])
    if random.random() < 0.2:
        spec["model"]["experts"] = {"count": random.choice([4, 6]), "ffnHiddenSize": 64}
        spec["parallelism"]["expert"] = random.choice([1, 2])
    return spec


def _as_manifest(sizes: dict[str, int], switches: Spec) -> Spec:
    """Return the spec of a run with these sizes and switches, by their fields."""
    model = ("layers", "hiddenSize", "ffnHiddenSize", "attentionHeads", "queryGroups")
    grid = ("nodes", "tensor", "pipeline", "virtualPipeline", "context")
    batch = ("sequenceLength", "globalBatchSize", "microBatchSize")
    return {
        "model": {name: sizes[name] for name in model},
        "data": {"datasetRef": {"name": "blocks"}},
        "parallelism": {**{name: sizes[name] for name in grid}, **switches},
        "training": {name: sizes[name] for name in batch},
        "checkpoint": {"uri": "s3://checkpoints/run"},
    }

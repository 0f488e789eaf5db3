"""Rules about the model's shape, and about cutting it into tensor-parallel shares."""

from pretrain_api.formulas.vocabulary import VOCABULARY_MULTIPLE
from pretrain_api.rules.expressions import (
    FFN,
    GROUPS,
    HEAD_DIM,
    HEADS,
    HIDDEN,
    TENSOR,
    divisors,
    field,
    given,
    given_value,
    multiples,
    present,
)
from pretrain_api.rules.rule import Rule, Severity

_MEGATRON = "Megatron-LM core_v0.19.0 megatron/"
_SHAPE = ("layers", "hiddenSize", "ffnHiddenSize", "attentionHeads")
_LATE = "an assertion when the model is built, after the wait for GPUs"
_VOCABULARY = "model.vocabularySize"
_ROWS = (
    f"(({field(_VOCABULARY, '0')} + {VOCABULARY_MULTIPLE - 1}) / {VOCABULARY_MULTIPLE}"
    f" * {VOCABULARY_MULTIPLE})"
)

SHAPE_RULES = (
    Rule(
        "model-shape",
        "model",
        "has(self.model.preset) || ("
        + " && ".join(f"has(self.model.{name})" for name in _SHAPE)
        + ")",
        "the shape is incomplete; give layers, hiddenSize, ffnHiddenSize and attentionHeads, or"
        " a preset",
        source=_MEGATRON + "training/arguments.py, required arguments",
        otherwise="Megatron-LM asks for the first missing argument only",
    ),
    Rule(
        "heads-tensor",
        "model.attentionHeads",
        given("n", HEADS, f"n % {TENSOR} == 0"),
        "%d is not divisible by parallelism.tensor = %d; use tensor %s",
        (HEADS, TENSOR, given_value("n", HEADS, divisors("n"))),
        source=_MEGATRON + "core/transformer/transformer_config.py:1325",
        otherwise=_LATE,
    ),
    Rule(
        "heads-groups",
        "model.queryGroups",
        given("n", HEADS, given("g", GROUPS, "g == 0 || n % g == 0")),
        "%d does not divide model.attentionHeads = %d; use %s",
        (GROUPS, HEADS, given_value("n", HEADS, divisors("n"))),
        source=_MEGATRON + "core/transformer/attention.py:359",
        otherwise="a shape error in the first forward pass",
        stricter="Megatron-core checks it only with fewer groups than tensor ranks",
    ),
    Rule(
        "groups-tensor",
        "model.queryGroups",
        given("g", GROUPS, f"g == 0 || g % {TENSOR} == 0 || {TENSOR} % g == 0"),
        "%d is neither a multiple nor a divisor of parallelism.tensor = %d; use tensor %s",
        (GROUPS, TENSOR, given_value("g", GROUPS, divisors("g"))),
        source=_MEGATRON + "core/transformer/transformer_config.py:1343",
        otherwise=_LATE + "; before 0.16 every divisor was refused too",
    ),
    Rule(
        "hidden-heads",
        "model.hiddenSize",
        given(
            "n",
            HEADS,
            f"{present('model.headDim')} || n == 0 || {HIDDEN} % n == 0",
        ),
        "%d is not divisible by model.attentionHeads = %d; use %s, or give model.headDim",
        (HIDDEN, HEADS, given_value("n", HEADS, given_value("h", HIDDEN, multiples("h", "n")))),
        source=_MEGATRON + "training/arguments.py:1292",
        otherwise="an assertion when Megatron-LM reads its arguments, in every pod",
        stricter="Megatron-core's configuration rounds the width of a head down, silently",
    ),
    Rule(
        "head-dim-even",
        "model.headDim",
        f"{HEAD_DIM} % 2 == 0",
        "%d is odd, and rotary positions turn pairs of numbers; use %s",
        (HEAD_DIM, given_value("d", HEAD_DIM, "[d - 1, d + 1]")),
        source=_MEGATRON + "core/models/common/embeddings/rotary_pos_embedding.py",
        otherwise="a shape mismatch in the first forward pass",
        stricter="Megatron-core's configuration takes it; the first forward pass fails",
    ),
    Rule(
        "rope-scaling-length",
        "model.ropeScaling.originalSequenceLength",
        f"!({present('model.ropeScaling')}) || self.model.ropeScaling.type == 'linear'"
        " || has(self.model.ropeScaling.originalSequenceLength)",
        "is missing, and the type %s needs it; use the longest sequence that the model first saw",
        ("self.model.ropeScaling.type",),
        source="transformers 5 modeling_rope_utils.py, required keys of each rope_type",
        otherwise="an error when the configuration is loaded",
        stricter="Megatron-core's configuration knows no such field",
    ),
    Rule(
        "rope-scaling-base",
        "model.ropeBase",
        f"!({present('model.ropeScaling')}) || self.model.ropeScaling.type != 'yarn'"
        " || !has(self.model.ropeBase) || self.model.ropeBase > 1",
        "%d gives all positions one frequency, which the type yarn cannot stretch; use 10000 or"
        " the model's own",
        (field("model.ropeBase"),),
        source="transformers 5 modeling_rope_utils.py, find_correction_dim",
        otherwise="a division by zero when the model is built",
        stricter="Megatron-core's configuration knows no such field",
    ),
    Rule(
        "rope-scaling-factors",
        "model.ropeScaling.lowFrequencyFactor",
        f"!({present('model.ropeScaling')})"
        f" || {field('model.ropeScaling.lowFrequencyFactor')}"
        f" < {field('model.ropeScaling.highFrequencyFactor')}",
        "%s is not below highFrequencyFactor = %s; use less",
        (
            field("model.ropeScaling.lowFrequencyFactor"),
            field("model.ropeScaling.highFrequencyFactor"),
        ),
        source="transformers 5 modeling_rope_utils.py, _validate_llama3_rope_parameters",
        otherwise="frequencies in between are stretched the wrong way, silently",
        stricter="Megatron-core's configuration knows no such field",
    ),
    Rule(
        "ffn-tensor",
        "model.ffnHiddenSize",
        given("f", FFN, f"f % {TENSOR} == 0"),
        "%d is not divisible by parallelism.tensor = %d; use %s",
        (FFN, TENSOR, given_value("f", FFN, multiples("f", TENSOR))),
        source=_MEGATRON + "core/tensor_parallel/layers.py:965,1328",
        otherwise=_LATE,
    ),
    Rule(
        "vocabulary-tensor",
        "model.vocabularySize",
        f"!({present(_VOCABULARY)}) || {_ROWS} % {TENSOR} == 0",
        "%d ids are padded to %d rows, which parallelism.tensor = %d does not divide; use a power"
        f" of two up to {VOCABULARY_MULTIPLE}",
        (field(_VOCABULARY, "0"), _ROWS, TENSOR),
        source=_MEGATRON + "core/tensor_parallel/utils.py:118",
        otherwise=_LATE,
        stricter="upstream pads to a multiple of the tensor size, so that changing it breaks the"
        " checkpoint; our padding does not depend on it",
    ),
    Rule(
        "head-dim-kernels",
        "model.headDim",
        given("d", HEAD_DIM, "d <= 256 && d % 8 == 0"),
        "%d: flash attention takes multiples of 8 up to 256; others run unfused, which needs far"
        " more memory",
        (HEAD_DIM,),
        severity=Severity.WARNING,
        source="flash-attention, supported head dimensions",
        otherwise="attention silently falls back to a slow kernel, or memory runs out",
    ),
    Rule(
        "head-groups-replicated",
        "model.queryGroups",
        given("g", GROUPS, f"{TENSOR} <= g || g == 0"),
        "%d is less than parallelism.tensor = %d: every key-value head is kept by several devices;"
        " a smaller tensor size saves that memory",
        (GROUPS, TENSOR),
        severity=Severity.WARNING,
        source=_MEGATRON + "core/transformer/transformer_config.py:1343",
        otherwise="key-value projections silently take more memory than a naive estimate says",
    ),
    Rule(
        "ffn-tensor-cores",
        "model.ffnHiddenSize",
        given("f", FFN, f"f % (8 * {TENSOR}) == 0"),
        "%d: a share of %d devices is no multiple of 8, which matrix units need for full speed;"
        " use %s",
        (FFN, TENSOR, given_value("f", FFN, multiples("f", f"(8 * {TENSOR})"))),
        severity=Severity.WARNING,
        source="NVIDIA, Matrix multiplication background, section on Tensor Core requirements",
        otherwise="matrix products silently run at a part of their speed",
    ),
)

"""Rules about the optimizer, the learning-rate schedule, and what is saved when."""

from pretrain_api.rules.expressions import GLOBAL_BATCH, SEQUENCE, TOKENS, field, present
from pretrain_api.rules.rule import Rule, Severity

_SCHEDULER = "Megatron-LM core_v0.19.0 megatron/core/optimizer_param_scheduler.py:160"
_WARMUP = field("training.schedule.warmup.tokens")
_DECAY = field("training.schedule.decay.tokens", TOKENS)
_ANNEAL = "training.schedule.anneal"
_ANNEAL_TOKENS = field(f"{_ANNEAL}.tokens", "0")
_PEAK = field("training.optimizer.learningRate")
_LOW = field("training.optimizer.minLearningRate")
_BETAS = "training.optimizer.betas"
_SAVE = field("checkpoint.every.steps")
_KEEP = "checkpoint.keep.everySteps"
_EVALUATE = "evaluation.everySteps"
_STEPS = f"({TOKENS} / ({GLOBAL_BATCH} * {SEQUENCE}))"

SCHEDULE_RULES = (
    Rule(
        "warmup-decay",
        "training.schedule.warmup.tokens",
        f"{_WARMUP} < {_DECAY}",
        "%d is not below the end of the decay, %d tokens; shorten the warm-up, or raise"
        " schedule.decay.tokens",
        (_WARMUP, _DECAY),
        source=_SCHEDULER,
        otherwise="an assertion when the optimizer is built",
    ),
    Rule(
        "warmup-run",
        "training.schedule.warmup.tokens",
        f"{_WARMUP} < {TOKENS}",
        "%d is not below training.tokens = %d: the run would end within its warm-up",
        (_WARMUP, TOKENS),
        source=_SCHEDULER,
        otherwise="a run whose learning rate never reaches its peak, silently",
        stricter="upstream takes it where the decay is longer than the run",
    ),
    Rule(
        "anneal-run",
        f"{_ANNEAL}.tokens",
        f"!({present(_ANNEAL)}) || {_WARMUP} + {_ANNEAL_TOKENS} <= {TOKENS}",
        "%d and a warm-up of %d are more than training.tokens = %d",
        (_ANNEAL_TOKENS, _WARMUP, TOKENS),
        source=_SCHEDULER,
        otherwise="a schedule that jumps where the parts overlap",
        stricter="upstream has no anneal phase",
    ),
    Rule(
        "anneal-decay",
        f"{_ANNEAL}.tokens",
        f"!({present(_ANNEAL)}) || !({present('training.schedule.decay.tokens')}) ||"
        f" {_DECAY} + {_ANNEAL_TOKENS} <= {TOKENS}",
        "%d after a decay of %d are more than training.tokens = %d; shorten one of them",
        (_ANNEAL_TOKENS, _DECAY, TOKENS),
        source=_SCHEDULER,
        otherwise="a schedule that jumps where the parts overlap",
        stricter="upstream has no anneal phase",
    ),
    Rule(
        "learning-rates",
        "training.optimizer.minLearningRate",
        f"{_LOW} <= {_PEAK}",
        "%s is above learningRate = %s; the decay would rise",
        (_LOW, _PEAK),
        source=_SCHEDULER,
        otherwise="an assertion when the optimizer is built",
    ),
    Rule(
        "betas",
        _BETAS,
        f"!({present(_BETAS)}) || self.{_BETAS}.all(b, b < 1.0)",
        "%s and %s: Adam's moments need both below 1, for example 0.9 and 0.95",
        (f"self.{_BETAS}[0]", f"self.{_BETAS}[1]"),
        source="torch.optim.AdamW, invalid beta parameter",
        otherwise="a ValueError when the optimizer is built",
        stricter="Megatron-core's configuration takes it; the optimizer does not",
    ),
    Rule(
        "learning-rate-high",
        "training.optimizer.learningRate",
        f"{_PEAK} <= 0.02",
        "%s is far above what pretraining uses (1e-5 to 6e-3); is the exponent right?",
        (_PEAK,),
        severity=Severity.WARNING,
        source="published runs",
        otherwise="a loss that diverges after hours",
    ),
    Rule(
        "decay-run",
        "training.schedule.decay.tokens",
        f"{_DECAY} <= {TOKENS}",
        "%d is more than training.tokens = %d: the learning rate never reaches its minimum",
        (_DECAY, TOKENS),
        severity=Severity.WARNING,
        source=_SCHEDULER,
        otherwise="a run that ends at a high learning rate, silently",
    ),
)

SAVING_RULES = (
    Rule(
        "keep-saved",
        _KEEP,
        f"!({present(_KEEP)}) || {field(_KEEP, '0')} % {_SAVE} == 0",
        "%d is no multiple of checkpoint.every.steps = %d, so no checkpoint would match; use %s",
        (
            field(_KEEP, "0"),
            _SAVE,
            f"[({field(_KEEP, '0')} / {_SAVE} + 1) * {_SAVE}]",
        ),
        source="Megatron-LM core_v0.19.0 megatron/training/arguments.py:1326",
        otherwise="an assertion at start",
        stricter="Megatron-core's configuration knows no checkpoints; Megatron-LM's script does",
    ),
    Rule(
        "saved-once",
        "checkpoint.every.steps",
        f"{_SAVE} <= {_STEPS} || {present('checkpoint.every.minutes')} || {_STEPS} <= 200",
        "%d steps are more than the run's %d: nothing would be saved before the end",
        (_SAVE, _STEPS),
        severity=Severity.WARNING,
        source="our own",
        otherwise="a node lost on the last day costs the whole run",
    ),
    Rule(
        "evaluated-once",
        _EVALUATE,
        f"!({present(_EVALUATE)}) || {field(_EVALUATE, '1')} <= {_STEPS}",
        "%d steps are more than the run's %d: it would be evaluated at its ends only",
        (field(_EVALUATE, "1"), _STEPS),
        severity=Severity.WARNING,
        source="our own",
        otherwise="an evaluation that never happens, silently",
    ),
)

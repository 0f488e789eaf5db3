"""The learning rate as a function of the tokens consumed.

A pure function needs no state in a checkpoint: a resumed run cannot disagree with itself.
"""

import math

from pretrain_api.v1alpha1.training import TrainingSpec


def learning_rate(training: TrainingSpec, tokens: int) -> float:
    """Return the rate of the step that ends when `tokens` are consumed.

    It rises linearly from zero over the warm-up, then falls from the peak to the minimum, which it
    keeps. Source of the cosine: Loshchilov and Hutter, SGDR (arXiv 1608.03983), equation 5.
    """
    peak, least = training.optimizer.learning_rate, training.optimizer.min_learning_rate
    warmup = training.schedule.warmup.tokens
    if tokens < warmup:
        return peak * tokens / warmup
    decay = training.schedule.decay
    if decay.shape == "constant":
        return peak
    length = training.train_iters * training.tokens_per_step
    end = decay.tokens if decay.tokens is not None else length
    if tokens >= end:
        return least
    done = (tokens - warmup) / (end - warmup)
    left = 1.0 - done if decay.shape == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return least + (peak - least) * left

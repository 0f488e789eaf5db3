"""What rank 0 and the exporter, which is a process of its own, send each other as JSON files."""

from pretrain_api.meta import ApiModel
from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_api.v1alpha1.progress import Continuation


class ExportRequest(ApiModel):
    """Input of the exporter."""

    checkpoint: str
    """Local folder of the checkpoint."""

    output: str
    """Local folder for the model; the tokenizer's files are there already."""

    model: ModelSpec
    """Shape of the model."""

    vocabulary_size: int
    """Ids that the model knows."""

    seq_length: int
    """Longest sequence that it was trained on."""

    precision: str
    """`fp32` or `bf16`."""

    logits: str
    """File with `ids` and the trained model's `logits` for them."""

    prompts: list[str]
    """Texts to continue."""

    max_new_tokens: int
    """Tokens of a continuation."""

    temperature: float
    """What logits are divided by to draw the next token; 0 takes the likeliest one."""

    seed: int
    """Seed of the draws."""


class ExportResult(ApiModel):
    """Output of the exporter."""

    difference: float
    """Largest difference between the logits of the exported model and the trained one's."""

    largest: float
    """Largest logit, in absolute value."""

    continuations: list[Continuation] = []
    """How the exported model continues the prompts."""

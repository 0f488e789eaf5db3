"""Continues prompts with the exported model."""

import torch

from pretrain_api.v1alpha1.progress import Continuation
from pretrain_workloads.trainer.export.export_request import ExportRequest
from pretrain_workloads.trainer.export.exported_tokenizer import ExportedTokenizer

_MAX_CHARACTERS = 200
_NUCLEUS = 0.9
"""Probability of the likeliest ids that are drawn from. Source: Holtzman et al. (1904.09751)."""
_NO_REPEAT = 3
"""No sequence of so many ids occurs twice in a continuation."""


def continue_prompts(
    model: torch.nn.Module, exported: ExportedTokenizer, request: ExportRequest
) -> list[Continuation]:
    """Return the continuations of the request's prompts.

    A prompt that does not fit into the sequence with its continuation loses its start.
    """
    tokenizer = exported.tokenizer
    room = max(1, request.seq_length - request.max_new_tokens)
    continuations = []
    for number, prompt in enumerate(request.prompts):
        ids = tokenizer.encode(prompt, add_special_tokens=False).ids
        sampler = Sampling(request.temperature, request.seed + number)
        new = continue_ids(model, ids[-room:], request.max_new_tokens, sampler, exported.end)
        before = tokenizer.decode(ids, skip_special_tokens=True)
        text = tokenizer.decode([*ids, *new], skip_special_tokens=True)[len(before) :]
        continuations.append(Continuation(prompt=prompt, text=text[:_MAX_CHARACTERS]))
    return continuations


class Sampling:
    """Draws ids; the same seed draws the same ones.

    Args:
        temperature: What logits are divided by; 0 takes the likeliest id.
        seed: Seed of the draws.
    """

    def __init__(self, temperature: float, seed: int) -> None:
        self._temperature = temperature
        self._generator = torch.Generator().manual_seed(seed)

    def next_id(self, logits_V: torch.Tensor, before: list[int]) -> int:  # noqa: N803
        """Return the id that follows the ids `before`."""
        if self._temperature == 0:
            return int(logits_V.argmax())
        logits_V = logits_V.float() / self._temperature  # noqa: N806
        repeated = set(_repeated_ids(before))
        if len(repeated) < len(logits_V):
            logits_V[list(repeated)] = -torch.inf
        shares, ids = logits_V.softmax(-1).sort(descending=True)
        shares[shares.cumsum(-1) - shares > _NUCLEUS] = 0.0
        return int(ids[torch.multinomial(shares, 1, generator=self._generator)])


def _repeated_ids(ids: list[int]) -> list[int]:
    """Return the ids that would end a sequence which `ids` has already."""
    start = tuple(ids[len(ids) - _NO_REPEAT + 1 :])
    if len(start) < _NO_REPEAT - 1:
        return []
    places = range(len(ids) - _NO_REPEAT + 1)
    return [ids[n + _NO_REPEAT - 1] for n in places if tuple(ids[n : n + len(start)]) == start]


@torch.no_grad()
def continue_ids(
    model: torch.nn.Module,
    ids: list[int],
    max_new_tokens: int,
    sampling: Sampling,
    end: int | None,
) -> list[int]:
    """Return ids that follow `ids`, one after another, up to `end`, that of the document."""
    new: list[int] = []
    tokens, cache = torch.tensor([ids]), None
    while len(new) < max_new_tokens:
        output = model(tokens, past_key_values=cache, use_cache=True)
        following = sampling.next_id(output.logits[0, -1], new)
        if following == end:
            break
        new.append(following)
        tokens, cache = torch.tensor([[following]]), output.past_key_values
    return new

"""Continues prompts with the exported model, greedily."""

from pathlib import Path

import torch

from pretrain_api.v1alpha1.progress import Continuation
from pretrain_workloads.trainer.export.export_request import ExportRequest
from pretrain_workloads.trainer.export.llama import EOS

_MAX_CHARACTERS = 200


def continue_prompts(model: torch.nn.Module, request: ExportRequest) -> list[Continuation]:
    """Return the continuations of the request's prompts.

    A prompt that does not fit into the sequence with its continuation loses its start.
    """
    from tokenizers import Tokenizer

    if not request.prompts:
        return []
    tokenizer = Tokenizer.from_file(str(Path(request.output) / "tokenizer.json"))
    room = max(1, request.seq_length - request.max_new_tokens)
    continuations = []
    for prompt in request.prompts:
        ids = tokenizer.encode(prompt, add_special_tokens=False).ids
        new = greedy_continuation(model, ids[-room:], request.max_new_tokens)
        before = tokenizer.decode(ids, skip_special_tokens=True)
        text = tokenizer.decode([*ids, *new], skip_special_tokens=True)[len(before) :]
        continuations.append(Continuation(prompt=prompt, text=text[:_MAX_CHARACTERS]))
    return continuations


@torch.no_grad()
def greedy_continuation(model: torch.nn.Module, ids: list[int], max_new_tokens: int) -> list[int]:
    """Return the most likely next ids, one after another, up to the end of the document."""
    new: list[int] = []
    tokens, cache = torch.tensor([ids]), None
    while len(new) < max_new_tokens:
        output = model(tokens, past_key_values=cache, use_cache=True)
        following = int(output.logits[0, -1].argmax())
        if following == EOS:
            break
        new.append(following)
        tokens, cache = torch.tensor([[following]]), output.past_key_values
    return new

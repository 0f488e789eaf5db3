"""Makes a Hugging Face folder of a checkpoint, checks it, and lets it continue prompts.

This is a program of its own, because a process that trains cannot do it: what makes Megatron-core
run on a CPU breaks the loading of models in `transformers`.
"""

import json
import logging
import sys
import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.distributed.checkpoint import filesystem, metadata, state_dict_loader

from pretrain_api.meta import ApiModel
from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_api.v1alpha1.progress import Continuation
from pretrain_workloads.trainer.export import llama

log = logging.getLogger(__name__)

SHARD_BYTES = 4 * 2**30
"""A file of weights is closed when it holds this much."""


class Request(ApiModel):
    """What is asked of this program."""

    checkpoint: str
    """Local folder of the checkpoint."""

    output: str
    """Local folder that gets the model; the tokenizer's files are there already."""

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


class Answer(ApiModel):
    """What this program found."""

    difference: float
    """Largest difference between the logits of the exported model and the trained one's."""

    largest: float
    """Largest logit, in absolute value."""

    continuations: list[Continuation] = []
    """What the exported model makes of the prompts."""


def main(request: Request) -> Answer:
    """Write the model, and load it as any user would to check it and to continue the prompts."""
    output = Path(request.output)
    write_weights(request, output)
    config = llama.configuration(
        request.model, request.vocabulary_size, request.seq_length, request.precision
    )
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(output, dtype=torch.float32).eval()
    difference, largest = _compare(model, Path(request.logits))
    return Answer(
        difference=difference, largest=largest, continuations=_continuations(model, request)
    )


def write_weights(request: Request, output: Path) -> None:
    """Write the checkpoint's weights as safetensors, holding one file's worth in memory."""
    warnings.filterwarnings("ignore", module=r"torch\.distributed\.checkpoint.*")
    reader = filesystem.FileSystemReader(request.checkpoint)
    stored = {
        name: found
        for name, found in reader.read_metadata().state_dict_metadata.items()
        if isinstance(found, metadata.TensorStorageMetadata)
    }
    shards: list[Path] = []
    names: list[list[str]] = []
    pending: dict[str, torch.Tensor] = {}
    total = 0

    def close() -> None:
        shards.append(output / f"part-{len(shards)}.safetensors")
        names.append(list(pending))
        save_file(pending, shards[-1], metadata={"format": "pt"})
        pending.clear()

    for group in llama.tensor_groups(request.model):
        whole = {
            name: torch.empty(stored[name].size, dtype=stored[name].properties.dtype)
            for name in group
        }
        state_dict_loader.load(whole, storage_reader=reader, no_dist=True)
        for name, tensor in whole.items():
            parts = llama.converted(name, tensor, request.model, request.vocabulary_size)
            pending |= {key: value.contiguous() for key, value in parts.items()}
        total += sum(tensor.nbytes for tensor in whole.values())
        if sum(tensor.nbytes for tensor in pending.values()) >= SHARD_BYTES:
            close()
    if pending:
        close()
    _name_shards(output, shards, names, total)


def _name_shards(output: Path, shards: list[Path], names: list[list[str]], total: int) -> None:
    if len(shards) == 1:
        shards[0].rename(output / "model.safetensors")
        return
    weight_map: dict[str, str] = {}
    for number, (shard, held) in enumerate(zip(shards, names, strict=True), start=1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        shard.rename(output / name)
        weight_map |= dict.fromkeys(held, name)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (output / "model.safetensors.index.json").write_text(json.dumps(index, indent=2), "utf-8")


@torch.no_grad()
def _compare(model: torch.nn.Module, file: Path) -> tuple[float, float]:
    trained = torch.load(file)
    logits = model(trained["ids"][None]).logits[0, : trained["logits"].shape[0]]
    want = trained["logits"][:, : logits.shape[-1]]
    return float((logits - want).abs().max()), float(want.abs().max())


def _continuations(model: torch.nn.Module, request: Request) -> list[Continuation]:
    from tokenizers import Tokenizer

    if not request.prompts:
        return []
    tokenizer = Tokenizer.from_file(str(Path(request.output) / "tokenizer.json"))
    found = []
    for prompt in request.prompts:
        ids = tokenizer.encode(prompt, add_special_tokens=False).ids
        room = request.seq_length - request.max_new_tokens
        new = continued(model, ids[-max(1, room) :], request.max_new_tokens)
        before = tokenizer.decode(ids, skip_special_tokens=True)
        text = tokenizer.decode([*ids, *new], skip_special_tokens=True)
        found.append(Continuation(prompt=prompt, text=text[len(before) :][:200]))
    return found


@torch.no_grad()
def continued(model: torch.nn.Module, ids: list[int], at_most: int) -> list[int]:
    """Return the likeliest next ids, one after another, up to the end of the document."""
    new: list[int] = []
    tokens, cache = torch.tensor([ids]), None
    while len(new) < at_most:
        output = model(tokens, past_key_values=cache, use_cache=True)
        following = int(output.logits[0, -1].argmax())
        if following == llama.EOS:
            break
        new.append(following)
        tokens, cache = torch.tensor([[following]]), output.past_key_values
    return new


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    asked, answered = map(Path, sys.argv[1:])
    reply = main(Request.model_validate_json(asked.read_bytes()))
    answered.write_text(reply.model_dump_json(by_alias=True), encoding="utf-8")

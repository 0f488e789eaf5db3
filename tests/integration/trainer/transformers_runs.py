"""The same runs, trained by transformers and torch's AdamW."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from integration.trainer.training_runs import BATCH
from pretrain_workloads.storage import open_uri
from pretrain_workloads.trainer.blocks.block_files import BlockFiles
from pretrain_workloads.trainer.blocks.block_list import read_block_list
from pretrain_workloads.trainer.blocks.sampler import Sampler

DECAY = 0.1

type ExtraLoss = Callable[[Any], torch.Tensor]
"""Computes from a model's output what is added to the gradient, but not to the reported loss."""


def load_model(folder: Path) -> Any:
    """Return an exported model, in fp32."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def train(
    model: Any, root: Path, steps: int, rate: float, extra: ExtraLoss | None = None
) -> list[float]:
    """Return the losses of `steps` steps on the samples of the run in `root`."""
    flat = [one for one in model.parameters() if one.dim() == 1]
    wide = [one for one in model.parameters() if one.dim() > 1]
    groups = [{"params": wide, "weight_decay": DECAY}, {"params": flat, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), eps=1e-8)
    found = []
    for ids in batches(root, steps):
        output = model(ids[:, :-1], output_router_logits=True) if extra else model(ids[:, :-1])
        logits = output.logits.flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, ids[:, 1:].flatten())
        total = loss + extra(output) if extra else loss
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        found.append(float(loss.detach()))
    return found


def batches(root: Path, steps: int) -> list[torch.Tensor]:
    """Return the sequences of each step, with the id behind their end."""
    folder = open_uri(f"file://{root}/data")
    block_list = read_block_list(folder)
    files = BlockFiles(folder, block_list, root)
    sampler = Sampler([entry.sequences for entry in block_list.blocks], 1234)
    found = []
    for step in range(steps):
        places = [sampler.sequence(step * BATCH + number) for number in range(BATCH)]
        sequences = [files.open(block_list.blocks[at.block]).sequence(at.index) for at in places]
        found.append(torch.stack([torch.from_numpy(one) for one in sequences]))
    return found

"""Converts a checkpoint to a Hugging Face folder, checks it, and continues prompts with it.

This is a program of its own, which rank 0 starts: the patches that make Megatron-core run on a CPU
break the loading of models in `transformers`.
"""

import json
import logging
import sys
from pathlib import Path

import torch

from pretrain_workloads.trainer.export.configuration import configuration
from pretrain_workloads.trainer.export.continuations import continue_prompts
from pretrain_workloads.trainer.export.export_request import ExportRequest, ExportResult
from pretrain_workloads.trainer.export.exported_tokenizer import load_tokenizer
from pretrain_workloads.trainer.export.safetensors_files import write_weights


def main(request: ExportRequest) -> ExportResult:
    """Write the model, and load it as any user would, to check it and to continue the prompts."""
    output = Path(request.output)
    write_weights(request)
    tokenizer = load_tokenizer(output)
    config = configuration(
        request.model,
        request.vocabulary_size,
        request.seq_length,
        request.precision,
        (tokenizer.begin, tokenizer.end),
    )
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(output, dtype=torch.float32).eval()
    difference, largest = _compare(model, Path(request.logits))
    return ExportResult(
        difference=difference,
        largest=largest,
        continuations=continue_prompts(model, tokenizer, request),
    )


@torch.no_grad()
def _compare(model: torch.nn.Module, file: Path) -> tuple[float, float]:
    trained = torch.load(file)
    logits = model(trained["ids"][None]).logits[0, : trained["logits"].shape[0]]
    want = trained["logits"][:, : logits.shape[-1]]
    return float((logits - want).abs().max()), float(want.abs().max())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    request_file, result_file = map(Path, sys.argv[1:])
    result = main(ExportRequest.model_validate_json(request_file.read_bytes()))
    result_file.write_text(result.model_dump_json(by_alias=True), encoding="utf-8")

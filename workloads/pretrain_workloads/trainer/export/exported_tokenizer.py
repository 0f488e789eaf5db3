"""The tokenizer in the folder of an exported model."""

import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer


@dataclass(frozen=True)
class ExportedTokenizer:
    """The tokenizer, and the ids for the start and the end of a document, if it has them."""

    tokenizer: Tokenizer
    begin: int | None
    end: int | None


def load_tokenizer(folder: Path) -> ExportedTokenizer:
    """Return the tokenizer in `folder`; text such as `</s>` stays text."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    configured = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    begin, end = (
        tokenizer.token_to_id(configured[name]) if configured.get(name) else None
        for name in ("bos_token", "eos_token")
    )
    return ExportedTokenizer(tokenizer, begin, end)

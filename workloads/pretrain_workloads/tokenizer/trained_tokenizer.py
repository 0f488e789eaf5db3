"""A tokenizer in all its forms, trained by any algorithm."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_workloads.failures import UserError
from pretrain_workloads.tokenizer.byte_level import byte_pieces, train_byte_level
from pretrain_workloads.tokenizer.conversion import convert
from pretrain_workloads.tokenizer.encoder import (
    SENTENCEPIECE,
    Encoder,
    fastest_encoder,
    sentencepiece_encoder,
)
from pretrain_workloads.tokenizer.files import HUGGING_FACE, MODEL
from pretrain_workloads.tokenizer.training import train, training_lines
from pretrain_workloads.tokenizer.vocabulary import BEGIN, END


@dataclass(frozen=True)
class TrainedTokenizer:
    """A tokenizer and its files."""

    encode: Encoder
    encoder: str
    """Package that encodes."""

    decode: Callable[[list[int]], str]
    """Returns the text of ids, by the package that trained them."""

    huggingface: Any
    """Hugging Face form, of the same ids."""

    is_byte: npt.NDArray[np.bool_]
    """For each id whether it is a single byte."""

    files: dict[str, bytes]
    """Content of the files, by name."""

    end: int = END
    """Id that ends a document."""

    begin: int | None = BEGIN
    """Id for the start of a document, if it has one."""


def train_tokenizer(
    spec: TokenizerSpec, texts: Iterable[str], evaluation: list[str]
) -> TrainedTokenizer:
    """Return the tokenizer of `spec`.

    Args:
        spec: The spec.
        texts: Texts to train on.
        evaluation: Texts on which the fast encoder must agree with the reference to be used.

    Raises:
        UserError: If the vocabulary does not fit the text, or the algorithm is not trained here.
    """
    remaining = iter(texts)
    first = next(remaining, None)
    if first is None:
        raise UserError("spec.corpus: the sample holds no text; raise sampleBytes")
    texts = chain([first], remaining)
    match spec.algorithm:
        case "bpe":
            return _sentencepiece(spec, texts)
        case "byteLevelBpe":
            return _byte_level(spec, texts, evaluation)
    raise UserError(
        f"spec.algorithm: {spec.algorithm} is not trained by this image; use bpe or byteLevelBpe"
    )


def _sentencepiece(spec: TokenizerSpec, texts: Iterable[str]) -> TrainedTokenizer:
    import sentencepiece

    model = train(spec, list(training_lines(texts)))
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    size = processor.vocab_size()
    huggingface = convert(model, spec.business_tokens)
    huggingface.encode_special_tokens = True
    return TrainedTokenizer(
        encode=sentencepiece_encoder(model),
        encoder=SENTENCEPIECE,
        decode=processor.decode,
        huggingface=huggingface,
        is_byte=np.fromiter(map(processor.is_byte, range(size)), np.bool_, size),
        files={MODEL: model, HUGGING_FACE: huggingface.to_str(pretty=True).encode()},
    )


def _byte_level(
    spec: TokenizerSpec, texts: Iterable[str], evaluation: list[str]
) -> TrainedTokenizer:
    huggingface = train_byte_level(spec, texts)
    huggingface.encode_special_tokens = True
    content = huggingface.to_str(pretty=True)
    business = [*spec.business_tokens, " ".join(spec.business_tokens)]
    encode, encoder = fastest_encoder(content, END, [*business, *evaluation])
    return TrainedTokenizer(
        encode=encode,
        encoder=encoder,
        decode=partial(huggingface.decode, skip_special_tokens=False),
        huggingface=huggingface,
        is_byte=byte_pieces(huggingface),
        files={HUGGING_FACE: content.encode()},
    )

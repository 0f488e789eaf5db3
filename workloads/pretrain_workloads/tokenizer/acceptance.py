"""Acceptance gates: a tokenizer that encodes a language badly is refused before it is used."""

from collections.abc import Iterator

from pretrain_api.v1alpha1.tokenizer import Acceptance, TokenizerSpec
from pretrain_workloads.failures import UserError
from pretrain_workloads.tokenizer.measure import TokenizerMeasures, TokenizerMismatch


def check_acceptance(spec: TokenizerSpec, measures: TokenizerMeasures) -> None:
    """Check a tokenizer.

    Raises:
        UserError: Names every gate that it fails, what was measured, and what would do.
        TokenizerMismatch: If one that was trained here does not give every text back.
    """
    if spec.existing is None and measures.changed:
        raise TokenizerMismatch(f"the tokenizer does not give back {measures.example!r}…")
    if failed := [*_changed(spec, measures), *_failed(spec.acceptance, measures)]:
        raise UserError("; ".join(failed))


def _changed(spec: TokenizerSpec, measures: TokenizerMeasures) -> Iterator[str]:
    if spec.existing and measures.changed > spec.existing.max_changed:
        yield (
            f"spec.existing.maxChanged: {measures.changed:.3%} of the documents are not given back "
            f"as they were, more than {spec.existing.max_changed:.3%}, such as "
            f"{measures.example!r}…; use a tokenizer that loses nothing, or raise the limit"
        )


def _failed(acceptance: Acceptance, measures: TokenizerMeasures) -> Iterator[str]:
    field = "spec.acceptance.charactersPerToken"
    for language, limits in sorted(acceptance.characters_per_token.items()):
        value = measures.characters_per_token.get(language)
        if value is None:
            found = ", ".join(sorted(measures.characters_per_token)) or "none"
            yield f"{field}.{language}: there are no documents to measure; languages are {found}"
        elif limits.min is not None and value < limits.min:
            yield (
                f"{field}.{language}.min: {value:.3g} characters a token, fewer than "
                f"{limits.min:g}; raise vocabularySize or the language's weight, or lower the limit"
            )
        elif limits.max is not None and value > limits.max:
            yield (
                f"{field}.{language}.max: {value:.3g} characters a token, more than {limits.max:g};"
                " lower vocabularySize, or raise the limit"
            )
    limit = acceptance.max_byte_fallback
    if limit is not None and measures.byte_fallback > limit:
        yield (
            f"spec.acceptance.maxByteFallback: {measures.byte_fallback:.3g} of the tokens are "
            f"single bytes, more than {limit:g}; raise vocabularySize, or raise the limit"
        )

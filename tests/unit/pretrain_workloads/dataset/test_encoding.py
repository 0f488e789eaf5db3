"""Prompts are encoded alone, and counted."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pretrain_workloads.dataset.tokenize import encode_documents
from pretrain_workloads.tokenizer.encoder import EncodedTexts

END = 2


def encode(texts: list[str]) -> EncodedTexts:
    """Encode pairs of letters as one id, as a tokenizer would; every text ends with `END`."""
    rows = [[*(hash_of(text[n : n + 2]) for n in range(0, len(text), 2)), END] for text in texts]
    return np.array([one for row in rows for one in row]), np.array([len(row) for row in rows])


def hash_of(piece: str) -> int:
    return 10 + sum(ord(letter) * int(257**n) for n, letter in enumerate(piece))


documents = st.lists(st.tuples(st.text("ab", max_size=5), st.text("cd", max_size=5)), min_size=1)


@given(documents)
def test_no_id_is_part_prompt_and_part_completion(pairs: list[tuple[str, str]]) -> None:
    texts = [prompt + completion for prompt, completion in pairs]
    sizes = np.array([len(prompt) for prompt, _ in pairs], np.int32)
    encoded = encode_documents(encode, texts, sizes)
    ids, want = iter(encoded.ids.tolist()), []
    for prompt, completion in pairs:
        of_prompt = encode([prompt])[0].tolist()[:-1] if prompt else []
        want.append((len(of_prompt), [*of_prompt, *encode([completion])[0].tolist()]))
    found = [
        (int(prompt), [next(ids) for _ in range(int(tokens))])
        for prompt, tokens in zip(encoded.prompts, encoded.tokens, strict=True)
    ]
    assert found == want
    assert list(ids) == []

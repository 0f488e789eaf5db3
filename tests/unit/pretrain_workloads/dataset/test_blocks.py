import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_workloads.dataset.mixture import USE
from pretrain_workloads.dataset.streams import TokenFiles, cut, cut_counted
from pretrain_workloads.indexed_blocks import index_bytes, token_type


@pytest.mark.parametrize(
    ("vocabulary", "want"), [(512, "uint16"), (65_499, "uint16"), (65_500, "int32")]
)
def test_small_vocabularies_take_two_bytes(vocabulary: int, want: str) -> None:
    assert token_type(vocabulary).name == want


def test_an_index_without_documents_is_well_formed() -> None:
    assert len(index_bytes(np.empty(0, np.int64), np.dtype(np.uint16))) == 34 + 8


@st.composite
def streams(draw: st.DrawFn) -> tuple[TokenFiles, np.ndarray, list[int]]:
    """Documents of several files, uses of them, and the stream that these make up."""
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    split = draw(st.integers(0, len(lengths)))
    values = [list(range(100 * n, 100 * n + length)) for n, length in enumerate(lengths)]
    files = [
        np.array([token for document in part for token in document], np.uint16)
        for part in (values[:split], values[split:])
    ]
    ends = np.concatenate(([0], np.cumsum(lengths)))
    file_of = np.array([int(n >= split) for n in range(len(lengths))], np.int32)
    offsets = ends[:-1] - np.where(file_of, ends[split], 0)
    chosen = draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=20))
    uses = np.zeros(len(chosen), USE)
    uses["document"] = chosen
    uses["tokens"] = [draw(st.integers(1, lengths[n])) for n in chosen]
    stream = []
    for document, count in zip(chosen, uses["tokens"].tolist(), strict=True):
        stream += [*values[document][: count - 1], 2]
    return TokenFiles(files, file_of, offsets), uses, stream


@settings(deadline=None)
@given(streams(), st.integers(1, 5), st.integers(1, 4))
def test_blocks_hold_the_whole_stream_and_share_one_token(
    made: tuple[TokenFiles, np.ndarray, list[int]], length: int, per_block: int
) -> None:
    tokens, uses, stream = made
    sequences = (len(stream) - 1) // length
    for first in range(0, sequences, per_block):
        count = min(per_block, sequences - first)
        start, end = first * length, (first + count) * length + 1
        flat, lengths = cut(tokens, uses, start, end, last=2)
        assert flat.tolist() == stream[start:end]
        assert int(lengths.sum()) == count * length + 1
        assert (lengths > 0).all()


@settings(deadline=None)
@given(streams(), st.data())
def test_the_labels_of_prompts_never_count_and_all_others_do(
    made: tuple[TokenFiles, np.ndarray, list[int]], data: st.DataObject
) -> None:
    _, uses, stream = made
    prompts = np.array(data.draw(st.lists(st.integers(0, 5), min_size=12, max_size=12)))
    want = [
        place >= prompts[use["document"]] for use in uses for place in range(int(use["tokens"]))
    ]
    start = data.draw(st.integers(0, len(stream) - 1))
    end = data.draw(st.integers(start + 1, len(stream)))
    assert cut_counted(prompts, uses, start, end).tolist() == want[start:end]

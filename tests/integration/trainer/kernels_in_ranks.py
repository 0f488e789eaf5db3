"""Two ranks that compare the trainer's kernels with plain formulas, and print what differs."""

import json
import os
import sys
import traceback
from functools import partial
from types import SimpleNamespace

import torch
from torch import distributed, multiprocessing
from torch.nn import functional

from pretrain_workloads.trainer.megatron.backend import prepare_backend

prepare_backend("cpu")
from pretrain_workloads.trainer.export.continuations import Sampling  # noqa: E402
from pretrain_workloads.trainer.kernels.attention import CausalAttention, chunks_of_rank  # noqa: E402
from pretrain_workloads.trainer.kernels.normal import fill_normal  # noqa: E402
from pretrain_workloads.trainer.kernels.recomputation import forget  # noqa: E402
from pretrain_workloads.trainer.kernels.rotary import rotate, rotations  # noqa: E402
from pretrain_workloads.trainer.kernels.rotary_waves import RotaryWaves  # noqa: E402
from pretrain_workloads.trainer.kernels.token_copies import permute, unpermute  # noqa: E402
from pretrain_workloads.trainer.kernels.vocabulary_loss import cross_entropy, vocabulary_part  # noqa: E402

RANKS = 2
ROWS, IDS = 16, 10
"""Rows of the matrix and ids of the vocabulary: rank 1 of two holds ids 8 and 9, and padding."""
BASE = 10_000.0


def main(port: int) -> None:
    """Run all checks in ranks that are connected to each other."""
    multiprocessing.spawn(run_rank, (port,), RANKS)  # type: ignore[no-untyped-call, attr-defined]


def run_rank(rank: int, port: int) -> None:
    """Run all checks; rank 0 prints the traceback of each, or an empty text if it passed."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    distributed.init_process_group("gloo", rank=rank, world_size=RANKS)
    failures = {}
    checks = (
        check_rotation,
        check_gradient_of_rotation,
        check_normal_numbers,
        check_sampling,
        check_cross_entropy,
        check_attention,
        check_token_copies,
        check_recomputation,
    )
    for check in checks:
        try:
            check(rank)
            mine = ""
        except Exception:
            mine = traceback.format_exc()
        of_ranks: list[str] = [""] * RANKS
        distributed.all_gather_object(of_ranks, mine)
        failures[check.__name__] = "".join(of_ranks)
    if rank == 0:
        sys.stdout.write(json.dumps(failures) + "\n")
        sys.stdout.flush()
    os._exit(0)


def a_tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def check_rotation(rank: int) -> None:
    del rank
    heads = a_tensor(6, 2, 3, 8)
    cosine, sine = rotations((range(6),), 8, RotaryWaves(BASE), torch.float32, torch.device("cpu"))
    turned = rotate(heads, cosine, sine)

    angles = torch.outer(torch.arange(6.0), BASE ** (-torch.arange(4.0) / 4))[:, None, None]
    pairs = torch.complex(heads[..., :4], heads[..., 4:])
    expected = pairs * torch.polar(torch.ones_like(angles), angles)
    torch.testing.assert_close(turned, torch.cat([expected.real, expected.imag], dim=-1))


def check_gradient_of_rotation(rank: int) -> None:
    del rank
    heads = a_tensor(6, 2, 3, 8).double().requires_grad_()
    cosine, sine = rotations((range(6),), 8, RotaryWaves(BASE), torch.float64, torch.device("cpu"))
    assert torch.autograd.gradcheck(lambda given: rotate(given, cosine, sine), heads)


def check_normal_numbers(rank: int) -> None:
    del rank
    whole = torch.empty(40, 3, 50)
    fill_normal(whole, (40, 3, 50), (0, 0, 0), seed=7, deviation=2.0)
    part = torch.empty(10, 2, 20)
    fill_normal(part, (40, 3, 50), (15, 1, 25), seed=7, deviation=2.0)
    torch.testing.assert_close(part, whole[15:25, 1:3, 25:45], rtol=0, atol=0)

    many = torch.empty(1000, 1000)
    fill_normal(many, (1000, 1000), (0, 0), seed=8, deviation=1.0)
    moments = [float((many**power).mean()) for power in (1, 2, 3, 4)]
    for found, expected in zip(moments, (0.0, 1.0, 0.0, 3.0), strict=True):
        assert abs(found - expected) < 0.02, moments
    neighbours = float((many[:, 1:] * many[:, :-1]).mean())
    assert abs(neighbours) < 0.005, neighbours
    other = torch.empty(1000, 1000)
    fill_normal(other, (1000, 1000), (0, 0), seed=9, deviation=1.0)
    assert abs(float((many * other).mean())) < 0.005


def check_sampling(rank: int) -> None:
    del rank
    logits = a_tensor(5)
    assert Sampling(0.0, seed=1).next_id(logits, []) == int(logits.argmax())

    def draw(seed: int) -> list[int]:
        sampling, ids = Sampling(0.8, seed), list[int]()
        for _ in range(60):
            ids.append(sampling.next_id(logits * 0.0, ids))
        return ids

    drawn = draw(3)
    assert drawn == draw(3) != draw(4)
    triples = list(zip(drawn, drawn[1:], drawn[2:], strict=False))
    assert len(set(triples)) == len(triples)
    sure = torch.tensor([9.0, 0.0, 0.0])  # the others are not among the likeliest
    assert {Sampling(1.0, seed).next_id(sure, []) for seed in range(50)} == {0}
    only = Sampling(1.0, seed=1)  # one id can only be repeated
    assert [only.next_id(torch.zeros(1), [0] * n) for n in range(5)] == [0] * 5


def check_cross_entropy(rank: int) -> None:
    logits, labels = a_tensor(5, ROWS) * 4, torch.tensor([0, 7, 8, 9, 3])
    weights = torch.arange(1.0, 6.0)
    rows = ROWS // distributed.get_world_size()
    mine = logits[:, rank * rows : (rank + 1) * rows].clone().requires_grad_()
    part = vocabulary_part(rows, IDS, distributed.group.WORLD)  # type: ignore[arg-type]
    losses = cross_entropy(mine * 1.0, labels, part)
    (losses * weights).sum().backward()  # type: ignore[no-untyped-call]

    whole = logits.clone().requires_grad_()
    expected = functional.cross_entropy(whole[:, :IDS], labels, reduction="none")
    (expected * weights).sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(losses, expected)
    assert whole.grad is not None
    torch.testing.assert_close(mine.grad, whole.grad[:, rank * rows : (rank + 1) * rows])


def check_attention(rank: int) -> None:
    length, width = 8, 8
    query, key, value = (a_tensor(length, 2, n, width, seed=n) for n in (4, 2, 2))
    group = distributed.group.WORLD
    config = SimpleNamespace(kv_channels=width)
    attention = CausalAttention(
        config, 1, None, "self", pg_collection=SimpleNamespace(cp=group), waves=RotaryWaves(BASE)
    )
    chunks = chunks_of_rank(length // RANKS, rank, RANKS)
    places = torch.tensor([place for chunk in chunks for place in chunk])
    given = [part[places].clone().requires_grad_() for part in (query, key, value)]
    mine = attention(*given, None)
    mine.square().sum().backward()

    whole = [part.clone().requires_grad_() for part in (query, key, value)]
    expected = _attend_to_whole_sequence(*whole)
    expected.square().sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(mine, expected[places])
    for part, its_whole in zip(given, whole, strict=True):
        assert its_whole.grad is not None
        torch.testing.assert_close(part.grad, its_whole.grad[places])


def check_token_copies(rank: int) -> None:
    del rank
    tokens, scores = (a_tensor(30, n, seed=n).requires_grad_() for n in (4, 6))
    chosen = scores.detach().topk(2).indices
    map_TE = torch.zeros(30, 6).scatter(1, chosen, 1.0).bool()  # noqa: N806
    copied, shares, copies, _, _ = permute(tokens, map_TE, scores, 60)
    total = unpermute(copied * shares[:, None], copies, tokens.shape)
    total.backward(a_tensor(30, 4, seed=9))  # type: ignore[no-untyped-call]

    expert, token = map_TE.t().nonzero().unbind(1)
    assert torch.equal(copied, tokens[token])
    assert torch.equal(shares, scores[token, expert])
    same_tokens, same_scores = (one.detach().clone().requires_grad_() for one in (tokens, scores))
    expected = same_tokens * (same_scores * map_TE).sum(1, keepdim=True)
    expected.backward(a_tensor(30, 4, seed=9))  # type: ignore[no-untyped-call]
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(tokens.grad, same_tokens.grad)
    torch.testing.assert_close(scores.grad, same_scores.grad)


def check_recomputation(rank: int) -> None:
    del rank
    given, weight = a_tensor(6, 8).requires_grad_(), a_tensor(4, 8, seed=1).requires_grad_()
    recipe = partial(torch.sin, given)
    sine = recipe()
    product = functional.linear(sine, weight)
    forget(sine, recipe, product)
    assert sine.untyped_storage().nbytes() == 0
    product.square().sum().backward()  # type: ignore[no-untyped-call]
    found, given.grad = given.grad, None
    assert sine.untyped_storage().nbytes() == 6 * 8 * 4
    gradient_of_weight, weight.grad = weight.grad, None
    functional.linear(given.sin(), weight).square().sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, given.grad, rtol=0, atol=0)
    torch.testing.assert_close(gradient_of_weight, weight.grad, rtol=0, atol=0)


def _attend_to_whole_sequence(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> torch.Tensor:
    length, batch, heads, width = query.shape
    turns = rotations(
        (range(length),), width, RotaryWaves(BASE), torch.float32, torch.device("cpu")
    )
    query, key = rotate(query, *turns), rotate(key, *turns)
    key, value = (part.repeat_interleave(heads // part.shape[2], dim=2) for part in (key, value))
    scores = torch.einsum("lbhd,sbhd->bhls", query, key) / width**0.5
    future = torch.ones(length, length).triu(1).bool()
    shares = scores.masked_fill(future, -torch.inf).softmax(-1)
    return torch.einsum("bhls,sbhd->lbhd", shares, value).reshape(length, batch, -1)


if __name__ == "__main__":
    main(int(sys.argv[1]))

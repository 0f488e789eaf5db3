"""Compares the kernels on a GPU with plain formulas in 64 bits, and prints what differs."""

import json
import os
import sys
import traceback
from types import SimpleNamespace

import torch
from torch import distributed
from torch.nn import functional

from pretrain_workloads.trainer.megatron.backend import prepare_backend

prepare_backend("cuda")
from pretrain_workloads.trainer.kernels.attention import CausalAttention  # noqa: E402
from pretrain_workloads.trainer.kernels.experts import weighted_swiglu  # noqa: E402
from pretrain_workloads.trainer.kernels.grouped_linear import grouped_linear  # noqa: E402
from pretrain_workloads.trainer.kernels.normal import fill_normal  # noqa: E402
from pretrain_workloads.trainer.kernels.rotary import rotate, rotations  # noqa: E402
from pretrain_workloads.trainer.kernels.rotary_waves import RotaryWaves  # noqa: E402
from pretrain_workloads.trainer.kernels.token_copies import permute, unpermute  # noqa: E402
from pretrain_workloads.trainer.kernels.vocabulary_loss import cross_entropy, vocabulary_part  # noqa: E402
from pretrain_workloads.trainer.kernels.weight_gradients import add_weight_gradient  # noqa: E402

GPU = torch.device("cuda")
ERRORS = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
"""Largest norm of a difference, as a share of the norm."""
WAVES = RotaryWaves(10_000.0)


def main(port: int) -> None:
    """Run all checks; print the traceback of each, or an empty text if it passed."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    distributed.init_process_group("nccl", rank=0, world_size=1)
    torch.manual_seed(0)
    failures = {}
    for check in (
        check_rotation,
        check_cross_entropy,
        check_attention,
        check_attention_to_earlier_keys,
        check_grouped_linear,
        check_weighted_swiglu,
        check_token_copies,
        check_weight_gradients,
        check_normal_numbers,
    ):
        try:
            for dtype in ERRORS:
                check(dtype)
            failures[check.__name__] = ""
        except Exception:
            failures[check.__name__] = traceback.format_exc()
    sys.stdout.write(json.dumps(failures) + "\n")
    sys.stdout.flush()
    os._exit(0)


def leaf(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(shape, device=GPU).to(dtype).requires_grad_()


def go_back(result: torch.Tensor, gradient: torch.Tensor) -> None:
    result.backward(gradient)  # type: ignore[no-untyped-call]


def assert_near(found: torch.Tensor | None, expected: torch.Tensor | None, limit: float) -> None:
    assert found is not None
    assert expected is not None
    difference = (found.double() - expected.double()).norm() / expected.double().norm()
    assert float(difference) < limit, float(difference)


def doubles(*tensors: torch.Tensor) -> list[torch.Tensor]:
    return [one.detach().double().requires_grad_() for one in tensors]


def check_rotation(dtype: torch.dtype) -> None:
    for heads_count in (8, 2):  # queries and keys: a kernel is compiled for both
        heads = leaf(64, 2, heads_count, 32, dtype=dtype)
        cosine, sine = rotations((range(64),), 32, WAVES, dtype, GPU)
        turned = rotate(heads, cosine, sine)
        go_back(turned, heads.detach())

        (wide,) = doubles(heads)
        angles = torch.outer(torch.arange(64.0), 10_000.0 ** (-torch.arange(16.0) / 16))
        pairs = torch.complex(wide[..., :16], wide[..., 16:])
        turns = torch.polar(torch.ones_like(angles), angles).to(GPU)[:, None, None]
        expected = torch.cat([(pairs * turns).real, (pairs * turns).imag], dim=-1)
        go_back(expected, wide.detach())
        assert_near(turned, expected, ERRORS[dtype])
        assert_near(heads.grad, wide.grad, ERRORS[dtype])


def check_cross_entropy(dtype: torch.dtype) -> None:
    for tokens, rows, ids in ((300, 1024, 1000), (77, 50_304, 50_257)):
        logits, labels = leaf(tokens, rows, dtype=dtype), torch.randint(0, ids, (tokens,)).to(GPU)
        part = vocabulary_part(rows, ids, distributed.group.WORLD)  # type: ignore[arg-type]
        losses = cross_entropy(logits * 1.0, labels, part)
        go_back(losses, torch.arange(1.0, tokens + 1, device=GPU))

        (wide,) = doubles(logits)
        expected = functional.cross_entropy(wide[:, :ids], labels, reduction="none")
        go_back(expected, torch.arange(1.0, tokens + 1, device=GPU))
        assert losses.dtype == torch.float32
        assert_near(losses, expected, 1e-5)
        assert_near(logits.grad, wide.grad, ERRORS[dtype])


def attention_module(width: int) -> CausalAttention:
    group = SimpleNamespace(cp=distributed.group.WORLD)
    config = SimpleNamespace(kv_channels=width)
    return CausalAttention(config, 1, None, "self", pg_collection=group, waves=WAVES)


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return attention of the last queries to all keys before them, by the formula."""
    length, _, heads, width = query.shape
    key, value = (part.repeat_interleave(heads // part.shape[2], dim=2) for part in (key, value))
    scores = torch.einsum("lbhd,sbhd->bhls", query, key) / width**0.5
    seen = torch.ones(length, len(key), device=GPU).tril(len(key) - length).bool()
    shares = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    return torch.einsum("bhls,sbhd->lbhd", shares, value)


def check_attention(dtype: torch.dtype) -> None:
    for width in (16, 64, 128):
        given = [leaf(256, 2, heads, width, dtype=dtype) for heads in (8, 2, 2)]
        found = attention_module(width)(*given, None)
        go_back(found, given[0].detach().flatten(2))

        wide = doubles(*given)
        turns = rotations((range(256),), width, WAVES, torch.float64, GPU)
        query, key = (rotate(one, *turns) for one in wide[:2])
        expected = attend(query, key, wide[2]).flatten(2)
        go_back(expected, wide[0].detach().flatten(2))
        assert_near(found, expected, ERRORS[dtype])
        for one, its_wide in zip(given, wide, strict=True):
            assert_near(one.grad, its_wide.grad, 2 * ERRORS[dtype])


def check_attention_to_earlier_keys(dtype: torch.dtype) -> None:
    """The part of a context-parallel rank: its queries are the last of the keys' positions."""
    given = [leaf(length, 1, h, 64, dtype=dtype) for length, h in ((128, 8), (640, 2), (640, 2))]
    found = attention_module(64)._attend(*given)
    go_back(found, given[0].detach())
    wide = doubles(*given)
    expected = attend(*wide)
    go_back(expected, wide[0].detach())
    assert_near(found, expected, ERRORS[dtype])
    for one, its_wide in zip(given, wide, strict=True):
        assert_near(one.grad, its_wide.grad, 2 * ERRORS[dtype])


def check_grouped_linear(dtype: torch.dtype) -> None:
    for width in (64, 44):  # the second is too odd for the one kernel
        tokens = torch.tensor([17, 0, 300, 1, 128, 31, 0, 80])
        given, weight = leaf(557, 96, dtype=dtype), leaf(8, width, 96, dtype=dtype)
        found = grouped_linear(given, weight, tokens)
        gradient = torch.randn_like(found)
        go_back(found, gradient)

        wide, wide_weight = doubles(given, weight)
        parts = zip(wide.split(tokens.tolist()), wide_weight, strict=True)  # type: ignore[no-untyped-call]
        expected = torch.cat([part @ one.t() for part, one in parts])
        go_back(expected, gradient.double())
        assert_near(found, expected, ERRORS[dtype])
        assert_near(given.grad, wide.grad, ERRORS[dtype])
        assert_near(weight.grad, wide_weight.grad, ERRORS[dtype])


def check_weighted_swiglu(dtype: torch.dtype) -> None:
    for tokens in (100, 101, 7, 4096):  # a rank's experts get another number in each pass
        gates, weights = leaf(tokens, 96, dtype=dtype), leaf(tokens, dtype=torch.float32)
        found = weighted_swiglu(gates, weights)
        gradient = torch.randn_like(found)
        go_back(found, gradient)

        wide, wide_weights = doubles(gates, weights)
        gate, other = wide.chunk(2, dim=-1)
        expected = functional.silu(gate) * other * wide_weights[:, None]
        go_back(expected, gradient.double())
        assert_near(found, expected, ERRORS[dtype])
        assert_near(gates.grad, wide.grad, ERRORS[dtype])
        assert_near(weights.grad, wide_weights.grad, ERRORS[dtype])


def check_token_copies(dtype: torch.dtype) -> None:
    tokens, chosen = leaf(300, 96, dtype=dtype), torch.rand(300, 16, device=GPU).topk(3).indices
    map_TE = torch.zeros(300, 16, device=GPU).scatter(1, chosen, 1.0).bool()  # noqa: N806
    copied, _, copies, _, _ = permute(tokens, map_TE, torch.rand(300, 16, device=GPU), 900)
    total = unpermute(copied * 2.0, copies, tokens.shape)
    go_back(total, tokens.detach())
    assert_near(total, 6 * tokens.detach(), ERRORS[dtype])
    assert_near(tokens.grad, 6 * tokens.detach(), ERRORS[dtype])
    assert torch.equal(copied, tokens[map_TE.t().nonzero()[:, 1]])


def check_weight_gradients(dtype: torch.dtype) -> None:
    given, gradient = leaf(300, 96, dtype=dtype), leaf(300, 64, dtype=dtype)
    total = torch.randn(64, 96, device=GPU)
    expected = total.double() + gradient.double().t() @ given.double()
    add_weight_gradient(given, gradient, total)
    assert_near(total, expected, 1e-5)


def check_normal_numbers(dtype: torch.dtype) -> None:
    on_gpu, on_cpu = torch.empty(300, 700, device=GPU, dtype=dtype), torch.empty(300, 700)
    for one in (on_gpu, on_cpu):
        fill_normal(one, (300, 700), (0, 0), seed=7, deviation=2.0)
    assert_near(on_gpu.cpu(), on_cpu, ERRORS[dtype])


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""Pooling against what its definition says, window by window, without PyTorch."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.autograd import gradcheck, gradgradcheck
from chainrule.nn import functional as F

RNG = np.random.default_rng(0)

# kernel, stride, padding, dilation, ceil_mode
GEOMETRIES = [(2, 2, 0, 1, False), (3, 2, 1, 1, False), (3, 1, 1, 2, False), (2, 3, 1, 1, True), (3, 2, 0, 1, True)]


def windows(n: int, k: int, s: int, p: int, d: int, ceil: bool) -> list[list[int]]:
    """The positions in each window along one axis."""
    m = (math.ceil if ceil else math.floor)((n + 2 * p - d * (k - 1) - 1) / s) + 1
    m -= ceil and (m - 1) * s >= n + p
    return [[i * s - p + j * d for j in range(k) if 0 <= i * s - p + j * d < n] for i in range(m)]


def by_window(x: Any, lines: list[list[list[int]]], fold: Any) -> Any:
    """``fold`` of each window of the last axes, whose positions along each axis are ``lines``."""
    out = np.empty((*x.shape[: -len(lines)], *map(len, lines)))
    for at in itertools.product(*[range(len(line)) for line in lines]):
        key = np.ix_(*[line[i] for line, i in zip(lines, at, strict=True)])
        part = x[(..., *key)]
        out[(..., *at)] = fold(part.reshape(*part.shape[: -len(lines)], -1))
    return out


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_largest_of_each_window(rank: int, geometry: Any) -> None:
    x = RNG.standard_normal((2, 2, *(7, 6, 5)[:rank]))
    pool = getattr(F, f"max_pool{rank}d")
    lines = [windows(n, *geometry) for n in x.shape[2:]]
    found, places = pool(torch.tensor(x), *geometry, return_indices=True)
    np.testing.assert_array_equal(found.numpy(), by_window(x, lines, lambda part: part.max(-1)))
    flat = x.reshape(2, 2, -1)
    np.testing.assert_array_equal(
        np.take_along_axis(flat, places.numpy().reshape(2, 2, -1), -1).ravel(), found.numpy().ravel()
    )
    alone = pool(torch.tensor(x[0]), *geometry)
    assert torch.equal(alone, found[0])
    assert gradcheck(lambda x: pool(x, *geometry), torch.tensor(x[:1], requires_grad=True))


@pytest.mark.parametrize("geometry", [g for g in GEOMETRIES if g[3] == 1], ids=str)
@pytest.mark.parametrize("counted", [True, False])
def test_the_mean_of_each_window(geometry: Any, counted: bool) -> None:
    k, s, p, _, ceil = geometry
    x = RNG.standard_normal((2, 1, 7, 6))
    lines = [windows(n, *geometry) for n in x.shape[2:]]
    found = F.avg_pool2d(torch.tensor(x), k, s, p, ceil, counted)
    if counted:  # zeros stand in the padding, though not beyond it
        full = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        lines = [[[j for j in range(i * s, i * s + k) if j < n + 2 * p] for i in range(len(line))]
                 for n, line in zip(x.shape[2:], lines, strict=True)]  # fmt: skip
        wanted = by_window(full, lines, lambda part: part.mean(-1))
    else:
        wanted = by_window(x, lines, lambda part: part.mean(-1))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)
    assert gradcheck(lambda x: F.avg_pool2d(x, k, s, p, ceil, counted), torch.tensor(x, requires_grad=True))


def test_sums_divided_by_what_is_asked_for() -> None:
    x = torch.arange(16.0).reshape(1, 4, 4)
    assert F.avg_pool2d(x, 2, divisor_override=1).flatten().tolist() == [10.0, 18.0, 42.0, 50.0]
    assert F.avg_pool2d(-x.long(), 2).flatten().tolist() == [-2, -4, -10, -12]  # integers, towards 0


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_windows_that_cover_an_axis(size: int) -> None:
    x = RNG.standard_normal((2, 3, 5))
    line = [list(range(i * 5 // size, -(-(i + 1) * 5 // size))) for i in range(size)]
    t = torch.tensor(x, requires_grad=True)
    mean, (largest, places) = F.adaptive_avg_pool1d(t, size), F.adaptive_max_pool1d(t, size, return_indices=True)
    np.testing.assert_allclose(mean.detach().numpy(), by_window(x, [line], lambda part: part.mean(-1)), rtol=1e-12)
    np.testing.assert_array_equal(largest.detach().numpy(), by_window(x, [line], lambda part: part.max(-1)))
    assert torch.equal(t.gather(2, places), largest)
    assert gradcheck(lambda t: F.adaptive_avg_pool1d(t, size), t)
    assert gradcheck(lambda t: F.adaptive_max_pool1d(t, size), t)


def test_of_equal_entries_the_first_and_of_nan_the_last() -> None:
    x = torch.tensor([[[2.0, 2.0, 1.0, 2.0], [1.0, 2.0, 2.0, 2.0]]])
    assert F.max_pool2d(x, 2, return_indices=True)[1].tolist() == [[[0, 3]]]
    nan = math.nan
    x = torch.tensor([[[nan, 1.0, nan, 2.0]]])
    values, places = F.max_pool1d(x, 2, return_indices=True)
    assert values.isnan().all()
    assert places.tolist() == [[[0, 2]]]
    assert F.max_pool1d(torch.tensor([[nan, nan]]), 2, return_indices=True)[1].item() == 1
    assert F.max_pool1d(torch.full((1, 3), -math.inf), 2, 2, 1, return_indices=True)[1].tolist() == [[0, 1]]


def test_overlapping_windows_add_up_their_cotangents() -> None:
    x = torch.tensor([[1.0, 5.0, 2.0, 3.0]], requires_grad=True)
    F.max_pool1d(x, 2, 1).backward(torch.tensor([[1.0, 10.0, 100.0]]))
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 11.0, 0.0, 100.0]]


def test_derivatives_of_pooling_to_any_order() -> None:
    x = torch.tensor(RNG.standard_normal((1, 1, 5, 4)), requires_grad=True)
    for f in (
        lambda x: F.max_pool2d(x, 2) ** 2,
        lambda x: F.avg_pool2d(x, 3, 2, 1) ** 2,
        lambda x: F.lp_pool2d(x.exp(), 3, 2),
    ):
        assert gradgradcheck(f, x)
        assert gradcheck(f, x, check_forward_ad=True, check_batched_grad=True)


def test_maxima_put_back() -> None:
    x = torch.tensor(RNG.standard_normal((2, 3, 6, 5)))
    values, places = F.max_pool2d(x, 2, return_indices=True)
    back = F.max_unpool2d(values, places, 2, output_size=(6, 5))
    assert back.shape == x.shape
    assert torch.equal(back[back != 0], x[back != 0])
    assert (back != 0).sum() == values.numel()
    assert gradcheck(lambda v: F.max_unpool2d(v, places, 2, output_size=(6, 5)), values.requires_grad_())


def test_windows_at_random_places(own_generator: torch.Generator) -> None:
    x = torch.tensor(RNG.standard_normal((2, 2, 9, 8)), requires_grad=True)
    values, places = F.fractional_max_pool2d(x, 2, output_size=(4, 3), return_indices=True)
    assert values.shape == (2, 2, 4, 3)
    assert torch.equal(x.flatten(2).gather(2, places.flatten(2)), values.flatten(2))
    rows = (places // 8).float().mean(3)
    assert (rows.diff() > 0).all()
    u = torch.rand(2, 2, 2, dtype=torch.float64)
    assert gradcheck(lambda x: F.fractional_max_pool2d(x, 2, output_ratio=0.5, _random_samples=u), x)
    assert F.fractional_max_pool3d(torch.rand(1, 5, 5, 5), 2, output_size=2).shape == (1, 2, 2, 2)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: F.max_pool2d(x, 2, 0), RuntimeError, "stride should not be zero"),
        (lambda x: F.max_pool2d(x, 2, 1, 2), RuntimeError, "pad should be at most half of effective"),
        (lambda x: F.avg_pool2d(x, 2, 1, -1), RuntimeError, "pad must be non-negative, but got pad: -1"),
        (lambda x: F.max_pool2d(x, 9), RuntimeError, "Output size is too small"),
        (lambda x: F.unfold(x, 9), RuntimeError, r"padding=\(0, 0\), calculated shape of the array of sliding blocks"),
        (lambda x: F.conv_transpose2d(x, torch.ones(3, 1, 2, 2), padding=5), RuntimeError,
         r"input size per channel: \(8 x 8\). Calculated output size per channel: \(-1 x -1\). Output size is too small"),
        (lambda x: F.max_pool2d(x, (2, 2, 2)), RuntimeError, "kernel_size must either be a single int, or a tuple"),
        (lambda x: F.avg_pool2d(x, 2, (1, 1, 1)), RuntimeError, "stride must either be omitted, a single int"),
        (lambda x: F.avg_pool2d(x, 2, divisor_override=0), RuntimeError, "divisor must be not zero"),
        (lambda x: F.max_pool2d(x[:, :0], 2), RuntimeError, "Expected 3D or 4D"),
        (lambda x: F.max_pool1d(x[0, 0, 0], 2), RuntimeError, "Expected 2D or 3D"),
        (lambda x: F.max_pool1d(x[0].long(), 2), NotImplementedError, '"max_pool1d_impl" not implemented for \'Long\''),
        (lambda x: F.adaptive_avg_pool2d(x[0, 0], 2), RuntimeError, r"Expected 3D or 4D tensor, but got \[8, 8\]"),
        (lambda x: F.adaptive_max_pool2d(x[..., :0], 1), RuntimeError, "with dimension 3 being empty"),
        (lambda x: F.max_unpool2d(x, x, 2), RuntimeError, "elements in indices should be type int64 but got: Float"),
        (lambda x: F.max_unpool2d(x, x.long() * 0 + 10**5, 2), RuntimeError, "Found an invalid max index: 100000"),
        (lambda x: F.max_unpool2d(x, x.long(), 2, output_size=(5, 5)), ValueError, "dim 0 must be between 14 and 18"),
        (lambda x: F.fractional_max_pool2d(x, 2), ValueError, "requires specifying either an output_size"),
        (lambda x: F.fractional_max_pool2d(x, 2, output_size=8), RuntimeError, "pool height 2 too large relative to"),
    ],
)  # fmt: skip
def test_errors_in_pytorchs_words(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(torch.ones(2, 3, 8, 8))


def test_an_infinite_cotangent_reaches_the_largest_entry_alone() -> None:
    x = torch.tensor([[[1.0, 5.0, 2.0], [3.0, 5.0, 9.0], [0.0, 0.0, 7.0]]], requires_grad=True)
    for ceil, wanted in ((False, [0, math.inf, 0, 0, 0, 0, 0, 0, 0]), (True, [0, math.inf, 0, 0, 0, 1, 2, 0, 3])):
        y = F.max_pool2d(x, 2, ceil_mode=ceil)
        g = torch.tensor([[[math.inf, 1.0], [2.0, 3.0]]])[:, : y.shape[1], : y.shape[2]]
        assert torch.autograd.grad(y, x, g)[0].flatten().tolist() == wanted


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_window_with_nothing_but_padding(rank: int) -> None:
    """PyTorch's values and places; these lie outside, and there no gradient goes (PyTorch's may, to another row)."""
    x = torch.tensor([[5.0, 2.0], [3.0, 4.0]], requires_grad=True)

    def sizes(*last: int, others: int) -> tuple[int, ...]:
        return (*(others,) * (rank - len(last)), *last)

    entries = x if rank == 1 else x.reshape(1, 1, *sizes(2, 2, others=1))
    geometry = sizes(2, others=1), sizes(1, others=1), sizes(1, others=0), sizes(3, others=1)
    y, at = getattr(F, f"max_pool{rank}d")(entries if rank > 1 else x, *geometry, return_indices=True)
    assert y.flatten().tolist() == [-math.inf] * 2
    assert at.flatten().tolist() == ([2, 2] if rank == 1 else [2, 4])
    assert torch.autograd.grad(y.sum(), x)[0].tolist() == [[0, 0], [0, 0]]


def test_powers_of_windows_of_zeros_have_no_slope() -> None:
    x = torch.tensor([[0.0, 0.0, 3.0, 4.0]], requires_grad=True)
    F.lp_pool1d(x, 2, 2).sum().backward()
    assert torch.allclose(x.grad, torch.tensor([[0.0, 0.0, 0.6, 0.8]]))


@pytest.mark.parametrize("pool", [torch.max_pool2d, torch.nn.functional.avg_pool2d])
@pytest.mark.parametrize("given", [(2.0,), (2, 2.0), (2, 2, True), ((2, 2.0),), ([2.0, 2],)])
def test_sizes_are_whole_numbers_whatever_was_asked_before(pool: Any, given: Any) -> None:
    """2.0 was taken for what was remembered of 2, and refused only by who came first."""
    x = torch.ones(1, 1, 8, 8)
    for known in ((2,), (2, 2), (2, 2, 1), ((2, 2),)):
        pool(x, *known)
    with pytest.raises(TypeError, match="must be tuple of ints, (not|but found element of type) (float|bool)"):
        pool(x, *given)


@pytest.mark.parametrize("divisor", [1.0, True])
def test_a_divisor_is_a_whole_number(divisor: Any) -> None:
    torch.nn.functional.avg_pool2d(torch.ones(1, 1, 4, 4), 2, divisor_override=1)
    with pytest.raises(TypeError, match=f"'divisor_override' must be int, not {type(divisor).__name__}"):
        torch.nn.functional.avg_pool2d(torch.ones(1, 1, 4, 4), 2, divisor_override=divisor)

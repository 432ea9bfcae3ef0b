"""Slices, their gradients and padding in compiled programs: read and added up where they lie, in the loops around them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import func
from chainrule.nn import functional as F
from compiling import loops, native, no_trace_in_tensor

__all__ = ["native", "no_trace_in_tensor"]  # fixtures

SHAPES = [(12, 9), (3, 7), (40, 300), (2, 9000), (5000, 6)]


def awkward(shape: tuple[int, ...], dtype: str) -> Any:
    """Numbers, and among them zeros of both signs, infinities and nan."""
    rng = np.random.default_rng(0)
    a, kind = rng.standard_normal(shape).astype(dtype), rng.random(shape)
    a[kind < 0.1], a[kind > 0.97], a[(kind > 0.94) & (kind < 0.97)] = -0.0, np.inf, np.nan
    return torch.from_numpy(a)


def identical(found: Any, wanted: Any, tolerance: float) -> None:
    """Close numbers, and the same zeros, infinities and nan."""
    a, b = found.numpy(), wanted.numpy()
    assert a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    zeros = (a == 0) & (b == 0)
    assert (np.signbit(a) == np.signbit(b))[zeros].all()


# Functions of a matrix, and how many kernels the gradient takes.
GRADIENTS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "differences": (lambda x: ((x[..., 1:] - x[..., :-1]) ** 2).sum(), 2),
    "differences of rows": (lambda x: (x[1:] - x[:-1]).sin().sum(), 2),
    "five points": (
        lambda x: ((x[1:-1, 1:-1] * 4 - x[2:, 1:-1] - x[:-2, 1:-1] - x[1:-1, 2:] - x[1:-1, :-2]) ** 2).sum(), 2
    ),
    "total variation": (lambda x: (x[1:] - x[:-1]).abs().sum() + (x[:, 1:] - x[:, :-1]).abs().sum(), 3),
    "columns": (lambda x: (x[:, 0] * x[:, 1].exp() + x[:, -1]).sum() + x.sum(), 2),
    "rows": (lambda x: (x[0] * x[1]).sum() + (x * x).sum(), 1),
    "a number": (lambda x: x[0, 0] * x[1, 2] + x.sum(), 1),
    "halves": (lambda x: (x[:, :3] * x[:, 3:6]).sum() + x.sin().sum(), 1),
    "two ends": (lambda x: (x[..., :2] * 2).exp().sum() + (x[..., 4:] * 3).exp().sum(), 3),
    "padded": (lambda x: (F.pad(x, (1, 2, 0, 1), value=1.5) * 2).square().sum(), 2),
    "padded and cut": (lambda x: (F.pad(x, (-1, 2, 3, -2), value=1.5) * 2).square().sum(), 2),
    "turned and padded": (lambda x: (F.pad(x.t(), (0, 0, 1, 1)) ** 3).sum(), 2),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_gradients_of_slices(native: Any, name: str, shape: tuple[int, ...], dtype: str) -> None:
    x, f = awkward(shape, dtype), GRADIENTS[name][0]
    with np.errstate(all="ignore"):
        identical(native(func.grad(f))(x), func.grad(f)(x), 1e-6 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("name", GRADIENTS)
def test_they_are_loops_and_nothing_else(native: Any, name: str) -> None:
    f, count = GRADIENTS[name]
    g = native(func.grad(f))
    g(torch.linspace(-1, 1, 12000).reshape(2000, 6))
    assert len(loops(g)) == len(g.entries[0].runner.kernels) == count, g.source


def test_slices_are_read_where_they_lie(native: Any) -> None:
    x = torch.linspace(-1, 1, 6000, dtype=torch.float64).reshape(20, 60, 5)
    for f in (
        lambda x: x[1:, :, 1:] * x[:-1, :, :-1] + 1,
        lambda x: x[:, ::2] * x[0, 1::2].exp() + x[:, :1, ::4].sum(),
        lambda x: x[:, 2:7].transpose(0, 1) * 2 + x[3, 0],
        lambda x: (x[..., 1] * x[..., 3].sin()).sum(),
        lambda x: torch.nn.functional.pad(x[0, 0, :1].expand(500), (2, 3)) * 2,
        lambda x: torch.nn.functional.pad(x[:, 0, :1].expand(20, 50), (2, -3)) * 2,
        lambda x: x[:, None, 3] - x[::3, 0].mean() + x.sum(),
    ):
        g = native(f)
        identical(g(x), f(x), 1e-12)
        assert "copy" not in g.source


def test_what_is_overwritten_is_not_read_shifted(native: Any) -> None:
    def step(x: Any) -> Any:
        x.sub_(F.pad(x[1:], (0, 0, 0, 1)) * 0.5 + x.t()[:, :1] * 0)
        return x

    a, b = (torch.linspace(-1, 1, 3600).reshape(60, 60).clone() for _ in range(2))
    identical(native(step)(a), step(b), 1e-6)

    def turned(x: Any) -> None:
        x.mul_(x.t() + 1)

    native(turned)(a)
    turned(b)
    identical(a, b, 1e-6)


def test_rows_are_folded_after_they_are_padded(native: Any) -> None:
    x = torch.linspace(-1, 1, 600).reshape(20, 30)
    for f in (lambda x: torch.softmax(F.pad(x, (1, 1)) * 2, -1), lambda x: (F.pad(x, (0, 1)) * 3).tanh().sum(1)):
        identical(native(f)(x), f(x), 1e-6)
        identical(
            native(func.grad(lambda x, f=f: f(x).sin().sum()))(x), func.grad(lambda x, f=f: f(x).sin().sum())(x), 1e-5
        )


@pytest.mark.parametrize("shape", [(1, 3), (1, 5000), (1, 2, 3)])
def test_a_part_that_is_the_whole(native: Any, shape: tuple[int, ...]) -> None:
    def f(x: Any) -> Any:
        return (x[0].sin() * x[0]).sum() + (x * x).sum()

    x = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    identical(native(func.grad(f))(x), func.grad(f)(x), 1e-12)


def test_rows_are_folded_where_they_lie(native: Any) -> None:
    x = torch.linspace(-1, 1, 9000, dtype=torch.float64).reshape(30, 300)
    for f in (
        lambda x: torch.softmax(x[:, 1:-1] * 2, -1),
        lambda x: torch.softmax(x[::2, ::3], -1),
        lambda x: torch.layer_norm(x[:, 40:], (260,)),
        lambda x: (x[:, 3:8].exp() + 1).sum(1) + torch.softmax(x[:, 5:11].sin(), 1)[:, 0],
        lambda x: torch.softmax(x[:1].expand(20, 300), 1) + x[:20].amax(1, keepdim=True),
    ):
        g = native(f)
        identical(g(x), f(x), 1e-12)
        assert "copy" not in g.source


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:divide by zero:RuntimeWarning")
def test_short_rows_end_in_parts_of_vectors(native: Any) -> None:
    for n, dtype in itertools.product((5, 17, 31, 64, 95, 100, 127), (torch.float32, torch.float64)):
        x = torch.linspace(-3, 3, 20 * n, dtype=dtype).reshape(20, n).clone()
        x[3, n // 2], x[4, 0], x[5, -1] = float("nan"), float("inf"), -float("inf")
        for f in (
            lambda x: torch.softmax(x, 1),
            lambda x: x.amax(1) + x.exp().sum(1),
            lambda x: x / x.amin(1, keepdim=True),
        ):
            with np.errstate(all="ignore"):
                identical(native(f)(x), f(x), 3e-6 if dtype == torch.float32 else 1e-13)

"""Operations on many entries, which go another way than few, give what they give for few at a time."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.nn import functional as F

N, PIECE = 3 * 4096 + 5, 100
INF, NAN = float("inf"), float("nan")
SPECIAL = [0.0, -0.0, INF, -INF, NAN, 1e-45, -1e-45, 3e38, -3e38, 1e-30, 3.0, -3.0, 6.0, 25.0, 1.0, -1.0, 0.5]


def numbers(seed: int, dtype: Any = np.float32) -> Any:
    """Numbers of all sizes; each special one meets each other one if two such arrays are taken together."""
    rng = np.random.default_rng(seed)
    met = np.repeat(SPECIAL, len(SPECIAL)) if seed else np.tile(SPECIAL, len(SPECIAL))
    wide = np.exp(rng.uniform(-60, 60, 2000)) * rng.choice([-1, 1], 2000)
    return np.concatenate([rng.standard_normal(N - len(met) - 2000) * 4, wide, met]).astype(dtype)


POINTWISE: dict[str, Callable[..., Any]] = {
    "clamp": lambda x: x.clamp(-1, 2),
    "clamp, one bound": lambda x: x.clamp(min=0.5),
    "relu6": F.relu6,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "hardshrink": F.hardshrink,
    "softshrink": F.softshrink,
    "leaky_relu": F.leaky_relu,
    "leaky_relu, steep": lambda x: F.leaky_relu(x, 1.5),
    "elu": F.elu,
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 0.7),
    "softplus": F.softplus,
    "softplus, beta": lambda x: F.softplus(x, 2.0),
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "nan_to_num": torch.nan_to_num,
    "sign": torch.sign,
    "where": lambda x: torch.where(x > 1, x, 0.0),
    "where, swapped": lambda x: torch.where(x > 1, 0.0, x),
    "where, two numbers": lambda x: torch.where(x > 1, 2.0, -0.5),
    "fmod": lambda x: torch.fmod(x, 0.7),
    "remainder": lambda x: torch.remainder(x, -0.7),
}
PAIRED: dict[str, Callable[..., Any]] = {
    "logaddexp": torch.logaddexp,
    "hypot": torch.hypot,
    "copysign": torch.copysign,
    "fmod": torch.fmod,
    "remainder": torch.remainder,
    "huber_loss": lambda x, y: F.huber_loss(x, y, "none", 0.7),
    "smooth_l1_loss": lambda x, y: F.smooth_l1_loss(x, y, reduction="none", beta=0.7),
    "floor_divide": lambda x, y: torch.floor_divide(x.detach(), y.detach()),
}


def by_pieces(f: Callable[..., Any], arrays: list[Any], piece: int) -> tuple[Any, Any]:
    """The values and the slopes, of ``piece`` entries at a time."""
    values, slopes = [], []
    for i in range(0, N, piece):
        xs = [torch.from_numpy(a[i : i + piece].copy()).requires_grad_() for a in arrays]
        y = f(*xs)
        values.append(y.detach().numpy())
        if y.requires_grad:
            y.backward(torch.ones_like(y))
            slopes.append(np.stack([x.grad.numpy() for x in xs], 1))
    return np.concatenate(values), np.concatenate(slopes or [np.zeros(0)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("f", "count"),
    [*[(f, 1) for f in POINTWISE.values()], *[(f, 2) for f in PAIRED.values()]],
    ids=[*POINTWISE, *[f"{n}, two" for n in PAIRED]],
)
def test_pointwise(f: Callable[..., Any], count: int, dtype: Any) -> None:
    arrays = [numbers(seed, dtype) for seed in range(count)]
    (many, steep), (few, gentle) = by_pieces(f, arrays, N), by_pieces(f, arrays, PIECE)
    near = 4e-7 if dtype == np.float32 else 2e-15
    np.testing.assert_allclose(many, few, rtol=near, atol=near if f is torch.logaddexp else 1e-37)
    np.testing.assert_array_equal(np.signbit(many)[many == 0], np.signbit(few)[many == 0])
    np.testing.assert_allclose(steep, gentle, rtol=4 * near, atol=near)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(N,), (5, 2500), (3, 1600), (4, 1, 5000)])
def test_reductions_and_running_ones(shape: Any, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal(shape).astype(dtype) + dtype(0.1)
    x = torch.from_numpy(a)
    near = 2e-6 if dtype == np.float32 else 1e-14
    exact = a.astype(np.longdouble)
    scale = float(np.abs(a).sum())
    for dims in (None, -1, tuple(range(-a.ndim, 0))):
        np.testing.assert_allclose(x.sum(dims), exact.sum(dims), atol=near * scale / 100)
        np.testing.assert_allclose(x.mean(dims), exact.mean(dims), atol=near)
        np.testing.assert_allclose(x.nansum(dims), exact.sum(dims), atol=near * scale / 100)
        np.testing.assert_allclose(torch.linalg.vector_norm(x, dim=dims), (exact**2).sum(dims) ** 0.5, rtol=near)
    assert x.sum(-1, keepdim=True).shape == (*shape[:-1], 1)
    np.testing.assert_allclose(x.cumsum(-1), exact.cumsum(-1), atol=near * scale / 10)
    ones = np.exp(rng.uniform(-1e-3, 1e-3, shape)).astype(dtype)
    np.testing.assert_allclose(torch.from_numpy(ones).prod(), ones.astype(np.longdouble).prod(), rtol=10 * near)


def test_what_is_not_finite_stays_where_it_is() -> None:
    a = numbers(0)[np.isfinite(numbers(0)) & (np.abs(numbers(0)) < 1e6)]
    for value in (INF, -INF, NAN):
        a[9000] = value
        x = torch.from_numpy(a)
        np.testing.assert_array_equal(x.cumsum(0).numpy()[9000:], np.cumsum(a)[9000:])
        np.testing.assert_array_equal(np.isfinite(x.cumsum(0).numpy()[:9000]), True)
        np.testing.assert_equal(x.sum().item(), value)
        expected = np.nansum(a.astype(np.float64))
        np.testing.assert_allclose(x.nansum().item(), expected, rtol=1e-4)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("kind", ["random", "ties", "rising", "nan", "late nan"])
def test_running_extremes(kind: str, largest: bool) -> None:
    a = np.random.default_rng(0).standard_normal(20_500)
    if kind == "ties":
        a = np.round(a)
    elif kind == "rising":
        a.sort()
    elif kind != "random":
        a[700 if kind == "nan" else 20_450] = NAN
    x = torch.from_numpy(a)
    values, places = (torch.cummax if largest else torch.cummin)(x, 0)
    best = place = None
    wanted: list[Any] = []
    for i, v in enumerate(a.tolist()):
        if best is None or v != v or (best == best and (v >= best if largest else v <= best)):
            best, place = v, i
        wanted.append(place)
    np.testing.assert_array_equal(places.numpy(), wanted)
    np.testing.assert_array_equal(values.numpy(), a[places.numpy()])


@pytest.mark.parametrize("shape", [(8, 3, 30, 40), (5, 2, 2100), (2, 20_000), (40, 60, 10)])
def test_sums_over_any_axes(shape: tuple[int, ...]) -> None:
    a = np.random.default_rng(0).standard_normal(shape)
    x = torch.from_numpy(a)
    for count in range(len(shape) + 1):
        for axes in itertools.combinations(range(len(shape)), count):
            for keep in (False, True):
                wanted = np.sum(a, axis=axes or None, keepdims=keep)
                found = x.sum(axes or None, keepdim=keep)
                assert tuple(found.shape) == wanted.shape
                np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-11, atol=1e-11)


def test_indices_of_several_axes() -> None:
    a = np.random.default_rng(0).standard_normal((300, 200))
    x, i, j = torch.from_numpy(a), np.arange(150), np.arange(150)[::-1].copy()
    np.testing.assert_array_equal(x[torch.from_numpy(i), torch.from_numpy(j)].numpy(), a[i, j])
    np.testing.assert_array_equal(x[torch.from_numpy(j)].numpy(), a[j])
    np.testing.assert_array_equal(x[torch.from_numpy(j), ...].numpy(), a[j])
    np.testing.assert_array_equal(x[torch.from_numpy(j), 3:5].numpy(), a[j, 3:5])


def test_gelus_slope_far_out() -> None:
    x = torch.zeros(300)
    x[:6] = torch.tensor([1e4, 3e4, 1e30, -1e4, -3e4, -1e30])
    x.requires_grad_()
    F.gelu(x).sum().backward()
    assert x.grad is not None
    assert x.grad[:6].tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("n", [3, 300])
@pytest.mark.parametrize("name", ["erfc", "erfinv", "lgamma", "digamma", "i0", "special.ndtr", "special.airy_ai"])
def test_special_functions_of_float16_are_float16(name: str, n: int) -> None:
    pytest.importorskip("scipy")
    f: Any = functools.reduce(getattr, name.split("."), torch)
    x: Any = torch.linspace(0.05, 0.95, n, dtype=torch.float16)
    out = f(x)
    assert out.dtype == torch.float16
    assert np.allclose(out.double().numpy(), f(x.double()).numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n", [500, 70_000])
def test_sums_and_counts_beyond_float16(n: int) -> None:
    x = (torch.arange(n) % 7 * 60).half()
    wide = x.double()
    functions: list[Any] = [
        torch.mean, torch.std, lambda x: x[:300].norm(), lambda x: torch.linalg.vector_norm(x[:300]),
        lambda x: F.l1_loss(x, torch.zeros_like(x)), lambda x: F.huber_loss(x, torch.zeros_like(x)),
        lambda x: F.layer_norm(x, (n,)), lambda x: F.layer_norm(x * 1e-5, (n,), eps=1e-9), lambda x: (x / 60).var(0),
    ]  # fmt: skip
    for f in functions:
        slopes = []
        for each in (x, wide):
            leaf = each.clone().requires_grad_()
            y = f(leaf)
            (y * torch.arange(1, y.numel() + 1).remainder(5).reshape(y.shape).to(y.dtype)).sum().backward()
            slopes.append(leaf.grad.double().numpy())
        assert y.isfinite().all()
        assert np.allclose(f(x).double().numpy(), y.detach().numpy(), rtol=2e-3, atol=2e-3)
        assert np.allclose(*slopes, rtol=5e-3, atol=5e-3 * np.abs(slopes[1]).max())

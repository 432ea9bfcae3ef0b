"""Values of special functions of many numbers, which NumPy alone computes, beside mpmath's."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.arrays import numpy_special as special

mp: Any = pytest.importorskip("mpmath")
INF, NAN = float("inf"), float("nan")
POINTS: Any = [0.0, -0.0, 1e-45, -1e-45, 1e-38, 0.5, -0.5, 1.0, -1.0, 2.0, 3.0, 30.0, -30.0]


def gelu(x: Any) -> Any:
    return x * mp.erfc(-x / mp.sqrt(2)) / 2


def gelu_slope(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2 + x * mp.npdf(x)


def lgamma(x: Any) -> Any:
    return mp.log(abs(mp.gamma(x))) if abs(x) < 40 else mp.re(mp.loggamma(x))


def spread(low: float, high: float, dtype: Any = np.float32) -> Any:
    """Numbers between, more of them near 0, and the points that lie there."""
    rng = np.random.default_rng(0)
    some = np.concatenate(
        [rng.uniform(low, high, 500), np.exp(rng.uniform(-100, 5, 200)), -np.exp(rng.uniform(-9, 5, 200))]
    )
    some = np.concatenate([some, POINTS])
    return some[(some >= low) & (some <= high)].astype(dtype)


# name: where, mpmath's function, how many units in the last place, and what of 1 is lost to cancellation, as in PyTorch
CASES: Any = {
    "erf": (spread(-6, 6), mp.erf, 3, 0),
    "erfc": (spread(-6, 12), mp.erfc, 1, 0),
    "ndtr": (spread(-15, 15), mp.ncdf, 1, 0),
    "erfinv": (spread(-0.99999, 0.99999), mp.erfinv, 3, 0),
    "gelu": (spread(-12, 12), gelu, 4, 2e-7),
    "gelu_slope": (spread(-12, 12), gelu_slope, 4, 2e-7),
    "gammaln": (spread(-30.3, 60), lgamma, 1, 0),
    "digamma": (spread(-30.3, 60), mp.digamma, 1, 0),
    "trigamma": (spread(0, 60), lambda x: mp.psi(1, x), 1, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_values_are_exact_to_units_in_the_last_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    x, reference, units, floor = CASES[name]
    if name in ("gammaln", "digamma", "trigamma"):
        x = x[(x > 0) | (x != np.rint(x))]
    with np.errstate(all="ignore"):
        found = getattr(special, name)(x)
    with mp.workdps(40):
        wanted = np.array([float(reference(mp.mpf(float(v)))) for v in x])
    with np.errstate(all="ignore"):
        rounded = wanted.astype(np.float32)
        unit = np.spacing(np.abs(np.where(np.isfinite(rounded), rounded, 1))).astype(np.float64)
    away = np.abs(found.astype(np.float64) - wanted) <= units * unit + floor
    assert found.dtype == np.float32 and len(x) > 300
    assert np.all(away | (found == rounded)), (x[~away], found[~away], wanted[~away])


def test_erf_of_double_numbers() -> None:
    x = np.concatenate([spread(-7, 7, np.float64), [1e-310, -5e-324]])
    wanted = np.array([float(mp.erf(mp.mpf(float(v)))) for v in x])
    assert np.all(np.abs(special.erf(x) - wanted) <= 3 * np.spacing(np.abs(wanted)))


@pytest.mark.parametrize(
    ("name", "at", "wanted"),
    [
        ("erf", [INF, -INF, NAN, -0.0], [1, -1, NAN, -0.0]),
        ("erfc", [INF, -INF, NAN, -0.0], [0, 2, NAN, 1]),
        ("ndtr", [INF, -INF, NAN, 0.0], [1, 0, NAN, 0.5]),
        ("erfinv", [1, -1, NAN, -0.0, 1.5], [INF, -INF, NAN, -0.0, NAN]),
        ("gelu", [NAN, 0.0, 100.0], [NAN, 0.0, 100.0]),
        ("gammaln", [INF, -INF, NAN, 0.0, -0.0, -3.0, 1.0, 2.0, 3e38, -1e7], [INF, INF, NAN, INF, INF, INF, 0, 0, INF, INF]),
        ("digamma", [INF, NAN, 0.0, -0.0, -3.0, -1e7], [INF, NAN, -INF, INF, NAN, NAN]),
        ("trigamma", [INF, NAN, 0.0, -3.0], [0, NAN, INF, INF]),
    ],
)  # fmt: skip
def test_special_points(name: str, at: Any, wanted: Any) -> None:
    x = np.tile(np.asarray(at, np.float32), 100)
    with np.errstate(all="ignore"):
        found = getattr(special, name)(x)[: len(at)]
    np.testing.assert_array_equal(found, np.asarray(wanted, np.float32))
    np.testing.assert_array_equal(np.signbit(found)[found == 0], np.signbit(wanted)[found == 0])


def test_any_layout_and_several_blocks() -> None:
    x = np.linspace(-3, 3, 2 * 3 * 40_000, dtype=np.float32).reshape(2, 3, -1)
    turned = special.erf(x.transpose(2, 0, 1)[::2])
    assert turned.strides == (4, 240_000, 80_000)
    np.testing.assert_array_equal(turned.transpose(1, 2, 0), special.erf(x)[..., ::2])


def test_few_numbers_are_as_many() -> None:
    x = torch.linspace(-3, 3, 100)
    for f in (torch.erf, torch.erfc):
        np.testing.assert_allclose(f(x).numpy(), f(x.repeat(10)).numpy()[:100], rtol=4e-7)


@pytest.mark.parametrize(("name", "slope"), [("i1", 0.5), ("i1e", 0.5), ("sinc", 0.0), ("spherical_bessel_j0", 0.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slopes_next_to_0(name: str, slope: float, dtype: torch.dtype) -> None:
    """Where x² is 0, and what is divided by x has no digits left."""
    pytest.importorskip("scipy")
    x = torch.tensor([0.0, -0.0, 1e-300, -5e-324, 1e-40, -1e-45], dtype=dtype)
    x = x[x * x == 0].requires_grad_()
    (found,) = torch.autograd.grad(getattr(torch.special, name)(x).sum(), x)
    assert found.tolist() == [slope] * len(x)

"""The compiler's vectorising elementary functions: accuracy, special cases, code shape."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from chainrule.compiler import mathlib
from chainrule.compiler.native import optimised
from compiling import call

pytest.importorskip("llvmlite")

Array = np.ndarray[Any, Any]
FLOATS = ["float32", "float64"]
UNARY = sorted(mathlib.FUNCTIONS - {"pow"})
# More digits than the result where the machine has them: float64 for float32, x87's for float64.
WIDER: dict[str, Any] = {"float32": np.float64, "float64": np.longdouble}
needs_wider = np.finfo(np.longdouble).nmant > 52


def softplus(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def sigmoid(x: Array) -> Array:
    decay = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, decay, x.dtype.type(1)) / (1 + decay))


def erf(x: Array) -> Array:
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workprec(90):
        exact = [mpmath.erf(float(v)) for v in x]
        high = np.array([float(v) for v in exact])
        low = np.array([float(v - h) for v, h in zip(exact, high, strict=True)])
    # mpmath knows no negative zero.
    return np.asarray(np.copysign(high.astype(x.dtype) + low.astype(x.dtype), x))


REFERENCE: dict[str, Callable[..., Array]] = {
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "softplus": softplus,
    "sigmoid": sigmoid,
    "erf": erf,
    "pow": np.power,
}


def reference(name: str, *args: Array) -> Array:
    wider = WIDER[str(args[0].dtype)]
    with np.errstate(all="ignore"):
        function = REFERENCE.get(name) or getattr(np, name)
        return np.asarray(function(*(arg.astype(wider) for arg in args)))


@cache
def loop(name: str, dtype: str, wide: bool = False) -> str:
    names = ["x", "y"][: 2 if name == "pow" else 1]
    loads = [f"{v} = {v}s[i]" for v in names]
    return kernel(dtype, [f"{v}s" for v in names], [*loads, *mathlib.emit(name, dtype, names, "out[i]", wide=wide)])


def kernel(dtype: str, inputs: list[str], body: list[str], out: str = "") -> str:
    """The source of a loop over arrays."""
    parameters = "".join(f"{name}: {dtype}[:], " for name in inputs)
    lines = [f"def kernel({parameters}out: {out or dtype}[:], n: int):", "    for i in range(n):"]
    return "\n".join(lines + ["        " + line for line in body])


def compute(name: str, *args: Array, wide: bool = False) -> Array:
    out = np.empty_like(args[0])
    call(loop(name, str(args[0].dtype), wide), *args, out, out.size)
    return out


def ulps(got: Array, exact: Array) -> Array:
    """|got - exact| in units of the last place; overflow counts from the first number too large."""
    info = np.finfo(got.dtype)
    exponent = np.clip(np.frexp(exact)[1] - 1, info.minexp, info.maxexp - 1)
    unit = np.ldexp(exact.dtype.type(1), exponent - info.nmant)
    top = np.ldexp(exact.dtype.type(1), info.maxexp)
    with np.errstate(all="ignore"):
        error = np.abs(np.clip(got.astype(exact.dtype), -top, top) - np.clip(exact, -top, top)) / unit
    return np.where(np.isnan(got) & np.isnan(exact), 0.0, error).astype(float)


def every_exponent(dtype: str, count: int, seed: int = 0) -> Array:
    width = np.dtype(dtype).itemsize * 8
    bits = np.random.default_rng(seed).integers(0, 2**width, count, dtype=f"uint{width}")
    return bits.view(dtype)


def samples(name: str, dtype: str, count: int) -> Array:
    rng = np.random.default_rng(1)
    overflow = 90.0 if dtype == "float32" else 720.0
    high = {"erf": 6.0, "asin": 1.0, "acos": 1.0, "tanh": 20.0}.get(name, overflow)
    near = [rng.uniform(-edge, edge, count) for edge in (high, 1.5)]
    around_one = 1 + rng.normal(size=count) * np.exp2(rng.uniform(-24, -1, count))
    x = np.concatenate([every_exponent(dtype, count), *(part.astype(dtype) for part in [*near, around_one])])
    limit = mathlib.domain(name, dtype)
    return x if limit is None else x[~(np.abs(x) > limit) | np.isinf(x)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", UNARY)
def test_within_two_ulps(name: str, dtype: str) -> None:
    if dtype == "float64" and not needs_wider:
        pytest.skip("long double is no wider than float64")
    x = samples(name, dtype, 1500 if name == "erf" else 100_000)
    error = ulps(compute(name, x), reference(name, x))
    assert error.max() <= 2, f"{name}({x[error.argmax()]!r}) is off by {error.max():.2f} ulp"


@pytest.mark.parametrize("dtype", FLOATS)
def test_pow_within_two_ulps(dtype: str) -> None:
    if dtype == "float64" and not needs_wider:
        pytest.skip("long double is no wider than float64")
    rng = np.random.default_rng(2)
    x = np.abs(np.concatenate([every_exponent(dtype, 50_000), rng.uniform(0, 3, 50_000).astype(dtype)]))
    with np.errstate(all="ignore"):
        # Results of every size, and then whole powers of numbers of either sign.
        y = (rng.uniform(-1.1, 1.1, x.size) * np.log(np.finfo(dtype).max) / np.log(x)).astype(dtype)
    whole = rng.integers(-30, 30, 50_000).astype(dtype)
    x, y = np.concatenate([x, rng.normal(size=whole.size).astype(dtype)]), np.concatenate([y, whole])
    error = ulps(compute("pow", x, y), reference("pow", x, y))
    assert error.max() <= 2, f"pow({x[error.argmax()]!r}, {y[error.argmax()]!r}) is off by {error.max():.2f}"


def special(dtype: str) -> Array:
    info = np.finfo(dtype)
    odd, even = 2**info.nmant + 1, 2 ** (info.nmant + 1)
    sizes = [0, 0.5, 1, 1.5, 2, 3, 1e4, odd, even, info.smallest_subnormal, info.tiny, info.max, np.inf]
    positive = np.array(sizes, dtype)
    return np.concatenate([positive, -positive, [np.dtype(dtype).type(np.nan)]])


def assert_same_kind(got: Array, exact: Array) -> None:
    """nan, infinities and zeros in the same places, of the same signs."""
    expected = exact.astype(got.dtype)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.isinf(got), np.isinf(expected))
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(expected[number]))
    exactly = number & ((expected == 0) | np.isinf(expected) | (np.abs(expected) == 1))
    np.testing.assert_array_equal(got[exactly], expected[exactly])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", UNARY)
def test_special_values(name: str, dtype: str) -> None:
    x = special(dtype)
    limit = mathlib.domain(name, dtype)
    x = x if limit is None else x[~(np.abs(x) > limit) | np.isinf(x)]
    with np.errstate(all="ignore"):
        assert_same_kind(compute(name, x), reference(name, x))


@pytest.mark.parametrize("dtype", FLOATS)
def test_pow_special_values(dtype: str) -> None:
    x, y = (grid.ravel().copy() for grid in np.meshgrid(special(dtype), special(dtype)))
    with np.errstate(all="ignore"):
        assert_same_kind(compute("pow", x, y), np.power(x, y))


@pytest.mark.parametrize("dtype", FLOATS)
def test_far_arguments_raise_the_flag_and_have_a_wide_form(dtype: str) -> None:
    limit = mathlib.domain("sin", dtype)
    assert limit is not None
    assert mathlib.domain("exp", dtype) is None
    assert not mathlib.emit_far("exp", dtype, ["x"], "far")
    beyond = np.nextafter(np.dtype(dtype).type(limit), np.inf)
    body = ["far = False", *mathlib.emit_far("sin", dtype, ["xs[i]"], "far"), "out[i] = far"]
    x = np.array([0, limit, -limit, np.inf, -np.inf, np.nan, beyond, -beyond, 1e30], dtype)
    far = np.empty(x.size, bool)
    call(kernel(dtype, ["xs"], body, "bool"), x, far, x.size)
    assert far.tolist() == [False] * 6 + [True] * 3
    got = compute("sin", x[6:], wide=True)
    np.testing.assert_allclose(got, np.sin(x[6:].astype(np.longdouble)).astype(dtype), rtol=1e-6)


def test_unknown_functions_are_refused() -> None:
    with pytest.raises(KeyError, match="gamma"):
        mathlib.emit("gamma", "float32", ["x"], "y")
    with pytest.raises(KeyError, match="float16"):
        mathlib.emit("exp", "float16", ["x"], "y")


def has_fma() -> bool:
    binding = pytest.importorskip("llvmlite.binding")
    return not binding.get_process_triple().startswith(("x86", "i686")) or bool(
        binding.get_host_cpu_features().get("fma")
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", sorted(mathlib.FUNCTIONS - {"sqrt", "rsqrt"}))
def test_loops_vectorise(name: str, dtype: str) -> None:
    if not has_fma():
        pytest.skip("without a fused multiply-add each one is a call")
    code = str(optimised(loop(name, dtype)))
    assert re.search(rf"@llvm\.fma\.v\d+f{dtype[-2:]}", code)
    assert not re.search(r"call \w+ @(exp|log|pow|sin|cos|tan|erf)", code)


def test_sine_and_cosine_share_the_reduction() -> None:
    if not has_fma():
        pytest.skip("counts fused multiply-adds")

    def count(*names: str) -> int:
        body = ["total = np.float32(0.0)", "x = xs[i]"]
        for name in names:
            body += [*mathlib.emit(name, "float32", ["x"], "y"), "total = total + y"]
        code = str(optimised(kernel("float32", ["xs"], [*body, "out[i] = total"])))
        return len(re.findall(r"@llvm\.fma\.v", code))

    # Both kernels evaluate both polynomials and choose, so the second function is nearly free.
    assert count("sin", "cos") <= 1.2 * count("sin")

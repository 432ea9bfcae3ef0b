"""At the special points values and gradients are PyTorch's: of the same class, zero, sign, inf or nan, and as large.

PyTorch's are recorded.  ``ACCEPTED`` lists where chainrule's differ, and why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule
import special_points as sp
from special_points import Array, Points

# Units in the last place that results may be apart.  Where a slope is what is left of a difference, the last digits of
# the value, in which libraries differ, are among its first.
NEAR, NEAR_COMPLEX = 4.0, 16.0
LOOSE = {r"(tanh|expm1|sgn), .*gradient": 128.0, r"(softmax|log_softmax|logits), .*": 16.0, r"pow, complex.*": 256.0}


def tiny(x: Array) -> Array:
    """Where a part is subnormal, or the smallest normal number."""
    least = np.finfo(x.dtype).tiny
    return np.logical_or.reduce([(p != 0) & (np.abs(p) <= least) for p in (x.real, x.imag)])


def huge_quotient(x: Array, y: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.abs(x / y) > 1 / np.finfo(x.dtype).eps


def extreme_row(x: Array) -> Array:
    return (tiny(x) | (np.abs(x) >= np.finfo(x.dtype).max / 2)).any(-1)


def on_the_cut(z: Array) -> Array:
    return (z.imag == 0) & (z.real <= 1)


def base_zero(x: Array, y: Array) -> Array:
    return x == 0


def no_size(x: Array, y: Array) -> Array:
    return ~(x > np.finfo(x.dtype).tiny) | near_the_largest(x, y)


def not_a_number(x: Array) -> Array:
    return np.isnan(x)


def near_the_largest(x: Array, y: Array) -> Array:
    return np.abs(x) >= np.finfo(x.dtype).max / 2


def no_answer(x: Array, y: Array) -> Array:
    return ~np.isfinite(y)


def everywhere(*arguments: Array) -> Array:
    return np.ones(len(arguments[0]), bool)


Where = Callable[..., Array]
ACCEPTED: list[tuple[str, Where, str]] = [
    (r"remainder, float\d+, value", huge_quotient, "PyTorch's vector unit gives nan, its scalar code what we give"),
    (
        r"log1p, (float|complex)\d+, value",
        tiny,
        "PyTorch gives 0 for subnormal numbers, nan for complex ones; they are exact",
    ),
    (r"(var|std|var, biased), (float|complex)\d+, .*", extreme_row, "PyTorch adds squares in float64, and differently"),
    (r"polar, float\d+, gradient", no_size, "PyTorch takes a size of 0 to have no direction, and turns negative ones"),
    (r"add twice, float\d+, value", near_the_largest, "PyTorch rounds x + 2 y once, after the sum"),
    (
        r"(relu6|hardtanh|hardswish|hardshrink|softshrink|elu|selu), float\d+, gradient.*",
        not_a_number,
        "PyTorch's vector unit gives what we give, its scalar code, for the last few, the slope of large numbers",
    ),
    (r"hardsigmoid, float64, gradient", np.isfinite, "PyTorch's 1/6 has the digits of a float32"),
    (r"logits, float\d+, .*", no_answer, "the right answer is 0, 1 or between"),
    (r"acos, complex\d+, value", lambda z: tiny(z - 1), "PyTorch loses the real part"),
    (r"acosh, complex\d+, gradient", on_the_cut, "PyTorch's slope is that of the other side of the branch cut"),
    (
        r"(sgn|angle|rsqrt), complex\d+, gradient",
        tiny,
        "1 / |z| overflows, and the parts become inf or nan in another order",
    ),
    (r"pow, complex\d+, .*", base_zero, "PyTorch takes the logarithm of 0, and has nan for 0 ** 0"),
    (r"0.0 \*\* x, complex\d+, .*", everywhere, "the same"),
]
# Where an argument is infinite, nan or near the largest, complex results need only be finite where PyTorch's are.
ACCEPTED_AT_THE_ENDS = {
    r"(log1p|x \*\* -2|x \*\* 3|1.0 \*\* x|pow|acosh|atanh|angle|logsumexp|norm .*), complex\d+, .*":
        "PyTorch's way to them overflows at another point, or takes hypot(inf, nan) for inf",
}  # fmt: skip


def tolerance(name: str) -> float:
    for pattern, found in LOOSE.items():
        if re.fullmatch(pattern, re.sub(r" \d$", "", name)):
            return found
    return NEAR_COMPLEX if "complex" in name else NEAR


def accepted(name: str, arguments: Points) -> Iterator[Array]:
    for pattern, where, _ in ACCEPTED:
        if re.fullmatch(pattern, re.sub(r" \d$", "", name)):
            yield where(*arguments)
    if any(re.fullmatch(p, re.sub(r" \d$", "", name)) for p in ACCEPTED_AT_THE_ENDS):
        yield ~sp.ordinary(arguments)


def differences(name: str, arguments: Points, found: Array, wanted: Array) -> Array:
    """Which points differ, before what is accepted."""
    far = sp.distances(found, wanted) > tolerance(name)
    if "complex" in name:
        ends = np.isfinite(found) != np.isfinite(wanted) if wanted.dtype.kind in "fc" else far
        ordinary = sp.ordinary(arguments)
        far = np.where(ordinary if far.ndim == 1 else ordinary[:, None], far, ends)
    return far if far.ndim == 1 else far.any(-1)


def compare(name: str, arguments: Points, found: Array, wanted: Array) -> None:
    far = differences(name, arguments, found, wanted)
    for allowed in accepted(name, arguments):
        far &= ~allowed
    if far.any():
        first = np.flatnonzero(far)[0]
        at = [a[first] for a in arguments]
        raise AssertionError(f"{name} at {at}: {found[first]}, PyTorch {wanted[first]} ({far.sum()} of {far.size})")


@pytest.fixture(scope="module")
def recorded() -> dict[str, Array]:
    with np.load(sp.GOLDEN) as file:
        return dict(file)


@pytest.mark.parametrize("operation", [*sp.ONE, *sp.TWO, *sp.ROWS])
def test_values_and_gradients(operation: str, recorded: dict[str, Array]) -> None:
    names = {n for n in recorded if n.startswith(f"{operation}, ")}
    assert names
    for name, arguments, found in sp.evaluate(chainrule, f"{operation}"):
        if name in names:
            compare(name, arguments, found, recorded[name])
            names.remove(name)
    assert not names, "these have a gradient in PyTorch"


def test_what_is_accepted_is_needed(recorded: dict[str, Array]) -> None:
    seen: dict[str, bool] = {}
    for name, arguments, found in sp.evaluate(chainrule):
        plain = re.sub(r" \d$", "", name)
        if name not in recorded:
            continue
        far = differences(name, arguments, found, recorded[name])
        for pattern, where, _ in ACCEPTED:
            if re.fullmatch(pattern, plain):
                seen[pattern] = seen.get(pattern, False) or bool((far & where(*arguments)).any())
        for pattern in ACCEPTED_AT_THE_ENDS:
            if re.fullmatch(pattern, plain):
                seen[pattern] = seen.get(pattern, False) or bool((far & ~sp.ordinary(arguments)).any())
    assert all(seen.values()), seen
    assert len(seen) == len(ACCEPTED) + len(ACCEPTED_AT_THE_ENDS)


def alone(operation: str, dtype: str, kind: str) -> Iterator[tuple[str, Points, Any]]:
    """Results for one number at a time: NumPy's scalars have their own arithmetic."""
    f, arguments = sp.KINDS[kind][operation], sp.points(kind, dtype)
    each = [
        dict(sp.at(chainrule, f, tuple(np.array(a) for a in p), operation not in sp._STEPS))
        for p in zip(*arguments, strict=True)
    ]
    for what in each[0]:
        yield what, arguments, np.array([e[what] for e in each])


@pytest.mark.parametrize("kind", ["one", "two"])
@pytest.mark.parametrize("dtype", sp.REAL)
def test_one_at_a_time(kind: str, dtype: str, recorded: dict[str, Array]) -> None:
    for operation in sp.KINDS[kind]:
        if operation not in sp._NO_REAL:
            for what, arguments, found in alone(operation, dtype, kind):
                name = f"{operation}, {dtype}, {what}"
                if name in recorded:
                    if operation == "pow":  # NumPy takes a single 0.5 for a root, which -inf has none of
                        found = np.where((arguments[0] == -np.inf) & (arguments[1] == 0.5), recorded[name], found)
                    compare(name, arguments, found, recorded[name])


@pytest.mark.parametrize("kind", ["one", "two"])
def test_compiled(kind: str) -> None:
    """One program of all functions gives what they give one by one, to rounding, and of the same class."""
    pytest.importorskip("llvmlite")
    torch: Any = chainrule
    arguments = sp.points(kind, "float64")
    functions = {n: f for n, f in sp.KINDS[kind].items() if n not in {"imag", "complex", "polar"}}
    places = tuple(range(len(arguments)))

    def values_and_gradients(*xs: Any) -> Any:
        found = {}
        for name, f in functions.items():
            found[name] = [f(torch, *xs)]
            if name not in sp._STEPS and found[name][0].is_floating_point():
                found[name] += torch.func.grad(lambda *v, f=f: f(torch, *v).sum(), places)(*xs)
        return found

    xs = [torch.from_numpy(a.copy()) for a in arguments]
    compiled = torch.compile(values_and_gradients, fullgraph=True)(*xs)
    for name, wanted in values_and_gradients(*xs).items():
        for ours, right in zip(compiled[name], wanted, strict=True):
            far = sp.distances(ours.numpy(), right.numpy()) > 256
            assert not far.any(), f"{name} at {[a[far][:3] for a in arguments]}"

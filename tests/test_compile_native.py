"""Kernels as machine code: they do what their text says, refuse what they were not made for, and are let go."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.compiler import calling, lower, mathlib
from chainrule.compiler.native import available, native

pytest.importorskip("llvmlite")
COPY = "def copy(x_: float32[:], y_: float32[:], n: int64):\n    for i in range(n):\n        y_[i] = x_[i]"


def as_python(text: str) -> Callable[..., Any]:
    """A kernel run by Python itself, over NumPy numbers."""
    names: dict[str, Any] = {"np": np}
    for d in mathlib.DTYPES:
        names |= {f"fast_{name}_{d}": getattr(np, name) for name in ("exp", "sin", "cos", "tanh", "sqrt")}
        names |= {f"sum_{d}": lambda s, x: s + x, f"largest_{d}": max, f"fast_far_{d}": lambda f, x: f | (abs(x) > 1e5)}
    exec("from __future__ import annotations\n" + text, names)
    function: Callable[..., Any] = names[text[4 : text.index("(")]]
    return function


def kernels(f: Callable[..., Any], *args: Any) -> list[Any]:
    compiled = torch.compile(f, fullgraph=True)
    compiled(*args)
    return [k for e in compiled.entries for k in e.runner.kernels]


X = torch.linspace(-2, 2, 60)
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "a loop": (torch.func.grad_and_value(lambda x: (torch.sin(x) * torch.exp(-x * x) + torch.tanh(x)).sum()), (X,)),
    "rows": (torch.func.grad(lambda x: torch.softmax(x, -1).square().sum()), (X.reshape(6, 10),)),
    "broadcasting": (lambda x, y: torch.where(x > y, x * y, torch.sqrt(abs(x))), (X.reshape(6, 10), X[:6, None])),
    "integers": (lambda k: (k * 3 - k.abs()).clamp(-4, 9), (torch.arange(-9, 9),)),
    "bools": (lambda x: (x > 0) & ~(x > 1) | (x == 2), (X,)),
    "straight code": (torch.func.grad(lambda u: torch.exp(u) * u**3 - u / 7), (torch.tensor(0.3, dtype=torch.float64),)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_kernels_do_what_they_say(case: str) -> None:
    f, args = CASES[case]
    found = kernels(f, *args)
    assert found
    for kernel in found:
        parameters = lower.parameters(kernel.text)
        rng = np.random.default_rng(0)
        lengths = iter(kernel.lengths)

        def given(name: str, dtype: str, array: bool) -> Any:
            if array:
                a = rng.normal(size=200) * 3  # noqa: B023
                return a > 0 if dtype == "bool" else a.astype(dtype)
            if name in ("first", "last"):
                return 0 if name == "first" else kernel.blocks  # noqa: B023
            return next(lengths) if dtype == "int64" and name[0] in "pn" else 0.75  # noqa: B023

        mine = [given(*p) for p in parameters]
        its = [np.copy(a) if isinstance(a, np.ndarray) else a for a in mine]
        returned = native(kernel.text)(*mine), as_python(kernel.text)(*its)
        np.testing.assert_allclose(*returned, rtol=1e-6)
        for a, b in zip(mine, its, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6)


def test_other_arrays_are_refused() -> None:
    kernel, x = native(COPY), np.arange(4, dtype=np.float32)
    y = np.zeros(4, np.float32)
    kernel(x, y, 4)
    assert y.tolist() == [0, 1, 2, 3]
    unaligned = np.frombuffer(b"0" * 17, np.uint8)[1:].view(np.float32)

    class Own(np.ndarray[Any, Any]):
        pass

    for other in (
        x.astype(float),
        x.astype("i4"),
        x.astype(">f4"),
        x[::2],
        unaligned,
        [1.0],
        None,
        x.view(Own),
        np.float32(1),
    ):
        with pytest.raises(TypeError):
            kernel(other, y, 4)
        with pytest.raises(TypeError):
            kernel(x, other, 4)
    with pytest.raises(TypeError):
        kernel(x, y)
    with pytest.raises(TypeError):
        kernel(x, y, 4, 4)
    with pytest.raises(TypeError):
        kernel(x, y, "4")
    assert y.tolist() == [0, 1, 2, 3]


def test_dtypes_of_one_layout_are_one() -> None:
    kernel = native(COPY.replace("float32", "int64"))
    for name in {"l", "q"}:
        x, y = np.arange(4, dtype=name), np.zeros(4, name)
        if x.itemsize == 8:
            kernel(x, y, 4)
            assert y.tolist() == [0, 1, 2, 3]


def test_numbers_in_and_out() -> None:
    text = "def line(a: float64, b: float32, i: int64, j: int32, t: bool):\n    return -a, b, i + 1, -j, (not t)"
    assert native(text)(1.5, 0.1, 2**62, -7, True) == (-1.5, float(np.float32(0.1)), 2**62 + 1, 7, False)
    assert native("def line(a: float64):\n    return a != a")(float("nan")) is True
    with pytest.raises(OverflowError):
        native(text)(1.5, 0.1, 2**64, -7, True)


def test_scratch_that_cannot_be_had() -> None:
    text = "def loop(first: int64, last: int64, n: int64):\n    a = np.empty(n, np.float64)\n    return False"
    assert native(text)(0, 1, 10) is False
    with pytest.raises(MemoryError):
        native(text)(0, 1, 1 << 59)


def test_what_a_kernel_cannot_say() -> None:
    for body in ("return a / b", "return a + 1.0", "while a: pass", "return np.gamma(a)", "a = 1.0", "return a ** b"):
        with pytest.raises((NotImplementedError, TypeError, KeyError)):
            lower.lower(f"def line(a: int64, b: int64):\n    {body}\n    return a")


def test_code_goes_when_nobody_has_it() -> None:
    text = "def line(a: float64):\n    return a * 12345.0"
    kernel = native.__wrapped__(text)
    assert kernel(2.0) == 24690.0
    seen = weakref.ref(kernel.__self__)
    del kernel
    gc.collect()
    assert seen() is None


def test_where_objects_lie_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert available()
    monkeypatch.setitem(calling.FIELD, "flags", calling.FIELD["descr"])
    available.cache_clear()
    try:
        assert not available()
    finally:
        monkeypatch.undo()
        available.cache_clear()

"""The same programs without machine code: NumPy computes into memory that is free."""

from __future__ import annotations

from typing import Any

import chainrule as torch
from compiling import equal, no_trace_in_tensor

__all__ = ["no_trace_in_tensor"]


def made(f: Any, *args: Any) -> tuple[Any, str]:
    compiled = torch.compile(f, backend="numpy", fullgraph=True)
    equal(compiled(*args), f(*args))
    return compiled, compiled.entries[0].runner.text


def test_large_results_go_into_memory_that_is_free() -> None:
    x = torch.linspace(-3, 3, 10_000, dtype=torch.float64)
    f, text = made(lambda x: (x.sin() * x + 1).exp() / x - x.cos(), x)
    lines = [line for line in text.splitlines() if "np." in line]
    assert len(lines) == 7, "one for each operation"
    assert sum("take" in line for line in lines) == 2, "sin and cos; the others write over what nobody reads any more"
    results = [f(x * k) for k in range(1, 6)]
    for k, result in enumerate(results, 1):
        equal(result, made(lambda x: (x.sin() * x + 1).exp() / x - x.cos(), x * k)[0](x * k))
    assert x[0].item() == -3


def test_what_is_read_later_is_left() -> None:
    x = torch.linspace(-3, 3, 10_000, dtype=torch.float64)

    def f(x: Any) -> Any:
        y = x * 2
        z = y.reshape(100, 100)
        turned = z.T * z
        part = y[:5000] - y[5000:]
        w = y + 1
        return turned - z, part * part, w * y, (w - y).sum(), -w

    compiled, _ = made(f, x)
    first = compiled(x)
    compiled(x + 1)
    equal(first, f(x))


def test_small_arrays_and_other_dtypes_are_plain_expressions() -> None:
    _, text = made(lambda x: x * 2 + 1, torch.ones(10))
    assert "take" not in text
    _, text = made(lambda x: (x > 0.5) * x, torch.linspace(0, 1, 10_000))
    assert "greater" not in text


def test_gradients_of_large_arrays() -> None:
    x = torch.linspace(-1, 1, 10_000, dtype=torch.float64)
    made(torch.func.grad(lambda x: (((2 * x + 1) * x - 3) * x + 0.5).mul(x).sum()), x)
    made(torch.func.grad(lambda x: torch.func.grad(lambda x: (x.tanh() * x).sum())(x).square().sum()), x)
    made(lambda x: torch.func.hessian(lambda x: (x**3).sum() * x.sin().sum())(x), x[::100])

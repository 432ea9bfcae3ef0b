"""Functions as SymPy's expressions and back: the same values, and the same derivatives as SymPy's own."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as torch

sympy = pytest.importorskip("sympy")
from chainrule.explain import from_sympy, to_sympy

x, y = sympy.symbols("x y", real=True)


def test_to_sympy() -> None:
    assert to_sympy(lambda x, y: x**2 * torch.sin(y)) == x**2 * sympy.sin(y)
    v = to_sympy(lambda v: v * v, v=(2,))
    assert [str(e) for e in v] == ["v_0**2", "v_1**2"]
    assert to_sympy(lambda x: 3.0) == 3


def test_a_branch_is_told_from_a_formula() -> None:
    with pytest.raises(TypeError, match="truth value") as error:
        to_sympy(lambda x: x if x > 0 else -x)
    assert "torch.where" in error.value.__notes__[0]


@pytest.mark.parametrize(
    "e",
    [
        sympy.sin(x) / x + sympy.exp(-y) ** 2, sympy.sqrt(x * y + 1) - sympy.Rational(1, 3), sympy.atan2(x, y) * sympy.pi,
        sympy.Abs(x - y) + sympy.tanh(x) ** 3, sympy.Max(x, y, 1) + sympy.Min(x, 2),
        sympy.Piecewise((x**2, x > y), (y, sympy.And(x < 2, y > 0)), (sympy.log(x), True)), x**y + sympy.erf(x * y),
    ],
    ids=str,
)  # fmt: skip
def test_values_and_derivatives(e: object) -> None:
    f = from_sympy(e, x, y)
    at = [0.7, 1.3]
    inputs = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in at]
    out = f(*inputs)
    point = dict(zip((x, y), at, strict=True))
    assert out.item() == pytest.approx(float(e.subs(point)))  # type: ignore[attr-defined]
    found = torch.autograd.grad(out, inputs, allow_unused=True)
    for s, g in zip((x, y), found, strict=True):
        assert (0 if g is None else g.item()) == pytest.approx(float(sympy.diff(e, s).subs(point)))


def test_there_and_back_over_arrays() -> None:
    def f(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.where(x > y, torch.exp(x) * y, torch.relu(x) + y)

    back = from_sympy(to_sympy(f))
    a, b = torch.linspace(-2, 2, 9, dtype=torch.float64), torch.linspace(1, -1, 9, dtype=torch.float64)
    assert np.allclose(back(a, b).numpy(), f(a, b).numpy())


def test_what_has_no_counterpart() -> None:
    with pytest.raises(ValueError, match="gamma has no counterpart"):
        from_sympy(sympy.gamma(x))
    with pytest.raises(ValueError, match="no argument for y"):
        from_sympy(x + y, x)
    with pytest.raises(TypeError, match="takes 1 arguments, x, and got 2"):
        from_sympy(x)(torch.tensor(1.0), 2)

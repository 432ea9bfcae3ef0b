"""The compiled reading: every operation, its gradient and its second derivative equal eager's, on either backend."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import func
from every_op import real
from op_cases import Case, all_cases

BACKENDS = ["native", "numpy"]
CASES = [c for c in all_cases() if c.declared]


def equal(ours: Any, eager: Any, case: Case) -> None:
    """Equal to a few ulp of the larger: fused loops sum in another order."""
    a, b = np.asarray(ours.detach().numpy()), np.asarray(eager.detach().numpy())
    assert a.shape == b.shape, case.name
    assert a.dtype == b.dtype, case.name
    tolerance = 1e-12 if b.dtype.itemsize == 8 else 2e-6
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=case.name)


def compiled(f: Any, backend: str) -> Any:
    return torch.compile(f, backend=backend, fullgraph=True)


def scalar(case: Case) -> Any:
    """The operation as a function to one number, each of whose elements has a weight of its own."""
    weights = case.weights()
    return lambda *xs: real((case(*xs) * weights).sum())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES])
def test_equals_eager(case: Case, backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    xs = case.xs()
    if not xs:
        pytest.skip("no argument of real numbers to give to a compiled function")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a fallback warns
        equal(compiled(lambda *v: case(*v), backend)(*xs), case(*xs), case)
        f = scalar(case)
        argnums = tuple(range(len(xs)))
        gradient = func.grad(f, argnums)
        for ours, eager in zip(compiled(gradient, backend)(*xs), gradient(*xs), strict=True):
            equal(ours, eager, case)
        v = case.direction()

        def along(*ys: Any) -> Any:
            return sum(real((g * d).sum()) for g, d in zip(func.grad(f, argnums)(*ys), v, strict=True))

        second = func.grad(along, argnums)
        for ours, eager in zip(compiled(second, backend)(*xs), second(*xs), strict=True):
            equal(ours, eager, case)


def test_a_wrong_scalar_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above has teeth: a compiler's expression that is 0.1 % off fails it."""
    pytest.importorskip("llvmlite")
    case = next(c for c in CASES if c.prim.name == "Sqrt")
    monkeypatch.setattr(type(case.prim), "scalar", "1.001 * sqrt({x})")
    with pytest.raises(AssertionError):
        test_equals_eager(case, "native")

"""Complex functions, their gradients of two orders, tangents and batches, against PyTorch's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).parents[1]))

import chainrule
from complex_functions import FUNCTIONS

# Forward mode through a complex power of real exponent: PyTorch leaves out the imaginary part, against differences.
NO_TANGENT = {"power of powers"}
POINTS = [[0.5 + 1j, -1.2 + 0.3j, 0.7 - 0.4j], [-0.1 + 0.2j, 2 - 1j, 0.3 + 0.9j]]
DIRECTION = [1 - 2j, 0.5j, -0.3]
IN_PLACE = {"written by index", "real part assigned", "imaginary part multiplied", "view written"}


def results(T: Any, name: str) -> Iterator[tuple[str, Any]]:
    def f(z: Any) -> Any:
        return FUNCTIONS[name](T, z)

    def loss(z: Any) -> Any:
        y = f(z)
        y = (y * (1 - 0.3j)).real if y.is_complex() else y
        return (y**2).sum()

    def along(z: Any) -> Any:
        return (T.func.grad(loss)(z) * (0.2 + 0.7j)).real.sum()

    for k, point in enumerate(POINTS):
        z = T.tensor(point, dtype=T.complex128)
        v = T.tensor(DIRECTION, dtype=T.complex128)
        yield f"value {k}", f(z)
        leaf = z.clone().requires_grad_()
        y = f(leaf)
        weights = T.ones_like(y) * (1 + 0.5j) if y.is_complex() else T.ones_like(y)
        yield f"gradient {k}", T.autograd.grad(y, leaf, weights)[0]
        yield f"second {k}", T.func.grad(along)(z)
        if name not in NO_TANGENT:
            yield f"tangent {k}", T.func.jvp(f, (z,), (v,))[1]
            if name not in IN_PLACE:
                yield f"tangent of the gradient {k}", T.func.jvp(T.func.grad(loss), (z,), (v,))[1]
    yield "batch", T.func.vmap(T.func.grad(loss))(T.tensor(POINTS, dtype=T.complex128))
    single = T.tensor(POINTS[0], dtype=T.complex64)
    yield "single", T.func.grad(loss)(single)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_complex_functions(name: str) -> None:
    theirs = dict(results(torch, name))
    for what, ours in results(chainrule, name):
        wanted = theirs[what].detach().resolve_conj().numpy()
        found = ours.detach().numpy()
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), what
        tolerance = 2e-4 if what == "single" else 1e-10
        size = np.abs(wanted).max() + 1e-3
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * size, err_msg=what)

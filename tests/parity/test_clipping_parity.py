"""Gradients clipped, their norms, and parameters as one vector, beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optim_lines import leaf, same

import chainrule

torch = pytest.importorskip("torch")
inf, nan = float("inf"), float("nan")
pytestmark = pytest.mark.usefixtures("own_generator", "one_thread")


def parameters(t: Any, dtype: str) -> list[Any]:
    rng, found = np.random.default_rng(0), []
    for shape in ((3, 4), (5,), ()):
        g = np.array(rng.standard_normal(shape) * 3)
        if dtype.startswith("complex"):
            g = np.array(g + 1j * rng.standard_normal(shape))
        p = t.from_numpy(np.zeros(shape).astype(dtype)).requires_grad_()
        p.grad = t.from_numpy(g.astype(dtype))
        found.append(p)
    return [*found, leaf(t, grad=False)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "complex64", "complex128"])
@pytest.mark.parametrize("order", [2, 1, inf, -inf, 0, 3, 0.5, "inf"])
@pytest.mark.parametrize("bound", [1.0, 100.0, 0])
@pytest.mark.filterwarnings("ignore:Casting complex values to real")
def test_clipping_norms(dtype: str, order: float, bound: float) -> None:
    found = []
    for t in (chainrule, torch):
        params = parameters(t, dtype)
        total = t.nn.utils.clip_grad_norm_(params, bound, order)
        found.append([total.numpy(), *[p.grad.numpy() for p in params[:3]]])
    tolerance = 2e-3 if dtype == "float16" else 2e-6
    for a, b in zip(*found, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "lines",
    [
        lambda t, u: u.get_total_norm([]), lambda t, u: u.get_total_norm(t.ones(2) * 2),
        lambda t, u: u.get_total_norm([t.ones(0)]), lambda t, u: u.get_total_norm([t.ones(0)], inf),
        lambda t, u: u.get_total_norm([t.ones(2), t.ones(2, dtype=t.float64)]),
        lambda t, u: u.get_total_norm([t.tensor([nan, 1.0])], inf),
        lambda t, u: u.get_total_norm([t.ones(2) * inf], 1, error_if_nonfinite=True),
        lambda t, u: u.clip_grad_norm_([], 1.0), lambda t, u: u.clip_grad_norm_((p for p in ()), 1.0),
        lambda t, u: u.clip_grad_norm_(3, 1.0), lambda t, u: u.clip_grad_norm([leaf(t)], 0.1),
        lambda t, u: u.clip_grad_norm_(leaf(t, grad=False), 1.0), lambda t, u: u.clip_grad_norm_(leaf(t), "0.1"),
        lambda t, u: [p := leaf(t), u.clip_grads_with_norm_(p, 0.1, t.tensor(5.0)), p.grad][1:],
        lambda t, u: [p := leaf(t), u.clip_grad_value_(p, 0.25), p.grad][1:],
        lambda t, u: [p := leaf(t), u.clip_grad_value_([p, leaf(t, grad=False)], "0.25"), p.grad][1:],
        lambda t, u: u.parameters_to_vector([leaf(t, 2, 2), leaf(t)]), lambda t, u: u.vector_to_parameters(3, []),
        lambda t, u: [p := leaf(t, 2, 2), u.vector_to_parameters(t.arange(4.0), [p]), p, p.requires_grad][1:],
    ],
)  # fmt: skip
def test_bounds_and_vectors(lines: Any) -> None:
    same(lambda t: lines(t, t.nn.utils))

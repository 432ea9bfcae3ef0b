"""Scores of inputs and the uncertainty of results, against what is known in closed form and against sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as torch
from chainrule.explain import sensitivity


def test_scores_in_closed_form() -> None:
    s = sensitivity(lambda a, b: a**2 * b, 3.0, 2.0)
    assert (s.names, s.value) == (["a", "b"], 18)
    assert np.allclose(s.derivative, [12, 9])
    assert np.allclose(s.product, [36, 18])
    assert np.allclose(s.elasticity, [2, 1])
    assert np.allclose(s.integrated, [12, 6])  # along t: a² b t² · (2, 1), whose integral is a third of 3
    assert s.uncertainty is None


def test_integrated_gradients_add_up() -> None:
    def f(v: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.tanh(v @ v) + torch.sigmoid(w * v[0])

    at, base = [torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64), 1.5], [0.1, 0.2, 0.3, -0.4]
    s = sensitivity(f, *at, baseline=base)
    assert s.names == ["v[0]", "v[1]", "v[2]", "w"]
    start = f(torch.tensor(base[:3], dtype=torch.float64), torch.tensor(base[3], dtype=torch.float64)).item()
    assert s.integrated.sum() == pytest.approx(s.value - start, rel=1e-9)


def test_uncertainty_of_a_product_with_correlation() -> None:
    cov = np.array([[0.04, 0.01], [0.01, 0.09]])
    u = sensitivity(lambda a, b: a * b, 3.0, 2.0, covariance=cov).uncertainty
    assert u is not None
    assert u.sd**2 == pytest.approx(4 * 0.04 + 9 * 0.09 + 2 * 6 * 0.01)
    assert u.mean2 == pytest.approx(6 + 0.01)  # E[ab] = E[a]E[b] + cov
    assert u.sd2**2 == pytest.approx(u.sd**2 + 0.04 * 0.09 + 0.01**2)  # exact for normal inputs
    assert u.shares.sum() == pytest.approx(1)


def test_uncertainty_against_sampling() -> None:
    draw = np.random.default_rng(0)
    a, b = draw.normal([[1.0], [0.5]], [[0.1], [0.2]], (2, 400_000))
    u = sensitivity(lambda a, b: torch.exp(a) * b**2, 1.0, 0.5, sd=[0.1, 0.2]).uncertainty
    assert u is not None
    y = np.exp(a) * b**2
    assert u.mean2 == pytest.approx(y.mean(), rel=0.01)
    assert u.sd2 == pytest.approx(y.std(), rel=0.03)
    assert abs(u.sd2 - y.std()) < abs(u.sd - y.std())


def test_text_and_tornado() -> None:
    s = sensitivity(lambda a, b: a**2 * b, 3.0, 2.0, sd=[0.1, 0.5])
    assert "elasticity" in str(s)
    assert "18 ± 4.66" in s.text("en")
    assert "弹性" in s.text("zh")
    assert np.allclose(s.bars, [[2.9**2 * 2, 3.1**2 * 2], [13.5, 22.5]])
    pytest.importorskip("matplotlib")
    labels = [t.get_text() for t in s.tornado().axes[0].get_yticklabels()]
    assert labels == ["a", "b"]  # the longest bar comes on top, and so last


def test_what_makes_no_sense_is_refused() -> None:
    def f(a: torch.Tensor) -> torch.Tensor:
        return a * 2

    for wrong, message in (
        ({"sd": -1.0}, "none of them negative"),
        ({"sd": [1.0, 2.0]}, "one number, or 1"),
        ({"covariance": [[1.0, 0.0]]}, "symmetric matrix"),
        ({"covariance": [[-1.0]]}, "negative eigenvalue"),
        ({"sd": 1.0, "covariance": [[1.0]]}, "not both"),
    ):
        with pytest.raises(ValueError, match=message):
            sensitivity(f, 1.0, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reduce it"):
        sensitivity(lambda v: v * 2, torch.ones(3))
    with pytest.raises(ValueError, match="give the function its arguments"):
        sensitivity(f)
    with pytest.raises(ValueError, match="needs uncertainties"):
        sensitivity(f, 1.0).tornado()
    assert math.isnan(sensitivity(lambda a: a - 1, 1.0).elasticity[0])


def test_of_a_model_in_single_precision(own_generator: torch.Generator) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    s = sensitivity(model, x, sd=0.1)
    model(x).sum().backward()
    assert s.names == ["input[0]", "input[1]"]
    np.testing.assert_allclose(s.derivative, x.grad.numpy(), rtol=1e-6)
    np.testing.assert_allclose(s.integrated.sum(), (model(x) - model(x * 0)).item(), rtol=1e-5)


def test_a_function_that_gives_no_tensor_is_told_so() -> None:
    with pytest.raises(TypeError, match="one tensor, not float"):
        sensitivity(lambda a: 3.0, 1.0)

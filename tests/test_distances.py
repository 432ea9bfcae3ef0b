"""Distances of points, with their derivatives where they are smooth and where they are not."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as torch


def points(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, float("inf")])
def test_distances_are_norms_of_differences(p: float) -> None:
    x, y = points(2, 4, 3), points(1, 5, 3, seed=1)
    wanted = torch.linalg.vector_norm(x[:, :, None] - y[:, None], p, -1)
    assert torch.allclose(torch.cdist(x, y, p), wanted)
    rows = x[0]
    upper = torch.triu_indices(4, 4, 1)
    assert torch.allclose(torch.pdist(rows, p), torch.cdist(rows, rows, p)[upper[0], upper[1]])
    assert torch.allclose(torch.dist(x[0], x[1], p), torch.linalg.vector_norm(x[0] - x[1], p))


@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0, float("inf")])
def test_derivatives(p: float) -> None:
    x, y = points(3, 2).requires_grad_(), points(4, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: torch.cdist(x, y, p), (x, y), check_forward_ad=True)
    assert torch.autograd.gradcheck(lambda x: torch.pdist(x, p), x)
    assert torch.autograd.gradgradcheck(lambda x, y: torch.cdist(x, y, p), (x, y))


def test_many_points_by_a_product() -> None:
    x, y = points(30, 3), points(2, 3, seed=1)
    exact = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    assert torch.allclose(torch.cdist(x, y), exact)
    assert torch.cdist(x, x).diagonal().abs().max() < 1e-6


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.0])
def test_the_gradient_at_distance_nought_is_nought(p: float) -> None:
    x = torch.zeros(2, 3, requires_grad=True)
    torch.cdist(x, x, p).sum().backward()
    assert not x.grad.any()
    one = torch.tensor([[1.0, 0.0]], requires_grad=True)  # an entry alike
    torch.cdist(one, torch.zeros(1, 2), p).sum().backward()
    assert one.grad.tolist() == [[1.0, 0.0]]


def test_equal_largest_entries_all_get_the_gradient() -> None:
    x = torch.tensor([[1.0, -1.0]], requires_grad=True)
    torch.cdist(x, torch.zeros(1, 2), float("inf")).sum().backward()
    assert x.grad.tolist() == [[1.0, -1.0]]


def test_what_has_no_distances() -> None:
    x = points(3, 2)
    with pytest.raises(RuntimeError, match="cdist only supports at least 2D tensors, X1 got: 1D"):
        torch.cdist(x[0], x)
    with pytest.raises(RuntimeError, match="must have the same number of columns. X1: 2 X2: 1"):
        torch.cdist(x, x[:, :1])
    with pytest.raises(RuntimeError, match="cdist only supports floating-point dtypes, X1 got: ComplexDouble"):
        torch.cdist(x + 0j, x)
    with pytest.raises(RuntimeError, match="cdist only supports non-negative p values"):
        torch.cdist(x, x, -1.0)
    with pytest.raises(ValueError, match="fast is not a valid value for compute_mode"):
        torch.cdist(x, x, compute_mode="fast")
    assert torch.pdist(x[:1]).shape == (0,) and torch.cdist(x[:0], x).shape == (0, 3)

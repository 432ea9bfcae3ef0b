"""Packed factors of matrices, products with them, and decompositions of low rank."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as torch


def matrix(*shape: int, complex: bool = False) -> torch.Tensor:
    draw = np.random.default_rng(0).standard_normal
    return torch.from_numpy(draw(shape) + 1j * draw(shape) if complex else draw(shape))


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 3)])
def test_reflections_are_q(shape: tuple[int, ...], complex: bool) -> None:
    m = matrix(*shape, complex=complex)
    a, tau = torch.geqrf(m)
    whole = torch.eye(shape[-2], dtype=m.dtype).expand(*shape[:-2], shape[-2], shape[-2])
    q = torch.ormqr(a, tau, whole)
    assert torch.allclose(q.mH @ q, whole) and torch.allclose(q @ a.triu(), m)
    other = matrix(*shape[:-2], 2, shape[-2], complex=complex)
    assert torch.allclose(torch.ormqr(a, tau, other, left=False), other @ q)
    assert torch.allclose(torch.ormqr(a, tau, other, left=False, transpose=True), other @ q.mH)
    assert torch.allclose(torch.ormqr(a, tau, other.mH, transpose=True), q.mH @ other.mH)


def test_products_with_reflections_are_differentiable() -> None:
    a, tau = (t.detach().requires_grad_() for t in torch.geqrf(matrix(4, 3)))
    assert torch.autograd.gradcheck(torch.ormqr, (a, tau, matrix(4, 2).requires_grad_()))
    assert not torch.geqrf(matrix(2, 2).requires_grad_()).a.requires_grad


@pytest.mark.parametrize("hermitian", [False, True])
@pytest.mark.parametrize("complex", [False, True])
def test_symmetric_systems(complex: bool, hermitian: bool) -> None:
    pytest.importorskip("scipy")
    m = matrix(2, 5, 5, complex=complex)
    a = m + (m.mH if hermitian else m.mT)
    b = matrix(5, 3, complex=complex)
    found = torch.linalg.ldl_factor(a, hermitian=hermitian)
    x = torch.linalg.ldl_solve(found.LD, found.pivots, b, hermitian=hermitian)
    assert torch.allclose(a @ x, b.expand(2, 5, 3)) and found.pivots.dtype == torch.int32
    assert torch.linalg.ldl_factor_ex(torch.zeros(2, 2)).info == 1
    with pytest.raises(RuntimeError, match="ldl_solve: Expected pivots to be integers. Got Double"):
        torch.linalg.ldl_solve(found.LD, found.pivots.double(), b)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 5, 5)])
@pytest.mark.usefixtures("own_generator")
def test_decompositions_of_low_rank(shape: tuple[int, ...]) -> None:
    a = matrix(*shape[:-1], 2) @ matrix(2, shape[-1])
    torch.manual_seed(0)
    u, s, v = torch.svd_lowrank(a, q=3)
    assert torch.allclose(u @ torch.diag_embed(s) @ v.mH, a) and s.shape[-1] == 3
    mean = a.mean(-2, keepdim=True)
    u, s, v = torch.pca_lowrank(a, q=2)
    assert torch.allclose(u @ torch.diag_embed(s) @ v.mH, a - mean)
    u, s, v = torch.svd_lowrank(a, 2, M=mean)
    assert torch.allclose(u @ torch.diag_embed(s) @ v.mH, a - mean)
    with pytest.raises(ValueError, match=r"q\(=9\) must be non-negative integer and not greater than min\(m, n\)="):
        torch.pca_lowrank(a, 9)


@pytest.mark.usefixtures("own_generator")
def test_singular_values_of_low_rank_have_gradients() -> None:
    a = (matrix(5, 2) @ matrix(2, 4)).requires_grad_()

    def largest(a: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)
        return torch.svd_lowrank(a, 2, niter=4)[1][0]

    exact = torch.autograd.grad(torch.linalg.svdvals(a)[0], a)[0]
    assert torch.allclose(torch.autograd.grad(largest(a), a)[0], exact, atol=1e-5)


def test_gradients_of_hermitian_decompositions_are_hermitian() -> None:
    a = matrix(3, 3).requires_grad_()  # of which a triangle is read, but whose gradient is of the whole
    weights = matrix(3, 3)
    for upper in ("L", "U"):
        (g,) = torch.autograd.grad((torch.linalg.eigh(a, upper).eigenvectors.abs() * weights).sum(), a)
        assert torch.allclose(g, g.mT)
    (g,) = torch.autograd.grad(torch.linalg.cholesky(a @ a.mT + torch.eye(3)).sum(), a)
    assert g.isfinite().all()


def test_singular_values_have_slopes_where_vectors_have_none() -> None:
    a = torch.eye(3, dtype=torch.float64, requires_grad=True)
    torch.linalg.svdvals(a).sum().backward()
    assert torch.allclose(a.grad, torch.eye(3, dtype=torch.float64))
    zero = torch.zeros(2, 3, requires_grad=True)
    torch.linalg.matrix_norm(zero, "nuc").backward()
    assert zero.grad.isfinite().all()


def test_eigenvalues_come_in_lapacks_order() -> None:
    a = matrix(5, 5)
    assert np.allclose(torch.linalg.eigvals(a).numpy(), np.linalg.eigvals(a.numpy()))

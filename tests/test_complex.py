"""Complex numbers in every reading: gradients are ∂L/∂x + i ∂L/∂y, and what PyTorch refuses is refused."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T
from chainrule import func
from complex_functions import FUNCTIONS, REFUSED
from every_op import close, real, slope

__all__ = ["T"]
Z = torch.tensor([0.5 + 1j, -1.2 + 0.3j, 0.7 - 0.4j], dtype=torch.complex128)
DIRECTIONS = [
    torch.tensor(v, dtype=torch.complex128) for v in ([1 - 2j, 0.5j, -0.3], [0.2, 1 + 1j, 0.4j], [1j, 1, 1 - 1j])
]
names = pytest.mark.parametrize("name", FUNCTIONS)


def loss(name: str) -> Any:
    """A real number, of which every part of the function's result is a part."""

    def of(z: torch.Tensor) -> torch.Tensor:
        y = FUNCTIONS[name](torch, z)
        weights = torch.arange(1.0, y.numel() + 1, dtype=y.real.dtype).reshape(y.shape) / 4
        return real((y * weights * (1 - 0.3j if y.is_complex() else 1)).sum())

    return of


def inner(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """How a gradient and a direction are paired: Re(conj(u) v)."""
    return (u.conj() * v).real.sum()


@names
def test_gradients_of_three_orders(name: str) -> None:
    f: Any = loss(name)
    for order, tolerance in enumerate((1e-9, 1e-8, 1e-7)):
        v = DIRECTIONS[order]
        wanted = slope(lambda t, f=f, v=v: f(Z + t * v).item())
        gradient = func.grad(f)(Z)
        assert gradient.dtype == Z.dtype
        close(inner(gradient, v).item(), wanted, tolerance, float(gradient.abs().sum()) + 1e-2)
        f = lambda z, f=f, v=v: inner(func.grad(f)(z), v)


@names
def test_backward_accumulates_what_grad_gives(name: str) -> None:
    z = Z.clone().requires_grad_()
    loss(name)(z).backward()
    close(z.grad.numpy(), func.grad(loss(name))(Z).numpy(), 1e-14)


@names
def test_forward_mode(name: str) -> None:
    f, v, w = FUNCTIONS[name], DIRECTIONS[0], DIRECTIONS[1]
    y, tangent = func.jvp(lambda z: f(torch, z), (Z,), (v,))
    assert tangent.dtype == y.dtype
    for part in (torch.real, torch.imag) if y.is_complex() else (torch.clone,):
        for i in range(y.numel()):
            wanted = slope(lambda t, i=i, part=part: part(f(torch, Z + t * v)).reshape(-1)[i].item())
            close(part(tangent).reshape(-1)[i].item(), wanted, 1e-8, float(tangent.abs().max()) + 1e-2)
    gradient = func.grad(loss(name))
    forward_over_reverse = func.jvp(gradient, (Z,), (w,))[1]
    reverse_over_reverse = inner(func.grad(lambda z: inner(gradient(z), v))(Z), w)
    reverse_over_forward = inner(func.grad(lambda z: func.jvp(loss(name), (z,), (v,))[1])(Z), w)
    scale = float(forward_over_reverse.abs().sum()) + 1e-2
    close(inner(forward_over_reverse, v).item(), reverse_over_reverse.item(), 1e-11, scale)
    close(reverse_over_forward.item(), reverse_over_reverse.item(), 1e-11, scale)


@names
def test_batches(name: str) -> None:
    batch = torch.stack([Z, Z.conj() * 1j, Z * 0.7 + 0.2j])
    for f in (lambda z: FUNCTIONS[name](torch, z), func.grad(loss(name))):
        looped = np.stack([f(z).numpy() for z in batch])
        close(func.vmap(f)(batch).numpy(), looped, 1e-12)


@names
def test_series(name: str) -> None:
    """Taylor coefficients along a direction: each order is the derivative of the one before."""

    def along(t: Any) -> Any:
        return FUNCTIONS[name](torch, Z + t * DIRECTIONS[0])

    zero = torch.zeros((), dtype=torch.float64)
    terms = func.taylor(along, zero, 3)
    once = func.jvp(along, (zero,), (zero + 1,))[1]
    twice = func.jvp(lambda t: func.jvp(along, (t,), (zero + 1,))[1], (zero,), (zero + 1,))[1]
    for k, wanted in enumerate((along(zero), once, twice / 2)):
        close(terms[k].numpy(), wanted.numpy(), 1e-9, float(terms[k].abs().max()) + 1e-3)


@names
def test_compiled(name: str) -> None:
    pytest.importorskip("llvmlite")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a fallback warns
        for f in (lambda z: FUNCTIONS[name](torch, z), func.grad(loss(name))):
            close(torch.compile(f)(Z).numpy(), f(Z).numpy(), 1e-11)


@pytest.mark.parametrize("name", ["abs squared", "conj", "real", "mixed", "quotient", "dot", "adjoint", "complex"])
def test_formulas(name: str) -> None:
    """With symbols for the parts, the slopes by them are the parts of the gradient."""
    sympy = pytest.importorskip("sympy")
    from chainrule.arrays.symbolic import expressions, symbols

    x, y = symbols("x", (3,)), symbols("y", (3,))
    by_x, by_y = func.grad(lambda x, y: loss(name)(torch.complex(x, y)), (0, 1))(x, y)
    numbers = dict(zip([*expressions(x), *expressions(y)], [*Z.real.tolist(), *Z.imag.tolist()], strict=True))
    found = [complex(sympy.N(v.subs(numbers))).real for v in [*expressions(by_x), *expressions(by_y)]]
    wanted = func.grad(loss(name))(Z)
    close(np.array(found), np.array([*wanted.real.tolist(), *wanted.imag.tolist()]), 1e-9)


# --- expectations that hold for PyTorch too, where it is installed ----------------------------------------


def z64(T: Any) -> Any:
    return T.tensor([[0.5 + 1j, -1.25 + 0.25j], [1, 2j]], requires_grad=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_refusals(T: Any, name: str) -> None:
    f, kind, words = REFUSED[name]
    z = z64(T)
    with pytest.raises(kind) as caught:
        f(T, z)
    assert type(caught.value) is kind
    assert str(caught.value).split("\n")[0].startswith(words)


def test_a_real_leaf_beside_a_complex_one_gets_a_real_gradient(T: Any) -> None:
    r = T.tensor([0.5, 2.0], requires_grad=True)
    z = T.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    out = (r * z + z.conj() * r**2).sum()
    out.backward(T.tensor(1 - 1j))
    assert (r.grad.dtype, z.grad.dtype) == (T.float32, T.complex64)
    assert r.grad.tolist() == [2.0, 12.0]  # Re(conj(z + 2 r conj(z)) (1 - i))
    assert z.grad.tolist() == [0.75 - 0.25j, 6 + 2j]


def test_dtypes(T: Any) -> None:
    r, d, z = T.ones(2), T.ones(2, dtype=T.float64), T.ones(2, dtype=T.complex64)
    assert [(x * 1j).dtype for x in (r, d, z, T.tensor([1]))] == [T.complex64, T.complex128, T.complex64, T.complex64]
    assert (z * d).dtype == T.complex128
    assert (r * T.tensor(1j, dtype=T.complex128)).dtype == T.complex64
    assert [f(z).dtype for f in (T.abs, T.angle, T.real, T.isreal, T.view_as_real)] == [
        T.float32, T.float32, T.float32, T.bool, T.float32,
    ]  # fmt: skip
    assert (T.sum(r, dtype=T.complex64) + 0).dtype == T.complex64
    assert z.to(T.bool).tolist() == [True, True]
    assert T.tensor([0j, 1j]).bool().tolist() == [False, True]


def test_parts_are_views(T: Any) -> None:
    z = T.tensor([1 + 2j, 3 - 1j])
    z.real[0] = 5
    z.imag = T.tensor([7.0, 8.0])
    T.view_as_real(z)[1, 0] = -1
    assert z.tolist() == [5 + 7j, -1 + 8j]
    w = T.view_as_complex(T.ones(2, 2))
    assert w.tolist() == [1 + 1j, 1 + 1j]
    assert [x._is_view() for x in (z.real, T.view_as_real(z), w)] == [True, True, True]
    leaf = z.clone().requires_grad_()
    assert [type(x.grad_fn).__name__ for x in (leaf.real, leaf.imag, T.view_as_real(leaf))] == [
        "SelectBackward0", "SelectBackward0", "ViewAsRealBackward0",
    ]  # fmt: skip
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad is being used in an in-place"):
        leaf.real.fill_(1)


def test_what_a_real_tensor_is_to_itself(T: Any) -> None:
    r = T.ones(2)
    assert all(f(r) is r for f in (T.real, T.conj, T.conj_physical, T.resolve_conj, T.resolve_neg))
    assert T.isreal(T.tensor([1.0, float("nan")])).tolist() == [True, True]
    assert T.isreal(T.tensor([1 + 0j, 1j])).tolist() == [True, False]
    assert (T.is_complex(r), T.is_floating_point(r), r.is_conj(), T.is_neg(r)) == (False, True, False, False)


def test_names_of_nodes(T: Any) -> None:
    z = z64(T)
    found = [f(z).grad_fn.name() for f in (T.abs, T.angle, T.sgn, T.conj, T.conj_physical, T.square)]
    assert found == [f"{n}Backward0" for n in ("Abs", "Angle", "Sgn", "Conj", "ConjPhysical", "Pow")]
    assert T.polar(z.real, z.imag).grad_fn.name() == "PolarBackward0"
    assert T.complex(z.real, z.imag).grad_fn.name() == "ComplexBackward0"
    assert T.sgn(z.real).grad_fn.name() == "SgnBackward0"


def test_hooks_and_descent(T: Any) -> None:
    z = T.tensor([1 + 2j], requires_grad=True)
    seen: list[Any] = []
    z.register_hook(seen.append)
    optimizer = T.optim.SGD([z], lr=0.25)
    for _ in range(60):
        optimizer.zero_grad()
        (z - (3 - 1j)).abs().pow(2).sum().backward()
        optimizer.step()
    assert seen[0].tolist() == [-4 + 6j]
    assert abs(z.item() - (3 - 1j)) < 1e-6


def test_casting_to_real_warns() -> None:
    with pytest.warns(UserWarning, match="Casting complex values to real discards the imaginary part"):
        assert torch.tensor([1 + 2j]).to(torch.float64).tolist() == [1.0]


def test_small_numbers_are_not_lost() -> None:
    """NumPy's log1p of complex numbers takes 1 + z first, which forgets z."""
    z = torch.tensor([1e-20 + 0j, 1e-9 + 1e-9j, -0.5 + 0.25j, 3 + 4j], dtype=torch.complex128)
    wanted = [1e-20, 1e-9 + 1e-9j, np.log(0.5 + 0.25j), np.log(4 + 4j)]
    np.testing.assert_allclose(z.log1p().numpy(), wanted, rtol=1e-9)

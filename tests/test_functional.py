"""autograd.functional on both libraries: products with Jacobians and Hessians, their structure, strictness and errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, quietly

__all__ = ["T"]


def F(T: Any) -> Any:
    return T.autograd.functional


def vec(T: Any, *values: float, **options: Any) -> Any:
    return T.tensor(values, dtype=T.float64, **options)


def shaped(found: Any) -> Any:
    """A nest of tuples (lists, in PyTorch's forward mode) with numbers in the place of tensors."""
    if isinstance(found, (tuple, list)):
        return tuple(map(shaped, found))
    return np.asarray(found.detach().numpy())


def same(found: Any, expected: Any) -> None:
    """The same nest of tuples, the same shapes, the same numbers."""
    assert isinstance(found, tuple) == isinstance(expected, tuple)
    if isinstance(expected, tuple):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            same(a, b)
    else:
        assert found.shape == np.shape(expected)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


# f of two inputs, of shapes (2,) and (2, 2), at x = (1, 2) and w = ((1, 2), (3, 4)); its Jacobians by hand.
X, W = np.array([1.0, 2.0]), np.array([[1.0, 2.0], [3.0, 4.0]])
BY_X, BY_W = W, np.einsum("ij,k->ijk", np.eye(2), X)  # of w @ x
SUM_BY_X, SUM_BY_W = 2 * X, np.zeros((2, 2))  # of (x²).sum()


def point(T: Any, **options: Any) -> Any:
    return vec(T, *X, **options), T.tensor(W, dtype=T.float64, **options)


def one(x: Any, w: Any) -> Any:
    return w @ x


def two(x: Any, w: Any) -> Any:
    return w @ x, (x * x).sum()


def cubic(x: Any, w: Any) -> Any:
    return (x * x * (w @ x)).sum()


ONE, TWO = W @ X, (W @ X, np.array(5.0))
CUBIC = np.array(X * X @ (W @ X))
CUBIC_X = 2 * X * (W @ X) + W.T @ (X * X)
CUBIC_W = np.outer(X * X, X)
CUBIC_XX = 2 * np.diag(W @ X) + 2 * X[:, None] * W + (2 * X[:, None] * W).T
CUBIC_XW = np.einsum("a,ai,j->aij", 2 * X, np.eye(2), X) + np.einsum("i,aj->aij", X * X, np.eye(2))
CUBIC_WX = np.moveaxis(CUBIC_XW, 0, 2)

VX, VW = np.array([1.0, -1.0]), np.array([[0.5, 0.0], [1.0, -2.0]])


def directions(T: Any) -> Any:
    return vec(T, *VX), T.tensor(VW, dtype=T.float64)


CASES: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "vjp, one of one": (lambda T: F(T).vjp(lambda x: x**2, vec(T, *X), vec(T, *VX)), (X**2, 2 * X * VX)),
    "vjp, one of one in a tuple": (
        lambda T: F(T).vjp(lambda x: (x**2,), (vec(T, *X),), (vec(T, *VX),)), ((X**2,), (2 * X * VX,))
    ),
    "vjp, one of several": (
        lambda T: F(T).vjp(one, point(T), vec(T, *VX)), (ONE, (VX @ BY_X, np.tensordot(VX, BY_W, 1)))
    ),
    "vjp, several of several": (
        lambda T: F(T).vjp(two, point(T), (vec(T, *VX), T.tensor(2.0, dtype=T.float64))),
        (TWO, (VX @ BY_X + 2 * SUM_BY_X, np.tensordot(VX, BY_W, 1))),
    ),
    "vjp, of a number": (lambda T: F(T).vjp(lambda x: (x**2).sum(), vec(T, *X)), (np.array(5.0), 2 * X)),
    "vjp, of what does not depend": (lambda T: F(T).vjp(lambda x: T.ones(()), vec(T, *X)), (np.array(1.0), 0 * X)),
    "jvp, one of one": (lambda T: F(T).jvp(lambda x: x**2, vec(T, *X), vec(T, *VX)), (X**2, 2 * X * VX)),
    "jvp, one of several": (
        lambda T: F(T).jvp(one, point(T), directions(T)), (ONE, BY_X @ VX + np.tensordot(BY_W, VW, 2))
    ),
    "jvp, several of several": (
        lambda T: F(T).jvp(two, point(T), directions(T)),
        (TWO, (BY_X @ VX + np.tensordot(BY_W, VW, 2), np.array(SUM_BY_X @ VX))),
    ),
    "jvp, by a number": (lambda T: F(T).jvp(lambda x: x * vec(T, *X), vec(T, 3.0)[0]), (3 * X, X)),
    "jvp, of what does not depend": (
        lambda T: F(T).jvp(lambda x: T.ones(2, dtype=T.float64), vec(T, *X), vec(T, *VX)), (np.ones(2), np.zeros(2))
    ),
    "vhp, one input": (
        lambda T: F(T).vhp(lambda x: (x**3).sum(), vec(T, *X), vec(T, *VX)), (np.array(9.0), 6 * X * VX)
    ),
    "vhp, several": (
        lambda T: F(T).vhp(cubic, point(T), directions(T)),
        (CUBIC, (VX @ CUBIC_XX + np.tensordot(VW, CUBIC_WX, 2), np.tensordot(VX, CUBIC_XW, 1))),
    ),
    "hvp, one input": (
        lambda T: F(T).hvp(lambda x: (x**3).sum(), vec(T, *X), vec(T, *VX)), (np.array(9.0), 6 * X * VX)
    ),
    "hvp, several": (
        lambda T: F(T).hvp(cubic, point(T), directions(T)),
        (CUBIC, (CUBIC_XX @ VX + np.tensordot(CUBIC_XW, VW, 2), np.tensordot(CUBIC_WX, VX, 1))),
    ),
    "hvp, by a number": (lambda T: F(T).hvp(lambda x: x**3, vec(T, 3.0)[0]), (np.array(27.0), np.array(18.0))),
    "vhp, of what is linear": (lambda T: F(T).vhp(lambda x: x.sum(), vec(T, *X), vec(T, *VX)), (np.array(3.0), 0 * X)),
}  # fmt: skip
for _how, _options in {
    "": {},
    ", vectorized": {"vectorize": True},
    ", forward": {"vectorize": True, "strategy": "forward-mode"},
}.items():

    def _add(how: str, options: Any) -> None:
        CASES.update({
            f"jacobian, one of one{how}": (
                lambda T: F(T).jacobian(lambda x: x * x.sum(), vec(T, *X), **options), np.diag([3.0] * 2) + X[:, None]
            ),
            f"jacobian, one of several{how}": (lambda T: F(T).jacobian(one, point(T), **options), (BY_X, BY_W)),
            f"jacobian, several of one{how}": (
                lambda T: F(T).jacobian(lambda x: two(x, T.tensor(W)), vec(T, *X), **options), (BY_X, SUM_BY_X)
            ),
            f"jacobian, several of several{how}": (
                lambda T: F(T).jacobian(two, point(T), **options), ((BY_X, BY_W), (SUM_BY_X, SUM_BY_W))
            ),
            f"jacobian, tuples of one{how}": (
                lambda T: F(T).jacobian(lambda x: (x**2,), (vec(T, *X),), **options), ((2 * np.diag(X),),)
            ),
            f"jacobian, of a number{how}": (lambda T: F(T).jacobian(lambda x: x.sum() ** 2, vec(T, *X), **options), 6 + 0 * X),
            f"jacobian, by a matrix{how}": (
                lambda T: F(T).jacobian(lambda w: w.t(), T.tensor(W), **options),
                np.einsum("il,jk->ijkl", np.eye(2), np.eye(2)),
            ),
        })  # fmt: skip
        outer = {"outer_jacobian_strategy" if k == "strategy" else k: v for k, v in options.items()}
        CASES.update({
            f"hessian, one input{how}": (lambda T: F(T).hessian(lambda x: (x**3).sum(), vec(T, *X), **outer), 6 * np.diag(X)),
            f"hessian, a tuple of one{how}": (
                lambda T: F(T).hessian(lambda x: (x**3).sum(), (vec(T, *X),), **outer), ((6 * np.diag(X),),)
            ),
            f"hessian, several{how}": (
                lambda T: F(T).hessian(cubic, point(T), **outer),
                ((CUBIC_XX, CUBIC_XW), (CUBIC_WX, np.zeros((2, 2, 2, 2)))),
            ),
            f"hessian, of one number in a vector{how}": (
                lambda T: F(T).hessian(lambda x: (x**3).sum().reshape(1, 1), vec(T, *X), **outer), 6 * np.diag(X)
            ),
        })  # fmt: skip

    _add(_how, _options)


@pytest.mark.parametrize("name", CASES)
def test_numbers_and_structure(name: str, T: Any) -> None:
    case, expected = CASES[name]
    found = quietly(case, T)
    same(shaped(found), expected)


@pytest.mark.parametrize("name", [n for n in CASES if "forward" not in n])
def test_results_are_in_no_graph(name: str, T: Any) -> None:
    assert not any(t.requires_grad for t in flat(quietly(CASES[name][0], T)))


def flat(found: Any) -> list[Any]:
    return [t for part in found for t in flat(part)] if isinstance(found, tuple) else [found]


CREATE: dict[str, Callable[[Any, Any, Any], Any]] = {
    "vjp": lambda T, x, v: F(T).vjp(lambda x: x**3, x, v, create_graph=True)[1],
    "jvp": lambda T, x, v: F(T).jvp(lambda x: x**3, x, v, create_graph=True)[1],
    "jacobian": lambda T, x, v: F(T).jacobian(lambda x: x**3, x, create_graph=True) @ v,
    "jacobian, vectorized": lambda T, x, v: F(T).jacobian(lambda x: x**3, x, create_graph=True, vectorize=True) @ v,
    "hessian": lambda T, x, v: F(T).hessian(lambda x: (x**4).sum() / 4, x, create_graph=True) @ v,
    "vhp": lambda T, x, v: F(T).vhp(lambda x: (x**4).sum() / 4, x, v, create_graph=True)[1],
    "hvp": lambda T, x, v: F(T).hvp(lambda x: (x**4).sum() / 4, x, v, create_graph=True)[1],
}


@pytest.mark.parametrize("name", CREATE)
def test_in_the_graph(name: str, T: Any) -> None:
    """Each gives 3x²v, which has the derivatives 6xv and 3x²."""
    x, v = vec(T, *X, requires_grad=True), vec(T, *VX, requires_grad=True)
    by_x, by_v = T.autograd.grad(CREATE[name](T, x, v).sum(), (x, v))
    np.testing.assert_allclose(by_x.numpy(), 6 * X * VX)
    np.testing.assert_allclose(by_v.numpy(), 3 * X**2)


def test_inputs_are_told_from_what_a_closure_holds(T: Any) -> None:
    x = vec(T, *X, requires_grad=True)
    found = F(T).jacobian(lambda y: x * y, x)
    np.testing.assert_allclose(found.numpy(), np.diag(X))


def test_in_no_grad(T: Any) -> None:
    with T.no_grad():
        np.testing.assert_allclose(F(T).hessian(lambda x: (x**3).sum(), vec(T, *X)).numpy(), 6 * np.diag(X))
        assert not T.is_grad_enabled()


# --- errors ----------------------------------------------------------------------------------------------------

INDEPENDENT = "The output of the user-provided function is independent of input {}. This is not allowed in strict mode."
NO_GRADIENTS = (
    "Output 0 of the user-provided function does not require gradients. The outputs must be computed in a differentiable "
    "manner from the input when running in strict mode."
)
JACOBIAN = (
    "While computing the hessian, found that the jacobian of the user-provided function with respect to input {} is "
    "independent of the input. This is not allowed in strict mode. You should ensure that your function is twice "
    "differentiable and that the jacobian depends on the inputs (this would be violated by a linear function for example)."
)
CREATED = (
    "The {} of the user-provided function is independent of input 0. This is not allowed in strict mode when "
    "create_graph=True."
)


def linear(x: Any, y: Any = None) -> Any:
    return x.sum()


def apart(x: Any, y: Any) -> Any:
    return (x**2).sum()


ERRORS: list[tuple[type[Exception], str, Callable[[Any, Any], Any]]] = [
    (TypeError, "The inputs given to vjp must be either a Tensor or a tuple of Tensors but the given inputs has type <class "
     "'float'>.", lambda T, x: F(T).vjp(linear, 1.0)),
    (TypeError, "The inputs given to hessian must be either a Tensor or a tuple of Tensors but the value at index 1 has type "
     "<class 'int'>.", lambda T, x: F(T).hessian(linear, (x, 1))),
    (TypeError, "The v given to jvp must be either a Tensor or a tuple of Tensors but the given v has type <class 'list'>.",
     lambda T, x: F(T).jvp(linear, x, [1.0])),
    (TypeError, "The outputs of the user-provided function given to jacobian must be either a Tensor or a tuple of Tensors "
     "but the given outputs of the user-provided function has type <class 'float'>.",
     lambda T, x: F(T).jacobian(lambda x: 1.0, x)),
    (RuntimeError, "The vector v can only be None if the user-provided function returns a single Tensor with a single "
     "element.", lambda T, x: F(T).vjp(lambda x: x, x)),
    (RuntimeError, "The vector v can only be None if the input to the user-provided function is a single Tensor with a "
     "single element.", lambda T, x: F(T).jvp(lambda x: x, x)),
    (RuntimeError, "The vector v can only be None if the input to the user-provided function is a single Tensor with a "
     "single element.", lambda T, x: F(T).vhp(linear, x)),
    (RuntimeError, "The given v should contain a single Tensor.", lambda T, x: F(T).vjp(lambda x: x, x, (x, x))),
    (RuntimeError, "v is a tuple of invalid length: should be 2 but got 1.",
     lambda T, x: F(T).jvp(lambda x, y: x, (x, x), x)),
    (RuntimeError, "v has invalid size: should be torch.Size([2]) but got torch.Size([3]).",
     lambda T, x: F(T).vjp(lambda x: x, x, T.ones(3))),
    (RuntimeError, "Entry 1 in v has invalid size: should be torch.Size([2]) but got torch.Size([3]).",
     lambda T, x: F(T).hvp(apart, (x, x), (x, T.ones(3)))),
    (RuntimeError, "The function given to vhp should return a single Tensor",
     lambda T, x: F(T).vhp(lambda x: (x.sum(),), x, x)),
    (RuntimeError, "The Tensor returned by the function given to hvp should contain a single element",
     lambda T, x: F(T).hvp(lambda x: x * 2, x, x)),
    (RuntimeError, "The function given to hessian should return a single Tensor",
     lambda T, x: F(T).hessian(lambda x: (x.sum(), x.sum()), x)),
    (RuntimeError, "The Tensor returned by the function given to hessian should contain a single element",
     lambda T, x: F(T).hessian(lambda x: x * 2, x)),
    (AssertionError, 'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more '
     'outputs than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".',
     lambda T, x: F(T).jacobian(linear, x, strategy="sideways")),
    (AssertionError, 'Expected strategy to be either "forward-mode" or "reverse-mode".',
     lambda T, x: F(T).hessian(linear, x, outer_jacobian_strategy="sideways")),
    (NotImplementedError, "torch.autograd.functional.jacobian: `create_graph=True` and `strategy=\"forward-mode\"` are not "
     'supported together (yet). Please either set `create_graph=False` or `strategy="reverse-mode"`.',
     lambda T, x: F(T).jacobian(linear, x, create_graph=True, strategy="forward-mode")),
    (RuntimeError, "torch.autograd.functional.jacobian: `strict=True` and `strategy=\"forward-mode\"` are not supported "
     'together (yet). Please either set `strict=False` or `strategy="reverse-mode"`.',
     lambda T, x: F(T).jacobian(linear, x, strict=True, strategy="forward-mode")),
    (NotImplementedError, "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for "
     "`vectorize=True`.", lambda T, x: F(T).jacobian(linear, x, strategy="forward-mode")),
    (RuntimeError, "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. "
     "Please either set `strict=False` or `vectorize=False`.",
     lambda T, x: F(T).jacobian(linear, x, strict=True, vectorize=True)),
    # what is strict
    (RuntimeError, NO_GRADIENTS, lambda T, x: F(T).vjp(lambda x: x.detach(), x, x, strict=True)),
    (RuntimeError, NO_GRADIENTS, lambda T, x: F(T).jvp(lambda x: T.ones(2), x, x, strict=True)),
    (RuntimeError, NO_GRADIENTS, lambda T, x: F(T).jacobian(lambda x: x.detach(), x, strict=True)),
    (RuntimeError, NO_GRADIENTS, lambda T, x: F(T).hessian(lambda x: x.sum().detach(), x, strict=True)),
    (RuntimeError, INDEPENDENT.format(1), lambda T, x: F(T).vjp(apart, (x, x), strict=True)),
    (RuntimeError, INDEPENDENT.format(1), lambda T, x: F(T).jvp(apart, (x, x), (x, x), strict=True)),
    (RuntimeError, INDEPENDENT.format(1), lambda T, x: F(T).vhp(apart, (x, x), (x, x), strict=True)),
    (RuntimeError, "Output 0 of the user-provided function is independent of input 1. This is not allowed in strict mode.",
     lambda T, x: F(T).jacobian(apart, (x, x), strict=True)),
    (RuntimeError, JACOBIAN.format(0), lambda T, x: F(T).vhp(linear, x, x, strict=True)),
    (RuntimeError, JACOBIAN.format(0), lambda T, x: F(T).hvp(linear, x, x, strict=True)),
    (RuntimeError, JACOBIAN.format(0), lambda T, x: F(T).hessian(linear, x, strict=True)),
    (RuntimeError, JACOBIAN.format(1), lambda T, x: F(T).hessian(apart, (x, x), strict=True)),
    (RuntimeError, CREATED.format("jacobian"),
     lambda T, x: F(T).vjp(linear, x.requires_grad_(), create_graph=True, strict=True)),
    (RuntimeError, CREATED.format("jacobian"),
     lambda T, x: F(T).jacobian(linear, x.requires_grad_(), create_graph=True, strict=True)),
    (RuntimeError, CREATED.format("hessian"),
     lambda T, x: F(T).vhp(lambda x: (x * x).sum(), x.requires_grad_(), x.detach(), create_graph=True, strict=True)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "words", "call"), ERRORS, ids=[f"{i}-{e[1][:30]}" for i, e in enumerate(ERRORS)])
def test_errors(kind: type[Exception], words: str, call: Any, T: Any) -> None:
    with pytest.raises(kind) as caught:
        call(T, T.ones(2))
    assert type(caught.value) is kind
    assert str(caught.value) == words


def test_a_wrong_rule_is_found() -> None:
    """A Function whose backward is wrong makes vjp, jvp and the Jacobian wrong alike: none has a rule of its own."""

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 3

    x = vec(torch, *X)
    assert F(torch).vjp(Doubled.apply, x, x)[1].tolist() == (3 * X).tolist()
    assert F(torch).jvp(Doubled.apply, x, x)[1].tolist() == (3 * X).tolist()
    assert F(torch).jacobian(Doubled.apply, x, vectorize=False).tolist() == (3 * np.eye(2)).tolist()


@pytest.mark.parametrize("n", [1, 20, 5000])
def test_relu_of_ends_of_the_number_line(n: int) -> None:
    """Short and long arrays take different ways: the same numbers, with PyTorch's sign of 0."""
    ends = torch.tensor([-0.0, 0.0, 1.0, -1.0, math.nan, math.inf, -math.inf]).repeat(n)
    found = torch.relu(ends)
    assert found[:7].tolist()[:4] == [0, 0, 1, 0]
    assert found.signbit()[:7].tolist()[:4] == [True, False, False, False]
    assert math.isnan(found[4])
    assert found[5:7].tolist() == [math.inf, 0]

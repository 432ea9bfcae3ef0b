"""Writes through views inside transforms: a function that writes in place has the values and derivatives of one that does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import chainrule as torch
from chainrule import func
from every_op import close

Function = Callable[[torch.Tensor], torch.Tensor]
X = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
V = torch.tensor([[1.0, 0.5], [-1.0, 2.0]], dtype=torch.float64)


def row(y: torch.Tensor) -> torch.Tensor:
    y[0].mul_(3)
    return y * y


def row_plainly(y: torch.Tensor) -> torch.Tensor:
    return torch.stack([y[0] * 3, y[1]]) ** 2


def transposed(y: torch.Tensor) -> torch.Tensor:
    t = y.t()
    t[0].mul_(3)
    t.add_(1)
    return y * y


def transposed_plainly(y: torch.Tensor) -> torch.Tensor:
    return (torch.stack([y[:, 0] * 3, y[:, 1]], 1) + 1) ** 2


def base(y: torch.Tensor) -> torch.Tensor:
    first = y[0]
    y.mul_(2)
    return first * first + y.sum()


def base_plainly(y: torch.Tensor) -> torch.Tensor:
    return (2 * y[0]) ** 2 + 2 * y.sum()


def two_views(y: torch.Tensor) -> torch.Tensor:
    first, column = y[0], y[:, 1]
    column.mul_(5)
    return first * first


def two_views_plainly(y: torch.Tensor) -> torch.Tensor:
    return torch.stack([y[0, 0], y[0, 1] * 5]) ** 2


def flat(y: torch.Tensor) -> torch.Tensor:
    v = y.view(-1)
    v[1:3] = v[0] * 7
    return y * y


def flat_plainly(y: torch.Tensor) -> torch.Tensor:
    seven = y[0, 0] * 7
    return torch.stack([y[0, 0], seven, seven, y[1, 1]]).reshape(2, 2) ** 2


def a_copy(y: torch.Tensor) -> torch.Tensor:
    y.t().reshape(-1).mul_(9)  # what cannot be a view is none
    return y * y


def a_copy_plainly(y: torch.Tensor) -> torch.Tensor:
    return y * y


def a_view_of_a_view(y: torch.Tensor) -> torch.Tensor:
    y[0][1:].copy_(y[1][:1] * 2)
    y.unsqueeze(0).squeeze().exp_()
    return y * y


def a_view_of_a_view_plainly(y: torch.Tensor) -> torch.Tensor:
    return (torch.stack([torch.stack([y[0, 0], y[1, 0] * 2]), y[1]]).exp()) ** 2


def products(y: torch.Tensor) -> torch.Tensor:
    other = 1 * y
    y.mul_(other).add_(other.sum())  # the tangent of the product needs the value that is written over
    return y.sigmoid()


def products_plainly(y: torch.Tensor) -> torch.Tensor:
    return (y * y + y.sum()).sigmoid()


def a_product_in_part(y: torch.Tensor) -> torch.Tensor:
    total = (1 * y).sum()
    y.view(-1)[:1].mul_(total)
    y.t()[1].div_(total)
    return y * y


def a_product_in_part_plainly(y: torch.Tensor) -> torch.Tensor:
    total = y.sum()
    return torch.stack([torch.stack([y[0, 0] * total, y[0, 1] / total]), torch.stack([y[1, 0], y[1, 1] / total])]) ** 2


PAIRS = [
    (row, row_plainly), (transposed, transposed_plainly), (base, base_plainly), (two_views, two_views_plainly),
    (flat, flat_plainly), (a_copy, a_copy_plainly), (a_view_of_a_view, a_view_of_a_view_plainly),
    (products, products_plainly), (a_product_in_part, a_product_in_part_plainly),
]  # fmt: skip


def squares(f: Function) -> Function:
    return lambda y: (f(y) ** 2).sum()


BATCH = torch.stack([X, V])
READINGS: dict[str, Callable[[Function], Any]] = {
    "jvp": lambda f: func.jvp(f, (X,), (V,))[1],
    "vmap": lambda f: func.vmap(f)(BATCH),
    "grad": lambda f: func.grad(squares(f))(X),
    "vmap of grad": lambda f: func.vmap(func.grad(squares(f)))(BATCH),
    "grad of vmap": lambda f: func.grad(lambda x: func.vmap(f)(x).sum())(BATCH),
    "jvp of grad": lambda f: func.jvp(func.grad(squares(f)), (X,), (V,))[1],
    "grad of jvp": lambda f: func.grad(lambda x: func.jvp(f, (x,), (V,))[1].sum())(X),
    "grad of grad": lambda f: func.grad(lambda x: func.grad(squares(f))(x).sum())(X),
    "grad of vmap of grad": lambda f: func.grad(lambda x: func.vmap(func.grad(squares(f)))(x).sum())(BATCH),
    "grad of grad of jvp": lambda f: func.grad(
        lambda x: func.grad(lambda x: func.jvp(f, (x,), (V,))[1].sum())(x).sin().sum()
    )(X),
    "grad of jvp along itself": lambda f: func.grad(lambda x: func.jvp(f, (x,), (x.cos(),))[1].sum())(X),
    "jacrev of jacfwd": lambda f: func.jacrev(func.jacfwd(f))(X),
    "jvp of jvp": lambda f: func.jvp(lambda x: func.jvp(f, (x,), (V,))[1], (X,), (V,))[1],
    "taylor": lambda f: func.taylor(lambda t: f(X + t * V), torch.zeros((), dtype=torch.float64), 3),
}


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize(("writing", "plain"), PAIRS, ids=[w.__name__ for w, _ in PAIRS])
def test_writing_is_as_computing_anew(writing: Function, plain: Function, reading: str) -> None:
    run = READINGS[reading]
    close(run(lambda y: writing(y.clone())).numpy(), run(plain).numpy(), 1e-12)


def test_a_constant_that_a_variable_is_written_into() -> None:
    """The pullback is called when the transform is over, and the constant is one again."""

    def f(y: torch.Tensor) -> torch.Tensor:
        z = X.clone()
        z.add_(y.sum())
        return (z * z).sum() * y.prod()

    y = torch.tensor([1.0, 2.0], dtype=torch.float64)
    _, pull = func.vjp(f, y)
    (found,) = pull(torch.ones((), dtype=torch.float64))
    close(found.numpy(), func.grad(lambda y: ((X + y.sum()) ** 2).sum() * y.prod())(y).numpy(), 1e-12)
    close(func.jacrev(f)(y).numpy(), found.numpy(), 1e-12)


def test_what_is_tracked_outside_is_swept_later() -> None:
    w = torch.tensor(3.0, requires_grad=True)

    def f(y: torch.Tensor) -> torch.Tensor:
        z = torch.ones(2)
        z.add_(y.sum())
        return (z * w).sum()

    gradient, value = func.grad_and_value(f)(torch.tensor([1.0, 2.0]))
    (gradient.sum() + value).backward()
    assert w.grad.item() == 4 + 8

"""Indices that differ from sample to sample: reading, writing and adding there, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, refused
from chainrule.func import grad, hessian, jvp, vmap

__all__ = ["T"]

X = torch.arange(24.0, dtype=torch.float64).reshape(2, 3, 4)
ONE = torch.tensor([2, -1])
TWO = torch.tensor([[0, 2], [-1, 0]])
RAW = torch.tensor([0, 1])


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-12)


def looped(f: Callable[..., Any], *batches: Any) -> Any:
    return torch.stack([f(*each) for each in zip(*batches, strict=True)])


READS: dict[str, tuple[Callable[..., Any], Any]] = {
    "one": (lambda x, i: x[i], ONE),
    "several": (lambda x, i: x[i], TWO),
    "a column": (lambda x, i: x[:, i], ONE),
    "the last": (lambda x, i: x[..., i], TWO),
    "with a slice": (lambda x, i: x[i, 1:3], TWO),
    "with a step": (lambda x, i: x[::2, i], TWO),
    "with a number": (lambda x, i: x[1, i], TWO),
    "twice": (lambda x, i: x[i, i], TWO),
    "beside a known one": (lambda x, i: x[i, torch.tensor([0, 1])], TWO),
    "beside a mask": (lambda x, i: x[torch.tensor([True, False, True]), i], TWO),
    "broadcast": (lambda x, i: x[i.unsqueeze(1), i], TWO),
    "apart": (lambda x, i: x[None, i, :, None], TWO),
    "apart, of two": (lambda x, i: x.unsqueeze(1)[i, :, i], TWO),
    "new dimensions": (lambda x, i: x[None, i, None], ONE),
    "index_select": (lambda x, i: x.index_select(1, i), TWO.abs()),
    "gather": (lambda x, i: x.gather(1, i.expand(3, 2)), TWO.abs()),
    "take": (lambda x, i: x.take(i), TWO),
    "take_along_dim": (lambda x, i: x.take_along_dim(i[None], 1), TWO.abs()),
    "of what is the same for all": (lambda x, i: X[0][i] + x.sum(), TWO),
    "cross entropy": (lambda x, i: torch.nn.functional.cross_entropy(x[:2], i), TWO.abs()),
}
WRITES: dict[str, tuple[Callable[..., Any], Any]] = {
    "index_put": (lambda x, v, i: x.index_put((i,), v), TWO),
    "index_put, accumulated": (lambda x, v, i: x.index_put((i,), v, accumulate=True), TWO),
    "index_add": (lambda x, v, i: x.index_add(0, i, v), TWO.abs()),
    "index_copy": (lambda x, v, i: x.index_copy(0, i, v), TWO.abs()),
    "index_fill": (lambda x, v, i: x.index_fill(0, i, 3.0) * v[0, 0], TWO.abs()),
    "scatter": (lambda x, v, i: x.scatter(0, i[:, None].expand(2, 4), v), TWO.abs()),
    "scatter_add": (lambda x, v, i: x.scatter_add(0, i[:, None].expand(2, 4), v), TWO.abs()),
    "scatter, a number": (lambda x, v, i: x.scatter(0, i[:, None].expand(2, 4), 2.0) * v[0, 0], TWO.abs()),
    "scatter_reduce, mean": (lambda x, v, i: x.scatter_reduce(0, i[:, None].expand(2, 4), v, "mean"), TWO.abs()),
    **{
        f"scatter_reduce, {how}": (
            lambda x, v, i, how=how: x.scatter_reduce(0, i[:, None].expand(2, 4), v, how, include_self=how != "amin"),
            torch.tensor([[0, 2], [1, 1]]),
        )
        for how in ("prod", "amax", "amin")
    },
    "index_reduce": (lambda x, v, i: x.index_reduce(0, i, v, "prod"), TWO.abs()),
    "written in place": (lambda x, v, i: _assigned(x, i, v), TWO),
    "a part in place": (lambda x, v, i: _assigned(x, (slice(None), i), v[:, :1].sum()), TWO),
    "increased in place": (lambda x, v, i: _assigned(x, i, x[i] * 2 + v), TWO),
}


def _assigned(x: Any, key: Any, value: Any) -> Any:
    y = x.clone()
    y[key] = value
    return y


@pytest.mark.parametrize("name", READS)
def test_reading(name: str) -> None:
    f, index = READS[name]
    close(vmap(f)(X, index), looped(f, X, index))

    def loss(x: Any, i: Any) -> Any:
        return f(x, i).sin().sum()

    close(vmap(grad(loss))(X, index), looped(grad(loss), X, index))
    close(grad(lambda x: vmap(loss)(x, index).sum())(X), looped(grad(loss), X, index))
    v = X.cos()
    close(
        jvp(lambda x: vmap(f)(x, index), (X,), (v,))[1],
        looped(lambda x, t, i: jvp(lambda y: f(y, i), (x,), (t,))[1], X, v, index),
    )


@pytest.mark.parametrize("name", WRITES)
def test_writing(name: str) -> None:
    f, index = WRITES[name]
    v = X[:, :2].cos()
    close(vmap(f)(X, v, index), looped(f, X, v, index))

    def loss(x: Any, v: Any, i: Any) -> Any:
        return f(x, v, i).sin().sum()

    for found, want in zip(
        vmap(grad(loss, (0, 1)))(X, v, index), zip(*[grad(loss, (0, 1))(*a) for a in zip(X, v, index, strict=True)], strict=True),
        strict=True,
    ):  # fmt: skip
        close(found, torch.stack(want))
    t = X.sin()
    along = jvp(lambda x: vmap(f)(x, v, index), (X,), (t,))[1]
    close(along, looped(lambda x, v, i, t: jvp(lambda y: f(y, v, i), (x,), (t,))[1], X, v, index, t))


def test_nested() -> None:
    x, i = X[0], torch.tensor([[0, 1], [2, 1], [3, -1]])
    want = torch.stack([torch.stack([row[j] for j in js]) for row, js in zip(x, i, strict=True)])
    close(vmap(vmap(lambda row, j: row[j], in_dims=(None, 0)))(x, i), want)
    close(
        vmap(hessian(lambda x, i: (x[i] ** 3).sum()))(X[:, 0], TWO),
        looped(hessian(lambda x, i: (x[i] ** 3).sum()), X[:, 0], TWO),
    )


def test_a_table_gets_one_gradient() -> None:
    """Its gradient has its own size, not one copy of it for each sample."""
    table = X[0].clone().requires_grad_()
    vmap(lambda i: table[i].square().sum())(TWO).sum().backward()
    want = X[0].clone().requires_grad_()
    want[TWO].square().sum().backward()
    close(table.grad, want.grad)


def test_by_sample() -> None:
    rows = torch.tensor([[0.0, 1.0, 5.0], [1.0, 2.0, 3.0]])
    at = torch.tensor([[0.5, 4.0], [2.5, 9.0]])
    assert vmap(torch.searchsorted)(rows, at).tolist() == [[1, 2], [2, 3]]
    assert vmap(lambda x: torch.bucketize(x, rows[0]))(at).tolist() == [[1, 2], [2, 3]]
    assert vmap(vmap(lambda x: torch.isin(x, torch.tensor([4.0, 9.0]))))(at).tolist() == [[False, True], [False, True]]
    assert vmap(lambda x: torch.bincount(x, minlength=3))(torch.tensor([[0, 1], [2, 2]])).tolist() == [
        [1, 1, 0],
        [0, 0, 2],
    ]
    assert vmap(lambda x: torch.histogram(x, 2, range=(0.0, 10.0)).hist)(at).tolist() == [[2, 0], [1, 1]]
    with pytest.raises(
        RuntimeError, match=r"^stack expects each tensor to be equal size, but got \[2\] at entry 0 and \[4\]"
    ):
        vmap(torch.bincount)(torch.tensor([[0, 1], [2, 3]]))


def test_out_of_range(T: Any) -> None:
    with pytest.raises(IndexError, match=r"^index 3 is out of bounds for dimension \d with size 3$"):
        T.func.vmap(lambda x, i: x[i])(T.zeros(2, 3), T.tensor([0, 3]))
    with refused(IndexError, "tensors used as indices must be long, int, byte or bool tensors"):
        T.func.vmap(lambda x, i: x[i])(T.zeros(2, 3), T.zeros(2))
    with refused(IndexError, "too many indices for tensor of dimension 1"):
        T.func.vmap(lambda x, i: x[i, i])(T.zeros(2, 3), T.tensor([0, 1]))


@pytest.mark.parametrize(
    ("f", "sentence"),
    [
        (lambda T: lambda x: x[x > 0], "vmap: We do not support batching operators that can support dynamic shape. "
            "Attempting to batch over indexing with a boolean mask."),
        (lambda T: lambda x: x.masked_select(x > 0), "vmap: Attempted to vmap over `mask` in torch.masked_select(self, mask)"),
        (lambda T: lambda x: x.nonzero(), "vmap: We do not support batching operators that can output dynamic shape. "
            "Attempted to vmap over aten::nonzero."),
        (lambda T: T.unique, "vmap: We do not support batching operators that can output dynamic shape. Attempted to vmap "
            "over aten::_unique2."),
        (lambda T: T.unique_consecutive, "vmap: We do not support batching operators that can output dynamic shape. "
            "Attempted to vmap over aten::unique_consecutive."),
        (lambda T: lambda x: T.where(x > 0), "vmap: We do not support batching operators that can output dynamic shape. "
            "Attempted to vmap over aten::where."),
    ],
)  # fmt: skip
def test_shapes_that_would_differ(T: Any, f: Any, sentence: str) -> None:
    with refused(RuntimeError, sentence, whole=False):
        T.func.vmap(f(T))(T.tensor([[1.0, -1.0], [2.0, 3.0]]))


def test_one_hot(T: Any) -> None:
    found = T.func.vmap(lambda i: T.nn.functional.one_hot(i, 3))(T.tensor([0, 2]))
    assert found.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_compiled() -> None:
    f = torch.compile(lambda x, i: (x[i] * 2).sum())
    x = torch.arange(4.0, requires_grad=True)
    f(x, torch.tensor([1, 1, 3])).backward()
    assert x.grad.tolist() == [0, 4, 0, 2]
    assert f(x, torch.tensor([0])).item() == 0
    with pytest.raises(IndexError, match="index 9 is out of bounds for dimension 0 with size 4"):
        f(x, torch.tensor([9]))

"""Indices that name no entry are refused in PyTorch's words: at once, inside transforms and by compiled programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import chainrule as torch
from compiling import compile

__all__ = ["compile"]

OUT = "index {i} is out of bounds for dimension {at} with size {n}"
IN_SELF = "index out of range in self"
TARGET = "Target {i} is out of bounds."
TAKEN = "out of range: tried to access index {i} on a tensor of {n} elements."

# What reads or writes at an index of this shape, which must be below n in dimension ``at``; and how it is refused.
CASES: dict[str, tuple[Callable[[Any, Any], Any], tuple[int, ...], int, int, type[Exception], str]] = {
    "gather": (lambda T, i: T.gather(T.arange(5.0), 0, i), (3,), 5, 0, RuntimeError, OUT),
    "gather of a matrix": (lambda T, i: T.gather(T.ones(2, 4), 1, i), (2, 2), 4, 1, RuntimeError, OUT),
    "take_along_dim": (lambda T, i: T.take_along_dim(T.ones(2, 4), i), (3,), 8, 0, RuntimeError, OUT),
    "gradient of gather": (
        lambda T, i: T.func.grad(lambda x: (T.gather(x, 0, i) ** 2).sum())(T.arange(5.0)), (3,), 5, 0, RuntimeError, OUT),
    "gather for each": (
        lambda T, i: T.func.vmap(lambda x, j: T.gather(x, 0, j))(T.ones(2, 4), i), (2, 2), 4, 1, RuntimeError, OUT),
    "index_select": (lambda T, i: T.index_select(T.ones(4, 3), 0, i), (2,), 4, 0, IndexError, IN_SELF),
    "index_select of columns": (
        lambda T, i: T.index_select(T.ones(3, 4), 1, i), (2,), 4, 1, RuntimeError,
        "INDICES element is out of DATA bounds, id={i} axis_dim={n}"),
    "scatter": (lambda T, i: T.scatter(T.ones(4, 3), 0, i, T.ones(2, 3)), (2, 3), 4, 0, RuntimeError, OUT),
    "scatter a number": (lambda T, i: T.scatter(T.ones(3, 4), 1, i, 2.0), (3, 2), 4, 1, RuntimeError, OUT),
    "scatter_add": (lambda T, i: T.scatter_add(T.ones(5), 0, i, T.ones(3)), (3,), 5, 0, RuntimeError, OUT),
    "scatter_reduce": (lambda T, i: T.scatter_reduce(T.ones(5), 0, i, T.ones(3), "prod"), (3,), 5, 0, RuntimeError, OUT),
    "scatter_": (lambda T, i: (T.ones(4, 3) * i.sum()).scatter_(0, i, T.ones(2, 3)), (2, 3), 4, 0, RuntimeError, OUT),
    "index_add": (lambda T, i: T.index_add(T.ones(4, 3), 0, i, T.ones(2, 3)), (2,), 4, 0, RuntimeError, OUT),
    "index_select, third": (lambda T, i: T.index_select(T.ones(2, 3, 4), 2, i), (2,), 4, 2, IndexError, IN_SELF),
    "index_add, first": (lambda T, i: T.ones(4, 3, 2).index_add(0, i, T.ones(2, 3, 2)), (2,), 4, 0, RuntimeError, OUT),
    "index_add, last": (lambda T, i: T.ones(2, 3, 4).index_add(-1, i, T.ones(2, 3, 2)), (2,), 4, 2, RuntimeError, OUT),
    "index_add, between": (lambda T, i: T.ones(2, 4, 3).index_add(1, i, T.ones(2, 2, 3)), (2,), 4, 1, IndexError, IN_SELF),
    "index_add of a vector": (lambda T, i: T.index_add(T.ones(4), 0, i, T.ones(2)), (2,), 4, 0, IndexError, IN_SELF),
    "index_copy": (
        lambda T, i: T.index_copy(T.ones(4, 3), 0, i, T.ones(2, 3)), (2,), 4, 0, IndexError, f"index_copy_(): {OUT}"),
    "index_reduce": (
        lambda T, i: T.index_reduce(T.ones(4, 3), 0, i, T.ones(2, 3), "amax"), (2,), 4, 0, IndexError, IN_SELF),
    "embedding": (lambda T, i: T.nn.functional.embedding(i, T.ones(4, 3)), (2,), 4, 0, IndexError, IN_SELF),
    "nll_loss": (lambda T, i: T.nn.functional.nll_loss(T.ones(2, 3), i), (2,), 3, 0, IndexError, TARGET),
    "cross_entropy": (
        lambda T, i: T.nn.functional.cross_entropy(T.ones(2, 3), i, weight=T.ones(3)), (2,), 3, 0, IndexError, TARGET),
    "multi_margin_loss": (
        lambda T, i: T.nn.functional.multi_margin_loss(T.ones(2, 3), i), (2,), 3, 0, RuntimeError, "target out of range"),
}  # fmt: skip
FROM_THE_END: dict[str, tuple[Callable[[Any, Any], Any], int, str]] = {
    "x[i]": (lambda T, i: T.arange(4.0)[i], 4, OUT),
    "index_fill": (lambda T, i: T.index_fill(T.arange(4.0), 0, i, 7.0), 4, OUT),
    "take": (lambda T, i: T.take(T.ones(2, 3), i), 6, TAKEN),
    "put": (lambda T, i: T.ones(2, 3).put(i, T.ones(2)), 6, TAKEN),
}


def index(T: Any, shape: tuple[int, ...], i: int) -> Any:
    """An index of ones with one entry ``i``."""
    found = T.ones(shape, dtype=T.int64)
    found[(-1,) * len(shape)] = i
    return found


def check(T: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    """That bad indices are refused, and after that good ones answered as before."""
    f, shape, n, at, error, words = CASES[name]
    g = wrap(lambda i: f(T, i))
    good = f(T, index(T, shape, 0))
    assert T.equal(g(index(T, shape, 0)), good)
    for i in (-1, n, -n - 1, n + 7):
        with pytest.raises(error) as found:
            g(index(T, shape, i))
        assert str(found.value).partition("\n")[0] == words.format(i=i, at=at, n=n)
    assert T.equal(g(index(T, shape, 0)), good)


@pytest.mark.parametrize("name", CASES)
def test_refused(name: str) -> None:
    check(torch, name, lambda f: f)


@pytest.mark.parametrize("name", CASES)
def test_refused_by_what_is_compiled(compile: Any, request: pytest.FixtureRequest, name: str) -> None:
    if name in ("embedding", "scatter_reduce", "index_reduce") and "jax" in request.node.callspec.id:
        pytest.skip("JAX has no such operation")
    check(torch, name, lambda f: compile(f))


@pytest.mark.parametrize("name", FROM_THE_END)
def test_counted_from_the_end(compile: Any, name: str) -> None:
    f, n, words = FROM_THE_END[name]
    g = compile(lambda i: f(torch, i))
    for h in (g, lambda i: f(torch, i)):
        for i in (n - 1, -1, -n):
            assert torch.equal(h(index(torch, (2,), i)), f(torch, index(torch, (2,), i % n)))
        for i in (n, -n - 1):
            with pytest.raises(IndexError) as found:
                h(index(torch, (2,), i))
            assert str(found.value).partition("\n")[0] == words.format(i=i, at=0, n=n)
    assert len(g.entries) == 1


def test_targets_that_are_ignored(compile: Any) -> None:
    x = torch.arange(6.0).reshape(2, 3)
    g = compile(lambda t: torch.nn.functional.nll_loss(x, t, ignore_index=-7))
    for target in ([0, -7], [1, 2]):
        t = torch.tensor(target)
        assert torch.equal(g(t), torch.nn.functional.nll_loss(x, t, ignore_index=-7))
    with pytest.raises(IndexError, match=r"Target -8 is out of bounds\."):
        g(torch.tensor([0, -8]))


@pytest.mark.parametrize(
    "read_or_write",
    [
        lambda x, i: torch.take(x, i),
        lambda x, i: torch.index_select(x, 0, i),
        lambda x, i: torch.zeros(3).scatter(0, i, x),
        lambda x, i: torch.zeros(3).scatter_add(0, i, x),
        lambda x, i: torch.zeros(3).scatter_reduce(0, i, x, "amax", include_self=False),
        lambda x, i: torch.zeros(3).index_add(0, i, x),
        lambda x, i: torch.zeros(3).index_copy(0, i, x),
        lambda x, i: torch.zeros(3).put(i, x),
        lambda x, i: torch.nn.functional.embedding_bag(i[:, None], x[:, None], mode="sum").reshape(3),
    ],
)
def test_a_gradient_goes_by_the_index_as_it_was(read_or_write: Any) -> None:
    """PyTorch refuses, where the index was written to before backward; here its numbers were kept."""
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    i = torch.tensor([2, 1, 0])
    y = read_or_write(x, i)
    i.fill_(0)
    y.backward(torch.tensor([1.0, 10.0, 100.0]))
    assert x.grad.tolist() == [100.0, 10.0, 1.0]

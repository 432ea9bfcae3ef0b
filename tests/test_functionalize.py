"""Functions without their writes; the view into a transform; dimensions by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule
from both import T, refused

__all__ = ["T"]


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-6)


def writes(a: Any) -> Any:
    b = a + 1
    c = b.view(-1)
    c.add_(1)
    c[0] = 7
    b[1] *= 2
    return b, c


@pytest.mark.parametrize("remove", ["mutations", "mutations_and_views"])
def test_the_same_results(T: Any, remove: str) -> None:
    x = T.arange(4.0).reshape(2, 2)
    for found, want in zip(T.func.functionalize(writes, remove=remove)(x), writes(x.clone()), strict=True):
        close(found, want)
    close(x, T.arange(4.0).reshape(2, 2))


def test_arguments_that_are_written_to(T: Any) -> None:
    def f(a: Any, more: Any) -> Any:
        a.view(-1).add_(1)
        more["z"].mul_(2)
        return a

    x, z = T.arange(4.0).reshape(2, 2), T.ones(2)
    y = T.func.functionalize(f)(x, more={"z": z})
    close(y, T.arange(1.0, 5.0).reshape(2, 2))
    close(x, y)
    close(z, T.full((2,), 2.0))
    assert y is not x


def test_no_memory_is_written_to() -> None:
    """While it runs: what an array underneath refuses to do is not asked of it."""
    x = chainrule.tensor(np.arange(4.0))
    x._a.flags.writeable = False

    def f(a: Any) -> Any:
        b = a[1:]
        b.mul_(2)
        return a.sum()

    with pytest.raises(ValueError, match="read-only"):
        f(x)
    with pytest.raises(ValueError, match="read-only"):  # but the argument gets its value at the end
        chainrule.func.functionalize(f)(x)
    assert chainrule.func.functionalize(lambda a: f(a + 0))(x).item() == 12


def test_nothing_shares_memory() -> None:
    x = chainrule.arange(4.0)
    assert chainrule.func.functionalize(lambda a: a[1:])(x)._a.base is not None
    assert chainrule.func.functionalize(lambda a: a[1:], remove="mutations_and_views")(x)._a.base is None


def test_under_other_transforms() -> None:
    func, x = chainrule.func, chainrule.arange(4.0).reshape(2, 2)

    def loss(a: Any) -> Any:
        return writes(a)[0].square().sum()

    want = func.grad(loss)(x)
    close(func.grad(func.functionalize(loss))(x), want)
    close(func.functionalize(func.grad(loss))(x), want)
    close(func.jacfwd(func.functionalize(loss))(x), want)
    close(func.vmap(func.functionalize(loss))(x.expand(3, 2, 2)), loss(x).expand(3))
    leaf = x.clone().requires_grad_()
    func.functionalize(loss)(leaf).backward()
    close(leaf.grad, want)


def test_what_to_remove(T: Any) -> None:
    with refused(
        RuntimeError, "functionalize(f, remove='mutations'): received invalid argument for remove=all.", False
    ):
        T.func.functionalize(writes, remove="all")


def test_a_look_inside(T: Any) -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        seen.append(T.func.debug_unwrap(x).tolist())
        return x.sum()

    T.func.vmap(f)(T.arange(3.0))
    T.func.vmap(T.func.grad(f))(T.arange(2.0).reshape(2, 1))
    assert seen == [[0, 1, 2], [[0], [1]]]
    x = T.ones(1)
    assert T.func.debug_unwrap(x) is x


@pytest.mark.parametrize(
    ("pattern", "lengths"),
    [
        ("a b c -> c b a", {}), ("a b c -> (a b) c", {}), ("a b (c d) -> d a (b c)", {"d": 2}), ("a ... -> ... a", {}),
        ("... c -> (...) c", {}), ("a b c -> a 1 b c", {}), ("a b c -> () a b c ()", {}), ("a b ... c -> c ... b a", {}),
        ("a(b d)c->a b d c", {"b": 3}), ("a b (c 1) -> a b c", {}), ("a b c -> (b a) c", {"a": 2}),
    ],
)  # fmt: skip
def test_rearrange(pattern: str, lengths: dict[str, int]) -> None:
    torch = pytest.importorskip("torch")
    x = np.arange(24.0).reshape(2, 3, 4)
    want = torch.func.rearrange(torch.tensor(x), pattern, **lengths)
    assert chainrule.func.rearrange(chainrule.tensor(x), pattern, **lengths).tolist() == want.tolist()


def test_rearranged_is_differentiated(T: Any) -> None:
    x = T.arange(6.0).reshape(2, 3).requires_grad_()
    y = T.func.rearrange([x, 2 * x], "n a b -> b (a n)")
    assert y.tolist() == [[0, 0, 3, 6], [1, 2, 4, 8], [2, 4, 5, 10]]
    y[0].sum().backward()
    assert x.grad.tolist() == [[3, 0, 0], [3, 0, 0]]


@pytest.mark.parametrize(
    ("pattern", "error"),
    [
        ("a b c", "Pattern must contain a single '->' separator"),
        ("a b b -> a b", "Indexing expression contains duplicate dimension 'b'"),
        ("a (b (c)) -> a b c", "Axis composition is one-level (brackets inside brackets not allowed)"),
        ("a b) c -> a b c", "Brackets are not balanced"),
        ("(a b c -> a b c", "Imbalanced parentheses in expression: '(a b c "),
        ("a (...) -> a", "Ellipsis is parenthesis in the left side is not allowed: a (...) -> a"),
        ("a b c -> ...", "Ellipsis found in right side, but not left side of a pattern a b c -> ..."),
        ("a .. -> a", "Expression may contain dots only inside ellipsis (...)"),
        ("a _b c -> a _b c", "Invalid axis identifier: _b"),
        ("a b$ c -> a b$ c", "Unknown character '$'"),
        ("a b 2 -> a b 2", "rearrange only supports unnamed axes of size 1"),
        ("a b c -> a b", "Identifiers only on one side of rearrange expression (should be on both): {'c'}"),
        (
            "a b -> a b",
            "Number of dimensions in pattern (2) must be equal to the number of dimensions in the tensor (3)",
        ),
    ],
)
def test_patterns_that_are_none(T: Any, pattern: str, error: str) -> None:
    with refused(ValueError, error, whole=False):
        T.func.rearrange(T.zeros(2, 3, 4), pattern)


def test_lengths_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^a dimension of length 4 cannot be split as \(c d\) with c unknown, d=3"):
        chainrule.func.rearrange(chainrule.zeros(2, 3, 4), "a b (c d) -> a b c d", d=3)
    with pytest.raises(ValueError, match=r"^Identifiers not found in rearrange expression: \{'z'\}$"):
        chainrule.func.rearrange(chainrule.zeros(2), "a -> a", z=3)

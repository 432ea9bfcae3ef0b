"""Views and writing in place where it is allowed: values, gradients, versions, histories.

What is refused is in test_inplace.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule
from both import T, Table, inner, leaf
from chainrule import views

__all__ = ["T"]
works = Table()


@works([2.0, 2.0, 2.0])
def backward_twice_where_nothing_is_saved(T: Any) -> Any:
    a = leaf(T)
    y = (a + 1).sum()
    y.backward()
    y.backward()
    return a.grad


@works([2.0, 2.0, 2.0])
def backward_twice_through_a_scaled_sum(T: Any) -> Any:
    a, b = inner(T)
    b.add_(a.detach(), alpha=2)
    y = b.sum()
    y.backward(retain_graph=True)
    y.backward()
    return a.grad


@works([2.0, 1.0, 0.0])
def reversed_from_a_copy(T: Any) -> Any:
    x = T.tensor([0.0, 1.0, 2.0])
    x[T.tensor([2, 1, 0])] = x.clone()
    return x


@works([[0.0, 0.0]], 0.0)
def expanded_and_zeroed(T: Any) -> Any:
    x = T.ones(1)
    return x.expand(1, 2).zero_(), x.sum()


@works([[5.0, 5.0, 5.0]], [[0.0, 0.0, 0.0]], 6.0)
def part_of_an_expanded_view(T: Any) -> Any:
    a, b = inner(T, 1, 3)
    w = T.tensor(5.0, requires_grad=True)
    v = b.expand(2, 1, 3)
    v[1] = w
    (b.sum() + v[0].sum()).backward()
    return b, a.grad, w.grad


@works([2.0, 2.0, 2.0])
def data_written_unseen(T: Any) -> Any:
    a, b = inner(T, value=5.0)
    c = b * b
    b.data.fill_(1.0)
    c.sum().backward()
    return a.grad


@works([10.0, 10.0, 10.0])
def numpy_written_unseen(T: Any) -> Any:
    a, b = inner(T)
    c = b * b
    b.detach().numpy()[:] = 5
    c.sum().backward()
    return a.grad


@works([2.0, 1.0, 1.0], 1.0, [2.0, 1.0, 1.0])
def view_written_seen_by_the_base(T: Any) -> Any:
    a, b = inner(T)
    w = T.tensor(2.0, requires_grad=True)
    b[0].mul_(w)
    b.sum().backward()
    return a.grad, w.grad, b


@works([4.0, 4.0, 4.0])
def added_to_itself(T: Any) -> Any:
    a = leaf(T)
    y = a * 2
    y += y
    y.sum().backward()
    return a.grad


@works([1.0, 1.0, 1.0])
def written_where_not_saved(T: Any) -> Any:
    a, b = inner(T)
    c = b + 1
    b.add_(1)
    c.sum().backward()
    return a.grad


@works([0.0, 0.0, 1.0], [2.0, 3.0, 1.0], [0.0, 1.0, 1.0])
def repeated_index(T: Any) -> Any:
    a, b = inner(T)
    w = T.tensor([1.0, 2.0, 3.0], requires_grad=True)
    b[[0, 0, 1]] = w
    b.sum().backward()
    grad = w.grad.clone()
    grad[0] = 0.0  # of two writes to one place the last stays; PyTorch gives the first a gradient all the same
    return a.grad, b, grad


@works([0.0, 18.0, 18.0], 12.0, [3.0, 3.0])
def view_of_a_written_base(T: Any) -> Any:
    a, b = inner(T)
    w = T.tensor(3.0, requires_grad=True)
    v = b[1:]
    b.mul_(w)
    (v * v).sum().backward()
    return a.grad, w.grad, v


@works([4.0, 0.0, 0.0], [[2.0, 2.0, 2.0]] * 2)
def expanded_view_of_a_written_base(T: Any) -> Any:
    a, b = inner(T)
    v = b.expand(2, 3)
    b.mul_(2)
    v[:, 0].sum().backward()
    return a.grad, v


@works([[0.0, 0.0, 0.0], [8.0, 0.0, 8.0]], [22.0, 0.0, 18.0])
def parts_assigned(T: Any) -> Any:
    a, w = leaf(T, 2, 3), leaf(T)
    b = a * 2
    b[0] = w * 3
    b[:, 1] = w[0]
    (b * b).sum().backward()
    return a.grad, w.grad


@works([2.0], [2.0, 0.0, 0.0], True, False)
def constant_written_through_a_view(T: Any) -> Any:
    b, w = T.zeros(3), leaf(T, 1)
    v = b[0:1]
    v.copy_(w * 2)
    b.sum().backward()
    return w.grad, b, b.requires_grad, v.is_leaf


@works([[18.0, 2.0, 2.0]] * 2, [[3.0, 1.0, 1.0]] * 2)
def view_of_a_view(T: Any) -> Any:
    a, b = inner(T, 2, 3)
    b.t()[0].mul_(3)
    (b * b).sum().backward()
    return a.grad, b


@works([[1.0, 1.0, 16.0], [16.0, 1.0, 1.0]], [4.0, 4.0])
def written_through_two_views(T: Any) -> Any:
    a, b = inner(T, 2, 3, value=2.0)
    v = b.view(6)
    u = v[2:4]
    u.pow_(2)
    (v.sum() + (u * u).sum() / 4 + u.sum()).backward()
    return a.grad, u


@works(5.0, [0.0, 4.0, 2.0])
def numbers_put_together(T: Any) -> Any:
    x, w = T.zeros(3), T.tensor(2.0, requires_grad=True)
    x[1] = w * w
    x[2] = w
    x.sum().backward()
    return w.grad, x


@works([0.0, 0.0, 0.0], True)
def zeroed(T: Any) -> Any:
    a, b = inner(T)
    b.zero_()
    b.sum().backward()
    return a.grad, b.requires_grad


@works([0.0, 1.0], [3.0, -1.0])
def masked(T: Any) -> Any:
    a = T.tensor([1.0, -1.0], requires_grad=True)
    b = a * 1
    b[b > 0] = 3.0
    b.sum().backward()
    return a.grad, b


@works([0.8, 0.8, 0.8], 1, True)
def parameter_updated(T: Any) -> Any:
    a = leaf(T)
    (a * a).sum().backward()
    with T.no_grad():
        a -= 0.1 * a.grad
    return a, a._version, a.is_leaf


@works([1.0, 1.0], "torch.float32", "torch.float64")
def copied_between_dtypes(T: Any) -> Any:
    x = leaf(T, 2)
    b = T.zeros(2, dtype=T.float64)
    b.copy_(x)
    b.sum().backward()
    return x.grad, str(x.grad.dtype), str(b.dtype)


@works(2, 2, 2, 0, 2)
def versions(T: Any) -> Any:
    a = T.ones(3)
    v = a[0]
    v.add_(1)
    a.mul_(2)
    return a._version, v._version, a.detach()._version, a.data._version, a.expand(3)._version


@works(6.0, 6.0, [6.0])
def numbers_share_memory(T: Any) -> Any:
    x = T.tensor(2.0)
    y, v = x.detach(), x.view(1)
    y.add_(1)
    v.mul_(2)
    return x, y, v


@works(None, [3.0, 3.0, 3.0])
def retained_gradient_is_of_the_new_value(T: Any) -> Any:
    a = leaf(T)
    b = a * 2
    b.retain_grad()
    c = b + 0
    b.mul_(3)
    c.sum().backward(retain_graph=True)
    old = b.grad
    (3 * b).sum().backward()
    return old, b.grad


@works(True, True, None, None, [0.0, 0.0, 0.0])
def view_without_grad_has_no_history(T: Any) -> Any:
    a = leaf(T)
    with T.no_grad():
        v, w = a.view(3, 1), a[0]
    (v * w).sum().backward()
    y = v.sum() + (a * 0).sum()
    y.backward()
    return v.requires_grad, v.is_leaf, v.grad_fn, v.grad, a.grad


@works(False, True, False, True)
def flag_is_passed_to_views(T: Any) -> Any:
    b = T.zeros(3)
    v = b[0]
    before = v.requires_grad
    b.requires_grad_()
    during = v.requires_grad
    b.requires_grad_(False)
    return before, during, v.requires_grad, v.is_leaf


@works(True, "AsStridedBackward0", None, [2.0, 2.0], [2.5, 2.5, 2.5], False)
def view_of_a_base_detached_after_a_write(T: Any) -> Any:
    _, b = inner(T)
    v, w = b[:2], b[1:]
    v.fill_(1.5)
    b.detach_()
    (g,) = T.autograd.grad((w * 2).sum(), w)
    x = leaf(T)
    (w.sum() * x).sum().backward()
    return w.requires_grad, w.grad_fn.name(), w.grad_fn.next_functions[0][0], g, x.grad, b.requires_grad


@works(None, [2.0])
def view_of_a_base_detached_before_a_write(T: Any) -> Any:
    a, b = inner(T, 1)
    v = b.view(1)
    b.detach_()
    b.mul_(2)
    v.sum().backward()
    return a.grad, v


@works(False, True, True)
def views_of_a_detached_base_without_a_history(T: Any) -> Any:
    b = T.ones(3)
    v = b[:2]
    b.mul_(leaf(T))
    b.detach_()
    before = v.requires_grad
    b.requires_grad_()
    return before, v.requires_grad, v.grad_fn is not None


@works(True, [1.0, 1.0, 1.0], None)
def view_without_a_history_becomes_a_leaf(T: Any) -> Any:
    a = leaf(T)
    with T.no_grad():
        v, w = a.view(3), a.view(3)
    v.requires_grad_()
    v.sum().backward()
    a.detach().mul_(2)
    return w.requires_grad_(False).requires_grad, v.grad, a.grad


@works(None)
def product_of_a_view_without_a_history_that_is_written_over(T: Any) -> Any:
    a, b = inner(T)
    with T.no_grad():
        v = b.view(3)
    y = v * v
    b.neg_()
    y.sum().backward()
    return a.grad


@works([2.0, 2.0, 2.0])
def out_without_grad(T: Any) -> Any:
    a = leaf(T)
    with T.no_grad():
        T.mul(a, 2.0, out=a)
    return a


@pytest.mark.parametrize("name", works)
def test_works(T: Any, name: str) -> None:
    works.gives(name, T)


def test_names_of_histories(T: Any) -> None:
    def name(write: Callable[[Any], Any]) -> str:
        y = T.ones(2, 3, requires_grad=True) * 1
        found = write(y)
        return str((y if found is None else found).grad_fn.name())

    def put(key: Any, value: Any) -> Callable[[Any], Any]:
        return lambda y: y.__setitem__(key, value)

    one, w = T.tensor(1.0), T.ones(3, requires_grad=True)
    assert [name(lambda y: y.fill_(2.0)), name(lambda y: y.fill_(one)), name(lambda y: y.zero_())] == [
        "FillBackward2", "FillBackward3", "ZeroBackward0"]  # fmt: skip
    assert name(put(..., 2.0)) == name(put(slice(None), 2.0)) == name(put(slice(0, 5), one)) == "FillBackward3"
    assert name(put(..., w)) == "torch::autograd::CopyBackwards"
    assert name(put(0, w)) == name(put((0, slice(0, 2)), 1.0)) == "torch::autograd::CopySlices"
    assert name(put([0, 1], 1.0)) == "IndexPutBackward0"
    keys: list[Any] = [slice(None), slice(0, 2), (slice(None), slice(0, 3)), (0, slice(None)), (0, slice(0, 2)), None,
                       (0, None), ..., (..., slice(0, 3)), [0, 1], 1]  # fmt: skip
    assert [name(lambda y, key=key: y[key]).removesuffix("Backward0") for key in keys] == [
        "Slice", "Slice", "Alias", "Select", "Slice", "Unsqueeze", "Unsqueeze", "Alias", "Alias", "Index", "Select",
    ]  # fmt: skip
    assert name(lambda y: y.t().reshape(6)) == "UnsafeViewBackward0"
    assert name(lambda y: y[:, 0].reshape(2, 1)) == "ReshapeAliasBackward0"
    assert name(lambda y: y.unbind()[0]) == "UnbindBackward0"


def test_a_view_that_cannot_be_used_can_be_printed(T: Any) -> None:
    _, b = inner(T)
    with T.no_grad():
        v = b[0]
    b.add_(1)
    assert repr(v) == "tensor(2., grad_fn=<Invalid>)"
    assert float(v.detach()) == 2.0


def test_cotangents_of_views_without_history_do_not_meet(T: Any) -> None:
    a = T.ones(2, 3, requires_grad=True)
    with T.no_grad():
        u, v = a.unsqueeze(2), a.view(2, 3)
    ((u * u)[..., 0] + v * 2).sum().backward()
    assert a.grad is None


def test_a_write_does_not_visit_the_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand rows written one by one: each write may not rebuild the history of all the others."""
    rebuilt = 0
    follow = views.follow_base

    def counted(view: Any) -> None:
        nonlocal rebuilt
        rebuilt += 1
        follow(view)

    monkeypatch.setattr(views, "follow_base", counted)
    a = chainrule.ones(1000, 2, requires_grad=True)
    b = a * 1
    rows = [b[i] for i in range(1000)]
    for row in rows:
        row.mul_(2)
    b.sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), np.full((1000, 2), 2.0))
    assert rebuilt <= 1000
    assert len(b._v) == 2  # the version, and the one base that has views

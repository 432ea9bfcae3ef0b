"""Dual tensors and memory: views of them, writes to them, and which tangents a write reaches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, Table
from chainrule.autograd import forward_ad as fwAD
from duals import D, both, dual, vec

__all__ = ["T"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's about its own parts
gives = Table()


@gives([3.0, 6.0], [9.0, 12.0], [3.0, 6.0], None)
def written_by_a_constant(T: Any) -> Any:
    x = vec(T, 1.0, 2.0)
    d = dual(T, x)
    d.mul_(3)
    return both(T, d, x)


@gives([3.0, 8.0], [3.0, 8.0])
def a_constant_written_by_a_dual(T: Any) -> Any:
    x = vec(T, 1.0, 2.0)
    x.mul_(dual(T, (3.0, 4.0), (3.0, 4.0)))
    return both(T, x)


@gives([3.0, 2.0], [9.0, 4.0], 3.0, 9.0)
def written_through_a_view(T: Any) -> Any:
    d = dual(T)
    v = d[0]
    v.mul_(3)
    return both(T, d, v)


@gives(3.0, 9.0)
def a_view_sees_a_write_to_its_base(T: Any) -> Any:
    d = dual(T)
    v = d[0]
    d.mul_(3)
    return both(T, v)


@gives([3.0, 8.0, 3.0], [1.0, 2.0, 0.0], [3.0, 8.0], [1.0, 2.0], [8.0, 3.0], [2.0, 0.0], [16.0, 6.0], [4.0, 0.0])
def views_of_a_constant_come_to_carry_one(T: Any) -> Any:
    x = vec(T, 1.0, 2.0, 3.0)
    v, w = x[:2], x[1:]
    v.mul_(dual(T, (3.0, 4.0), (1.0, 1.0)))
    return both(T, x, v, w, w * 2)


@gives([1.0, 3.0, 3.0], [0.0, 7.0, 0.0], [3.0, 3.0], [7.0, 0.0])
def set_by_index(T: Any) -> Any:
    x = vec(T, 1.0, 2.0, 3.0)
    v = x[1:]
    x[1] = dual(T, T.tensor(3.0, dtype=T.float64), T.tensor(7.0, dtype=T.float64))
    return both(T, x, v)


@gives([5.0, 2.0, 6.0], [7.0, 0.0, 8.0])
def set_by_an_index_array(T: Any) -> Any:
    x = vec(T, 1.0, 2.0, 3.0)
    x[[0, 2]] = dual(T, (5.0, 6.0), (7.0, 8.0))
    return both(T, x)


@gives([5.0, 5.0, 5.0], [0.0, 0.0, 0.0])
def set_by_a_mask_to_a_number(T: Any) -> Any:
    x = dual(T, (1.0, 2.0, 3.0), (1.0, 1.0, 1.0))
    x[x > 0] = 5.0
    return both(T, x)


@gives([5.0, 6.0], [0.0, 0.0])
def copied_over_with_a_constant(T: Any) -> Any:
    d = dual(T)
    d.copy_(vec(T, 5.0, 6.0))
    return both(T, d)


@gives([0.0, 0.0], [0.0, 0.0])
def filled(T: Any) -> Any:
    d = dual(T)
    d.zero_()
    return both(T, d)


@gives([[2.0, 2.0], [1.0, 1.0]], [[6.0, 8.0], [3.0, 4.0]])
def written_through_views_of_views(T: Any) -> Any:
    d = T.stack([dual(T, (1.0, 1.0)), dual(T, (1.0, 1.0))])
    d.t()[:, 0].view(-1)[:].mul_(2)
    return both(T, d)


@gives([3.0, 6.0], [3.0, 4.0])
def a_write_to_the_original_is_none_to_the_tangent(T: Any) -> Any:
    x = vec(T, 1.0, 2.0)
    d = dual(T, x)
    x.mul_(3)
    return both(T, d)


@gives([1.0, 4.0], [3.0, 4.0], [1.0, 4.0], [1.0, 2.0])
def the_unpacked_value_has_tangents_of_its_own(T: Any) -> Any:
    d = dual(T)
    p = D(T).unpack_dual(d).primal
    p.mul_(dual(T, (1.0, 2.0), (1.0, 1.0)))
    return both(T, d, p)


@gives([3.0, 4.0], [15.0, 20.0])
def changing_an_unpacked_tangent_changes_that_one(T: Any) -> Any:
    d = dual(T)
    y = d + 1
    D(T).unpack_dual(y).tangent.mul_(5)
    return D(T).unpack_dual(d).tangent, D(T).unpack_dual(y).tangent


def _gradients_of_a_tangent(T: Any, view: bool) -> Any:
    a = vec(T, 0.5, -1.0, requires_grad=True)
    b = dual(T, a, (1.0, -2.0)) * a
    (b.view(2) if view else b).exp_()
    return T.autograd.grad(D(T).unpack_dual(b).tangent.sum(), [a, b], allow_unused=True)


@gives([1.5 * math.exp(0.25), -6.0 * math.e], [0.5, 2.0])
def gradient_of_a_tangent_that_is_made_of_the_written_value(T: Any) -> Any:
    return _gradients_of_a_tangent(T, False)


@gives([1.5 * math.exp(0.25), -6.0 * math.e])
def gradient_of_a_tangent_that_is_made_of_a_value_written_through_a_view(T: Any) -> Any:
    return _gradients_of_a_tangent(T, True)[0]


@gives([2.0, 4.0], None)
def detached_in_place(T: Any) -> Any:
    return both(T, (dual(T) * 2).detach_())


@gives([0.0, 0.0])
def made_random(T: Any) -> Any:
    d = dual(T)
    d.uniform_(generator=T.Generator())
    return D(T).unpack_dual(d).tangent


@gives([2.0, 4.0], [6.0, 8.0])
def written_under_no_grad_to_a_parameter(T: Any) -> Any:
    w = T.nn.Parameter(vec(T, 1.0, 1.0))
    with T.no_grad():
        w.mul_(dual(T, (2.0, 4.0), (6.0, 8.0)))
    assert isinstance(w, T.nn.Parameter)
    return both(T, w)


@pytest.mark.parametrize("name", gives)
def test_gives(name: str, T: Any) -> None:
    with D(T).dual_level():
        gives.gives(name, T)


# --- only here ------------------------------------------------------------------------------------------------


def test_a_product_over_its_own_factor_is_right() -> None:
    """PyTorch's rule reads the factor when it has been overwritten, and gives 3, 4 · (2 + 4) / 2."""
    with fwAD.dual_level():
        d = dual(torch)
        d.mul_(d)
        np.testing.assert_allclose(fwAD.unpack_dual(d).tangent.numpy(), [6.0, 16.0])


def test_a_write_leaves_the_given_tangent_alone() -> None:
    t = vec(torch, 3.0, 4.0)
    with fwAD.dual_level():
        d = dual(torch, t=t)
        d.mul_(2)
        assert fwAD.unpack_dual(d).tangent.tolist() == [6.0, 8.0]
    assert t.tolist() == [3.0, 4.0]


def test_set_where_entries_share_a_place() -> None:
    with fwAD.dual_level():
        x = vec(torch, 2.0)
        x.expand(2, 3)[torch.tensor([1, 0])] = fwAD.make_dual(
            vec(torch, -1.0, 0.0)[:, None], vec(torch, -2.0, 1.0)[:, None]
        )
        assert [part.item() for part in fwAD.unpack_dual(x)] == [0.0, 1.0]  # the last that is written


def test_many_views_and_writes() -> None:
    """A write costs the same however many views came before it, and each sees the tangent."""
    with fwAD.dual_level():
        d = dual(torch, (1.0, 2.0), (1.0, 1.0))
        views = [d[i % 2] for i in range(200)]
        for _ in range(3):
            views[0].mul_(2)
        assert {fwAD.unpack_dual(v).tangent.item() for v in views[::2]} == {8.0}
        assert {fwAD.unpack_dual(v).tangent.item() for v in views[1::2]} == {1.0}


def test_a_view_left_behind_by_a_write_sees_a_later_tangent() -> None:
    x = torch.ones(3, requires_grad=True) * 1
    v = x[:2]
    x.mul_(2)  # v's history is now of the past, and it is not looked at before the next write
    with fwAD.dual_level():
        x.mul_(fwAD.make_dual(torch.full((3,), 5.0), torch.tensor([1.0, 2.0, 3.0])))
        assert fwAD.unpack_dual(v * 1).tangent.tolist() == [2.0, 4.0]
        assert v.grad_fn is not None
    assert (v * 1).tolist() == [10.0, 10.0]

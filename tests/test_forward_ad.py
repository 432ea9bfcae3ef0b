"""Dual tensors by hand: what carries a tangent, through which operations, views, writes and sweeps."""

from __future__ import annotations

import copy
import gc
import importlib
import math
import pickle
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, Table
from chainrule import func
from chainrule.autograd import forward_ad as fwAD

__all__ = ["T"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's about its own parts
gives, fails = Table(), Table()


def D(T: Any) -> Any:
    return importlib.import_module(f"{T.__name__}.autograd.forward_ad")


def vec(T: Any, *values: float, **options: Any) -> Any:
    return T.tensor(values, dtype=T.float64, **options)


def dual(T: Any, x: Any = (1.0, 2.0), t: Any = (3.0, 4.0)) -> Any:
    return D(T).make_dual(vec(T, *x) if isinstance(x, tuple) else x, vec(T, *t) if isinstance(t, tuple) else t)


def both(T: Any, *xs: Any) -> tuple[Any, ...]:
    """The values and the tangents, in turn."""
    return tuple(part for x in xs for part in D(T).unpack_dual(x))


# --- operations ----------------------------------------------------------------------------------------


@gives([1.0, 4.0], [6.0, 16.0])
def product(T: Any) -> Any:
    d = dual(T)
    return both(T, d * d)


@gives([2.0, 3.0], [3.0, 4.0])
def with_a_constant_on_either_side(T: Any) -> Any:
    return both(T, vec(T, 1.0, 1.0) + dual(T))


@gives(11.0, 25.0)
def multiplied_and_summed(T: Any) -> Any:
    return both(T, (dual(T) * vec(T, 3.0, 4.0)).sum())


@gives([1.0, 2.0, 9.0], [3.0, 4.0, 0.0])
def joined_with_a_constant(T: Any) -> Any:
    return both(T, T.cat([dual(T), vec(T, 9.0)]))


@gives(None, None, None)
def nothing_flows_through(T: Any) -> Any:
    d = dual(T)
    return tuple(D(T).unpack_dual(x).tangent for x in (d > 1, d.detach(), d.to(T.int64)))


@gives([2.0, 4.0], [6.0, 8.0])
def under_no_grad(T: Any) -> Any:
    with T.no_grad():
        return both(T, dual(T) * 2)


@gives([2.0, 4.0], None)
def under_inference_mode(T: Any) -> Any:
    d = dual(T)
    with T.inference_mode():
        return both(T, d * 2)


@gives([1.0, 2.0], [3.0, 4.0], "float32", "float32")
def converted(T: Any) -> Any:
    value, tangent = both(T, dual(T).float())
    return value, tangent, *(str(t.dtype).rpartition(".")[2] for t in (value, tangent))


@gives([0.0, 0.0], [3.0, 4.0])
def complex_numbers(T: Any) -> Any:
    value, tangent = both(T, dual(T) * 1j)
    return value.real, tangent.imag


# --- what a dual is -------------------------------------------------------------------------------------


@gives(True, True, False, True, True)
def a_view_of_what_it_was_made_of(T: Any) -> Any:
    x = vec(T, 1.0, 2.0)
    d = dual(T, x)
    return d._is_view(), d._base is x, d.requires_grad, d.is_leaf, d.data_ptr() == x.data_ptr()


@gives(True, True, False, True)
def tangents_are_kept_as_they_are(T: Any) -> Any:
    t = vec(T, 3.0, 4.0)
    d = dual(T, t=t)
    p = D(T).unpack_dual(d)
    return p.tangent is t, p._fields == ("primal", "tangent"), p.primal is d, p.primal._is_view()


@gives(None)
def what_it_was_made_of_has_none(T: Any) -> Any:
    x = vec(T, 1.0, 2.0)
    dual(T, x)
    return D(T).unpack_dual(x).tangent


@gives("tensor([1., 2.], tangent=tensor([3., 4.]))", "1.0", "1.000", "tensor(1., tangent=3.0)")
def printed(T: Any) -> Any:
    d = dual(T).float()
    return str(d), f"{d[0]}", f"{d[0]:.3f}", repr(d[0])


@gives("ViewBackward0", "Identity", "MulBackward0", True)
def histories(T: Any) -> Any:
    x = vec(T, 1.0, 2.0, requires_grad=True)
    d = dual(T, x)
    names = (d.grad_fn.name(), D(T).unpack_dual(d).primal.grad_fn.name().rpartition(":")[2], (d * d).grad_fn.name())
    return *names, D(T).unpack_dual(d * d).tangent.requires_grad


@gives(1.0, [1.0], True, 1.0)
def numbers_are_asked_for(T: Any) -> Any:
    d = dual(T, (1.0,), (2.0,))
    return d.item(), d.tolist(), bool(d > 0), float(d[0])


@gives([1.0, 2.0], None, [1.0, 2.0], None)
def copied_and_pickled_without_tangent(T: Any) -> Any:
    d = dual(T)
    return both(T, copy.deepcopy(d)) + both(T, pickle.loads(pickle.dumps(d)))


# --- views and writes -----------------------------------------------------------------------------------


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


# --- with sweeps back --------------------------------------------------------------------------------------


def cubes(T: Any, graph: bool = False) -> Any:
    """x, and the sum of the cubes of a dual over it, of which the gradient is 3x² and its tangent 6xt."""
    x = vec(T, 1.0, 2.0, requires_grad=True)
    return x, (dual(T, x, (1.0, 0.5)) ** 3).sum()


@gives([3.0, 12.0], [6.0, 6.0])
def forward_over_reverse(T: Any) -> Any:
    x, y = cubes(T)
    return both(T, *T.autograd.grad(y, x))


@gives([6.0, 6.0])
def reverse_over_forward(T: Any) -> Any:
    x, y = cubes(T)
    return T.autograd.grad(D(T).unpack_dual(y).tangent, x)[0]


@gives([6.0, 3.0])
def a_third_derivative(T: Any) -> Any:
    x, y = cubes(T)
    (g,) = T.autograd.grad(y, x, create_graph=True)
    return T.autograd.grad(D(T).unpack_dual(g).tangent.sum(), x)[0]


@gives([np.exp(1.0), np.exp(2.0)])
def a_third_derivative_through_a_saved_output(T: Any) -> Any:
    x = vec(T, 1.0, 2.0, requires_grad=True)
    (g,) = T.autograd.grad(dual(T, x, (1.0, 1.0)).exp().sum(), x, create_graph=True)
    return T.autograd.grad(D(T).unpack_dual(g).tangent.sum(), x)[0]


@gives([3.0, 12.0])
def with_respect_to_the_tangent(T: Any) -> Any:
    t = vec(T, 1.0, 1.0, requires_grad=True)
    y = (dual(T, (1.0, 2.0), t) ** 3).sum()
    return T.autograd.grad(D(T).unpack_dual(y).tangent, t)[0]


@gives([3.0, 12.0], None, [3.0, 12.0], [6.0, 6.0])
def a_leafs_grad_has_a_tangent_only_in_a_graph(T: Any) -> Any:
    found: tuple[Any, ...] = ()
    for graph in (False, True):
        x, y = cubes(T)
        y.backward(create_graph=graph)
        found += both(T, x.grad)
    return found


@gives([3.0, 12.0], [6.0, 6.0])
def hooks_see_tangents(T: Any) -> Any:
    x = vec(T, 1.0, 2.0, requires_grad=True)
    d, seen = dual(T, x, (1.0, 0.5)), []
    d.register_hook(seen.append)
    (d**3).sum().backward()
    return both(T, *seen)


@gives([3.0, 12.0], [6.0, 6.0])
def retained(T: Any) -> Any:
    d = dual(T, vec(T, 1.0, 2.0, requires_grad=True), (1.0, 0.5))
    d.retain_grad()
    (d**3).sum().backward()
    return both(T, d.grad)


@gives([3.0, 12.0], [6.0, 6.0])
def a_dual_that_is_a_leaf(T: Any) -> Any:
    d = dual(T, (1.0, 2.0), (1.0, 0.5)).requires_grad_()
    return both(T, *T.autograd.grad((d**3).sum(), d))


@gives([3.0, 12.0], [6.0, 6.0])
def from_the_unpacked_value(T: Any) -> Any:
    x, y = cubes(T)
    return both(T, *T.autograd.grad(D(T).unpack_dual(y).primal, x))


@gives([2.0, 4.0], [6.0, 16.0])
def a_dual_cotangent(T: Any) -> Any:
    x = vec(T, 1.0, 2.0, requires_grad=True)
    return both(T, *T.autograd.grad(x**2, x, dual(T, (1.0, 1.0))))


@gives([[3.0, 0.0], [0.0, 12.0]], [[6.0, 0.0], [0.0, 6.0]])
def batched_cotangents(T: Any) -> Any:
    x = vec(T, 1.0, 2.0, requires_grad=True)
    y = dual(T, x, (1.0, 0.5)) ** 3
    return both(T, *T.autograd.grad(y, x, T.eye(2, dtype=T.float64), is_grads_batched=True))


@gives([3.0, 12.0], [6.0, 6.0])
def through_func_grad(T: Any) -> Any:
    return both(T, T.func.grad(lambda x: (x**3).sum())(dual(T, (1.0, 2.0), (1.0, 0.5))))


@gives(9.0, 9.0)
def the_value_beside_the_gradient(T: Any) -> Any:
    return both(T, T.func.grad_and_value(lambda x: (x**3).sum())(dual(T, (1.0, 2.0), (1.0, 0.5)))[1])


@gives([6.0, 12.0])
def inside_func_grad(T: Any) -> Any:
    def slope(x: Any) -> Any:
        with D(T).dual_level():
            return D(T).unpack_dual((dual(T, x, (1.0, 1.0)) ** 3).sum()).tangent

    return T.func.grad(slope)(vec(T, 1.0, 2.0))


@gives([1.0, 4.0], [2.0, 4.0])
def through_vmap(T: Any) -> Any:
    return both(T, T.func.vmap(lambda x: x * x)(dual(T, (1.0, 2.0), (1.0, 1.0))))


@pytest.mark.parametrize("operation", ["__pow__", "exp"])
def test_saved_values_in_the_hands_of_hooks(operation: str, T: Any) -> None:
    """A saved value is handed out without its tangent, and has it again when it comes back."""
    with D(T).dual_level():
        x = vec(T, 1.0, 2.0, requires_grad=True)
        with T.autograd.graph.saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t):
            d = dual(T, x, (1.0, 0.5))
            y = (d**3 if operation == "__pow__" else d.exp()).sum()
        tangent = D(T).unpack_dual(T.autograd.grad(y, x)[0]).tangent
        np.testing.assert_allclose(tangent.numpy(), [6.0, 6.0] if operation == "__pow__" else np.exp([1, 2]) * [1, 0.5])


@gives(9.0, 9.0, [3.0, 12.0], [6.0, 6.0])
def through_a_checkpoint(T: Any) -> Any:
    checkpoint = importlib.import_module(f"{T.__name__}.utils.checkpoint").checkpoint
    x = vec(T, 1.0, 2.0, requires_grad=True)
    y = checkpoint(lambda d: (d**3).sum(), dual(T, x, (1.0, 0.5)), use_reentrant=False)
    return both(T, y, *T.autograd.grad(y, x))


@gives([1.0, 4.0], [2.0, 2.0], [2.0, 4.0], [2.0, 1.0])
def through_a_function_of_ones_own(T: Any) -> Any:
    class Square(T.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * g

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * t

    x = vec(T, 1.0, 2.0, requires_grad=True)
    y = Square.apply(dual(T, x, (1.0, 0.5)))
    return both(T, y, *T.autograd.grad(y.sum(), x))


@gives([3.0, 12.0], [6.0, 6.0])
def in_anomaly_mode(T: Any) -> Any:
    x, y = cubes(T)
    with T.autograd.detect_anomaly(check_nan=False):
        return both(T, *T.autograd.grad(y, x))


@gives([2.0, 4.0], [3.0, 4.0], 2.0, 3.0, [1.0, 1.0], None)
def inference_mode_leaves_tangents_alone(T: Any) -> Any:
    d = dual(T)
    with T.inference_mode():
        d.mul_(2)
        made = dual(T, (1.0, 1.0))
        first = d[0]
    return both(T, d, first, made)


@pytest.mark.parametrize("name", gives)
def test_gives(name: str, T: Any) -> None:
    if name == "inside_func_grad":
        return gives.gives(name, T)
    with D(T).dual_level():
        gives.gives(name, T)


# --- levels and errors --------------------------------------------------------------------------------------

ERRORS: list[tuple[type[Exception], str, Callable[[Any, Any, Any], Any]]] = [
    (RuntimeError, "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level 0 is "
     "not supported.", lambda T, D, x: D.make_dual(D.make_dual(x, x), x)),
    (RuntimeError, "Setting a forward grad that itself has a forward gradient at the same level0 is not supported.",
     lambda T, D, x: D.make_dual(x, D.make_dual(x, x))),
    (RuntimeError, "Trying to set a forward gradient that has a different size than that of the original Tensor, this is "
     "not supported. Tensor is of size [2] while the given forward gradient is of size [3].",
     lambda T, D, x: D.make_dual(x, T.ones(3))),
    (ValueError, "Expected primal to be floating point or complex, but got: torch.int64",
     lambda T, D, x: D.make_dual(T.tensor([1, 2]), x)),
    (ValueError, "Expected tangent to be floating point or complex, but got: torch.int64",
     lambda T, D, x: D.make_dual(x, T.tensor([1, 2]))),
    (RuntimeError, "Invalid level given to _make_dual", lambda T, D, x: D.make_dual(x, x, level=1)),
    (RuntimeError, "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() "
     "first.", lambda T, D, x: D.make_dual(x, x, level=-1)),
    (RuntimeError, "Invalid level given to _fw_primal", lambda T, D, x: D.unpack_dual(D.make_dual(x, x), level=1)),
    (TypeError, "_unpack_dual(): argument 'dual' (position 1) must be Tensor, not float",
     lambda T, D, x: D.unpack_dual(1.0)),
    (RuntimeError, "Nested forward mode AD is not supported at the moment", lambda T, D, x: D.enter_dual_level()),
    (RuntimeError, "Trying to exit a forward AD level that was not the last one that was created. This is not supported.",
     lambda T, D, x: D.exit_dual_level(level=3)),
    (NotImplementedError, "Trying to use forward AD with mul_out that does not support it because it is an out= function",
     lambda T, D, x: T.mul(D.make_dual(x, x), 2, out=T.zeros(2))),
    (RuntimeError, "a view of a leaf Variable that requires grad is being used in an in-place operation.",
     lambda T, D, x: D.make_dual(x.requires_grad_(), T.ones(2)).mul_(2)),
    (RuntimeError, "a leaf Variable that requires grad is being used in an in-place operation.",
     lambda T, D, x: x.requires_grad_().mul_(D.make_dual(T.ones(2), T.ones(2)))),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "words", "call"), ERRORS, ids=[words[:40] for _, words, _ in ERRORS])
def test_errors_inside(kind: type[Exception], words: str, call: Any, T: Any) -> None:
    with D(T).dual_level(), pytest.raises(kind) as caught:
        call(T, D(T), T.tensor([1.0, 2.0]))
    assert type(caught.value) is kind
    assert str(caught.value) == words


def test_outside_a_level(T: Any) -> None:
    x = T.tensor([1.0, 2.0])
    with pytest.raises(
        RuntimeError, match="^Trying to create a dual Tensor for forward AD but no level exists, make sure"
    ):
        D(T).make_dual(x, x)
    with pytest.raises(RuntimeError, match=r"^Dual level must be a positive number\.$"):
        D(T).exit_dual_level()
    assert D(T).unpack_dual(x) == (x, None)


def test_a_level_ends(T: Any) -> None:
    assert D(T).enter_dual_level() == 0
    x = T.tensor([1.0, 2.0], requires_grad=True)
    d = D(T).make_dual(x, T.ones(2))
    y, v = d * 2, d[0]
    assert D(T).exit_dual_level() is None
    for t in (d, y, v):
        assert D(T).unpack_dual(t).tangent is None
        assert "tangent" not in repr(t)
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    with D(T).dual_level():  # another level knows nothing of the first
        assert D(T).unpack_dual(y).tangent is None


def test_as_a_decorator_and_after_an_error(T: Any) -> None:
    @D(T).dual_level()
    def f(x: Any) -> Any:
        return D(T).unpack_dual(D(T).make_dual(x, x) * 2).tangent

    with pytest.raises(KeyError), D(T).dual_level():
        raise KeyError
    assert f(T.tensor(3.0)) == 6.0
    assert f(T.tensor(4.0)) == 8.0


def test_a_module_with_a_dual_for_a_parameter(T: Any, own_generator: Any) -> None:
    layer = T.nn.Linear(2, 1, bias=False)
    w = layer.weight.data.fill_(1.0)
    del layer.weight
    with D(T).dual_level():
        layer.weight = D(T).make_dual(w, T.tensor([[1.0, 10.0]]))
        assert D(T).unpack_dual(layer(T.tensor([2.0, 3.0]))).tangent.tolist() == [32.0]


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


@pytest.mark.parametrize("transform", [func.jvp, func.hessian, func.jacfwd])
def test_func_nests_inside_a_level(transform: Any) -> None:
    """The tangent of a Hessian is a third derivative: 6t on the diagonal for a sum of cubes."""
    with fwAD.dual_level():
        d = dual(torch, (1.0, 2.0), (1.0, 0.5))
        if transform is func.jvp:
            found = func.jvp(lambda x: x**3, (d,), (vec(torch, 1.0, 1.0),))[1]
            expected = [3.0, 12.0], [6.0, 6.0]
        elif transform is func.jacfwd:
            found, expected = func.jacfwd(lambda x: x**3)(d), (np.diag([3.0, 12.0]), np.diag([6.0, 6.0]))
        else:
            found, expected = func.hessian(lambda x: (x**3).sum())(d), (np.diag([6.0, 12.0]), np.diag([6.0, 3.0]))
        for part, right in zip(fwAD.unpack_dual(found), expected, strict=True):
            np.testing.assert_allclose(part.numpy(), right)


@pytest.mark.parametrize("around", [False, True])
def test_vmap_over_tangents(around: bool) -> None:
    """The level may be entered inside what is mapped, or around it."""
    x = vec(torch, 1.0, 2.0)

    def column(t: torch.Tensor) -> torch.Tensor:
        def pushed() -> torch.Tensor:
            d = fwAD.make_dual(x, t)
            return fwAD.unpack_dual(d**3 * d.sum()).tangent

        return pushed() if around else fwAD.dual_level()(pushed)()

    mapped = func.vmap(column, out_dims=1)
    found = (
        fwAD.dual_level()(mapped)(torch.eye(2, dtype=torch.float64))
        if around
        else mapped(torch.eye(2, dtype=torch.float64))
    )
    np.testing.assert_allclose(found.numpy(), func.jacrev(lambda x: x**3 * x.sum())(x).numpy())


def test_in_a_series_and_in_a_trace() -> None:
    with fwAD.dual_level():
        d = fwAD.make_dual(torch.tensor(2.0), torch.tensor(1.0))
        second = func.taylor(lambda x: x**3, d, 2)[2]
        assert fwAD.unpack_dual(second).tangent == 3.0  # 3x, differentiated
        compiled = torch.compile(lambda x: (x * x).sin())
        plain = compiled(torch.tensor([0.5]))
        y = compiled(fwAD.make_dual(torch.tensor([0.5]), torch.tensor([1.0])))
        assert y.item() == pytest.approx(plain.item())
        assert fwAD.unpack_dual(y).tangent.item() == pytest.approx(np.cos(0.25))


def test_a_level_inside_what_is_compiled() -> None:
    @torch.compile
    def slope(x: torch.Tensor) -> torch.Tensor:
        with fwAD.dual_level():
            return fwAD.unpack_dual(fwAD.make_dual(x, torch.ones(3)) ** 3).tangent

    x = torch.tensor([1.0, 2.0, 3.0])
    for _ in range(2):
        np.testing.assert_allclose(slope(x).numpy(), [3.0, 12.0, 27.0])
    assert slope.eager is None


def test_a_level_belongs_to_its_thread() -> None:
    seen: list[Any] = []

    def other() -> None:
        try:
            fwAD.make_dual(torch.ones(1), torch.ones(1))
        except RuntimeError as e:
            seen.append(str(e))
        with fwAD.dual_level():
            seen.append(fwAD.unpack_dual(fwAD.make_dual(torch.ones(1), torch.ones(1)) * 2).tangent.item())

    with fwAD.dual_level():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert fwAD.unpack_dual(dual(torch)).tangent is not None
    assert seen[0].startswith("Trying to create a dual Tensor")
    assert seen[1] == 2.0


def test_what_a_level_held_is_freed_at_its_end() -> None:
    gc.collect()
    gc.disable()
    try:
        with fwAD.dual_level():
            x = vec(torch, 1.0, 2.0, requires_grad=True)
            t = vec(torch, 3.0, 4.0)
            y = dual(torch, x, t).exp().sum()
            dead = weakref.ref(t)
            del t
            assert dead() is not None
        assert dead() is None  # y lives on, without its tangent
        node = weakref.ref(y.grad_fn)
        del x, y
        assert node() is None
    finally:
        gc.enable()


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


def test_a_method_on_another_librarys_array() -> None:
    jax = pytest.importorskip("jax")
    x = torch.asarray(jax.numpy.asarray([1.0, 2.0]))
    with fwAD.dual_level():
        value, tangent = fwAD.unpack_dual(fwAD.make_dual(x, torch.ones(2)) ** 2)
        np.testing.assert_allclose(np.asarray(tangent._a), [2.0, 4.0])
        assert type(value._a).__module__.startswith("jax")

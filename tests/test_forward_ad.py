"""Dual tensors by hand: what carries a tangent, through which operations, and within which level."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Callable
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


@pytest.mark.parametrize("name", gives)
def test_gives(name: str, T: Any) -> None:
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


def test_a_method_on_another_librarys_array() -> None:
    jax = pytest.importorskip("jax")
    x = torch.asarray(jax.numpy.asarray([1.0, 2.0]))
    with fwAD.dual_level():
        value, tangent = fwAD.unpack_dual(fwAD.make_dual(x, torch.ones(2)) ** 2)
        np.testing.assert_allclose(np.asarray(tangent._a), [2.0, 4.0])
        assert type(value._a).__module__.startswith("jax")

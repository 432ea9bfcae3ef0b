"""Checkpoints, on chainrule and, where it is installed, on PyTorch: gradients, what is computed again, and when."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, error, leaf
from recomputing import KINDS, Counted, module, slope, waves

__all__ = ["T"]


# --- gradients ------------------------------------------------------------------------------------------------------


@KINDS
def test_the_gradient_is_that_of_the_function(T: Any, reentrant: bool) -> None:
    x, f = leaf(T), Counted(waves)
    y = module(T).checkpoint(f, x * 1, use_reentrant=reentrant)
    assert f.runs == 1
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), slope(1.0), rtol=1e-5)
    assert f.runs == 2


@KINDS
def test_parameters_that_are_not_arguments(T: Any, reentrant: bool) -> None:
    x, w = leaf(T), leaf(T, value=2.0)
    y = module(T).checkpoint(lambda t: (t * w).sin(), x, use_reentrant=reentrant)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.cos(2), rtol=1e-5)
    np.testing.assert_allclose(w.grad.numpy(), np.cos(2), rtol=1e-5)


@KINDS
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_checkpoints_in_checkpoints(T: Any, reentrant: bool) -> None:
    checkpoint = module(T).checkpoint
    inner, middle = Counted(waves), Counted(lambda t: checkpoint(inner, t.cos(), use_reentrant=reentrant).sin())
    outer = Counted(lambda t: checkpoint(middle, t.cos(), use_reentrant=reentrant).sin())
    x = leaf(T)
    checkpoint(outer, x, use_reentrant=reentrant).sum().backward()
    z = leaf(T)
    waves(z.cos().cos()).sin().sin().sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), rtol=1e-5)
    assert (outer.runs, middle.runs, inner.runs) == (2, 3, 4)


@KINDS
def test_several_outputs(T: Any, reentrant: bool) -> None:
    x = leaf(T)
    a, b = module(T).checkpoint(lambda t: (t.sin(), t.cos()), x, use_reentrant=reentrant)
    (a * b).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.cos(2), rtol=1e-5)


@KINDS
def test_writes_inside(T: Any, reentrant: bool) -> None:
    def f(t: Any) -> Any:
        y = t * 1
        y.sin_()
        z = y * 2
        z[0] = 0.5
        z.exp_()
        return z * t

    x, plain = leaf(T), leaf(T)
    module(T).checkpoint(f, x, use_reentrant=reentrant).sum().backward()
    f(plain).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), plain.grad.numpy(), rtol=1e-6)


def test_any_outputs_and_keywords(T: Any) -> None:
    x = leaf(T)
    f = Counted(lambda t, *, k: (t.sin(), {"cos": t.cos() * k}, 3))
    a, others, n = module(T).checkpoint(f, x, use_reentrant=False, k=2.0)
    (a * others["cos"]).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.cos(2), rtol=1e-5)
    assert n == 3


def test_autograd_grad_and_inputs(T: Any) -> None:
    x = leaf(T)
    y = module(T).checkpoint(waves, x, use_reentrant=False).sum()
    (g,) = T.autograd.grad(y, x, retain_graph=True)
    y.backward(inputs=[x])
    np.testing.assert_allclose([g.numpy(), x.grad.numpy()], slope(1.0), rtol=1e-5)


def test_second_derivatives(T: Any) -> None:
    x = leaf(T)
    found = []
    for y in (module(T).checkpoint(waves, x, use_reentrant=False), waves(x)):
        (first,) = T.autograd.grad(y.sum(), x, create_graph=True)
        found += [first.detach().numpy(), T.autograd.grad(first.sum(), x)[0].numpy()]
    np.testing.assert_allclose(found[:2], found[2:], rtol=1e-5)


def test_backward_again(T: Any) -> None:
    x, f = leaf(T), Counted(waves)
    y = module(T).checkpoint(f, x, use_reentrant=False).sum()
    for retain in (True, True, False):
        y.backward(retain_graph=retain)
    assert f.runs == 4
    np.testing.assert_allclose(x.grad.numpy(), 3 * slope(1.0), rtol=1e-5)
    assert error(y.backward)[1].startswith("Trying to backward through the graph a second time")


def test_backward_inside(T: Any) -> None:
    def f(t: Any) -> Any:
        y = t.sin()
        z = y.cos()
        (g,) = T.autograd.grad(z.sum(), t, retain_graph=True)
        return g * z

    def g(t: Any) -> Any:
        y = t.sin()
        (g,) = T.autograd.grad(y.cos().sum(), t)
        return g * t.cos()

    for function in (f, g):
        for early in (True, False):
            x, plain = leaf(T), leaf(T)
            module(T).checkpoint(function, x, use_reentrant=False, early_stop=early).sum().backward()
            function(plain).sum().backward()
            np.testing.assert_allclose(x.grad.numpy(), plain.grad.numpy(), rtol=1e-5)


# --- how often, and how far, it runs --------------------------------------------------------------------------------


def test_it_stops_when_it_has_what_it_needs(T: Any) -> None:
    checkpoint, stop = module(T).checkpoint, module(T).set_checkpoint_early_stop

    def ends(**kwargs: Any) -> int:
        f = Counted(waves)
        checkpoint(f, leaf(T), use_reentrant=False, **kwargs).sum().backward()
        assert f.runs == 2
        return f.ends

    assert (ends(), ends(early_stop=False)) == (1, 2)
    with stop(False):
        assert ends() == 2
    with stop(True):
        assert ends(early_stop=False) == 1
    assert ends() == 1


def test_the_users_handlers_do_not_stop_the_stop() -> None:
    def f(t: Any) -> Any:
        try:
            return waves(t)
        except Exception:
            raise AssertionError from None

    x = leaf(torch)
    module(torch).checkpoint(f, x, use_reentrant=False).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), slope(1.0), rtol=1e-5)


def test_nothing_is_run_again_where_nothing_is_recorded(T: Any) -> None:
    f = Counted(waves)
    with T.no_grad():
        assert not module(T).checkpoint(f, leaf(T), use_reentrant=False).requires_grad
    assert f.runs == 1


def test_groups_of_sweeps_run_it_once(T: Any) -> None:
    x, f = leaf(T), Counted(lambda t: (t.sin(), t.cos().exp()))
    a, b = module(T).checkpoint(f, x, use_reentrant=False)
    with module(T).GraphExecGroup():
        a.sum().backward()
        b.sum().backward()
    assert f.runs == 2
    y = module(T).checkpoint(waves, x, use_reentrant=False).sum()

    def twice() -> None:
        with module(T).GraphExecGroup():
            y.backward(retain_graph=True)
            y.backward()

    text = (
        "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already unpacked once. Performing two"
    )
    assert error(twice)[1].startswith(text)


def test_values_are_not_kept() -> None:
    gc.disable()
    try:
        kept: list[Any] = []

        def f(t: Any) -> Any:
            y = t.exp()
            kept.append(weakref.ref(y))
            return y.sin().sin()

        x = leaf(torch)
        y = module(torch).checkpoint(f, x * 1, use_reentrant=False)
        node = weakref.ref(y._node)
        assert kept[0]() is None
        y.sum().backward()
        assert kept[1]() is None
        del y
        assert node() is None
    finally:
        gc.enable()


# --- random numbers -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_generator")
@KINDS
def test_random_numbers_are_drawn_the_same_again(T: Any, reentrant: bool) -> None:
    draws: list[Any] = []

    def f(t: Any) -> Any:
        r = T.rand(3)
        draws.append(r.tolist())
        return (t * r).sin()

    state = T.get_rng_state()
    try:
        for preserve in (True, False):
            draws.clear()
            x = leaf(T)
            T.manual_seed(0)
            y = module(T).checkpoint(f, x, use_reentrant=reentrant, preserve_rng_state=preserve)
            after = T.rand(1).item()
            y.sum().backward()
            then = T.rand(1).item()
            T.manual_seed(0)
            expected = [T.rand(3).tolist(), T.rand(1).item(), T.rand(1).item()]
            assert draws[0] == expected[0]
            assert after == expected[1]
            assert (draws[1] == draws[0], then == expected[2]) == (preserve, preserve)
    finally:
        T.set_rng_state(state)


# --- contexts -------------------------------------------------------------------------------------------------------


def test_contexts(T: Any) -> None:
    log: list[str] = []

    @contextlib.contextmanager
    def note(name: str) -> Iterator[None]:
        log.append(f"in {name}")
        yield
        log.append(f"out {name}")

    contexts = lambda: (note("forward"), note("again"))
    y = module(T).checkpoint(waves, leaf(T), use_reentrant=False, context_fn=contexts, early_stop=False)
    y.sum().backward()
    assert log == ["in forward", "out forward", "in again", "out again"]


# --- sequences ------------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_sequences(T: Any, reentrant: bool, segments: int) -> None:
    functions = [Counted(f) for f in (T.sin, T.cos, T.exp, T.tanh, T.sigmoid)]
    x, plain = leaf(T), leaf(T)
    module(T).checkpoint_sequential(functions, segments, x * 1, use_reentrant=reentrant).sum().backward()
    plain.sin().cos().exp().tanh().sigmoid().sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), plain.grad.numpy(), rtol=1e-5)
    part = len(functions) // segments
    assert [f.runs for f in functions[part * (segments - 1) :]] == [1] * (5 - part * (segments - 1))
    assert functions[0].runs == (1 if segments == 1 else 2)


def test_sequences_of_modules(T: Any) -> None:
    net = T.nn.Sequential(T.nn.Tanh(), T.nn.Sigmoid(), T.nn.Tanh())
    x, plain = leaf(T), leaf(T)
    module(T).checkpoint_sequential(net, 2, x, use_reentrant=False).sum().backward()
    net(plain).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), plain.grad.numpy(), rtol=1e-5)
    text = "Unexpected keyword arguments: k"
    case = lambda: module(T).checkpoint_sequential(net, 2, x, use_reentrant=False, k=1)
    assert error(case) == ("ValueError", text)


@pytest.mark.usefixtures("own_generator")
def test_a_network_trains_the_same_with_checkpoints() -> None:
    losses = []
    for use in (False, True):
        torch.manual_seed(0)
        net = torch.nn.Sequential(*[torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh()) for _ in range(4)])
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        x, y = torch.randn(8, 4), torch.randn(8, 4)
        for _ in range(5):
            optimizer.zero_grad()
            out = module(torch).checkpoint_sequential(net, 4, x, use_reentrant=False) if use else net(x)
            loss = ((out - y) ** 2).mean()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == losses[1]

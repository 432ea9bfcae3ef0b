"""Hooks of tensors, of nodes and of leaves: when they are called, with what, and what they may put in its place.

Each test runs on chainrule and, where it is installed, on PyTorch.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest

from both import T, close, refused, vector

__all__ = ["T"]
pytestmark = pytest.mark.filterwarnings("ignore:Using backward.. with create_graph=True")


def one(T: Any) -> Any:
    return vector(T, 3.0)


class Log(list[str]):
    """Hooks that note their name when they are called."""

    def hook(self, name: str) -> Any:
        return lambda *_: self.append(name)


# --- of tensors -----------------------------------------------------------------------------------------------


def test_a_hook_sees_the_gradient_once_it_is_whole(T: Any) -> None:
    x, seen = vector(T), []
    y = x * 1
    for t in (x, y):
        t.register_hook(seen.append)
    (y * 2 + y * y + y.sin() * 0).sum().backward()
    assert len(seen) == 2
    assert close(seen[0], 4, 6)
    assert close(seen[1], 4, 6)


def test_a_hook_may_change_the_gradient(T: Any) -> None:
    x = one(T)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: g + 1)
    x.register_hook(lambda g: g * 100)
    y.backward()
    assert close(x.grad, 2200)


def test_hooks_are_called_in_order_and_no_more_once_removed(T: Any) -> None:
    for inner in (False, True):
        x, log = one(T), Log()
        y = x * 1
        t = y if inner else x
        first, second = t.register_hook(log.hook("first")), t.register_hook(log.hook("second"))
        y.backward(retain_graph=True)
        first.remove()
        t.register_hook(log.hook("third"))
        y.backward(retain_graph=True)
        first.remove()
        with second:
            pass
        y.backward()
        assert log == ["first", "second", "second", "third", "third"]


def test_a_hook_may_remove_another(T: Any) -> None:
    x, log = one(T), Log()
    y = x * 1
    y.register_hook(lambda g: handle.remove())
    handle = y.register_hook(log.hook("removed"))
    y.backward(retain_graph=True)
    before = list(log)
    y.backward()
    assert log == before  # removed while they were being called: from the next time on


def test_a_hook_outlives_the_name_of_its_tensor(T: Any) -> None:
    x, log = one(T), Log()
    y = x * 1
    y.register_hook(log.hook("called"))
    z = y * 2
    del y
    z.backward()
    assert log == ["called"]


def test_a_hook_stays_with_the_value_that_a_write_replaces(T: Any) -> None:
    x, seen = vector(T), []
    y = x * 2
    y.register_hook(lambda g: seen.append(("before", g.tolist())))
    y.mul_(3)
    y.register_hook(lambda g: seen.append(("after", g.tolist())))
    y.sum().backward()
    assert seen == [("after", [1.0, 1.0]), ("before", [3.0, 3.0])]


def test_what_a_hook_keeps_is_not_written_to(T: Any) -> None:
    for inner in (False, True):
        x, kept = vector(T), []
        y = x * 1
        (y if inner else x).register_hook(kept.append)
        y.sum().backward(retain_graph=True)
        x.grad.zero_()
        y.sum().backward()
        assert close(kept[0], 1, 1)


def test_a_hook_may_write_into_what_it_is_shown(T: Any) -> None:
    x = one(T)
    y = x * 2
    y.register_hook(lambda g: g.mul_(5))
    y.backward()
    assert close(x.grad, 10)


def test_retain_grad_shows_what_the_hooks_leave(T: Any) -> None:
    x = one(T)
    y = x * 2
    y.register_hook(lambda g: g * 3)
    y.retain_grad()
    y.register_hook(lambda g: g * 5)
    (y * 1).backward()
    assert close(y.grad, 15)
    assert close(x.grad, 30)


def test_hooks_and_grad(T: Any) -> None:
    x = one(T)
    y = x * 3
    x.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: g * 100)
    find = functools.partial(T.autograd.grad, retain_graph=True)
    assert close(find(y * 2, x)[0], 6000)
    assert close(find(y * 2, y)[0], 200)
    between, end = find(y * 2, [y, x])  # what goes on is changed, what is handed out was before
    assert close(between, 2)
    assert close(end, 6000)
    assert x.grad is None


@pytest.mark.parametrize("create_graph", [False, True])
def test_recording_in_a_hook(T: Any, create_graph: bool) -> None:
    x, seen = one(T), []

    def hook(g: Any) -> None:
        seen.append((T.is_grad_enabled(), g.requires_grad, (x * 2).requires_grad))

    y = x * x
    y.register_hook(hook)
    x.register_hook(hook)
    x.register_post_accumulate_grad_hook(lambda x: hook(x.grad))
    y.backward(create_graph=create_graph)
    assert [s[0] for s in seen] == [create_graph] * 3
    assert [s[2] for s in seen] == [create_graph] * 3
    assert [s[1] for s in seen][1:] == [create_graph] * 2
    assert T.is_grad_enabled()
    x.grad = None


def test_a_recorded_hook_is_differentiated(T: Any) -> None:
    x = one(T)
    handle = x.register_hook(lambda g: g * x)
    (g,) = T.autograd.grad((x * x).sum(), x, create_graph=True)
    handle.remove()
    assert close(g, 18)
    assert close(T.autograd.grad(g, x)[0], 12)


def test_what_a_hook_switches_is_switched_back(T: Any) -> None:
    x = one(T)
    x.register_hook(lambda g: T.set_grad_enabled(True) and None)
    with T.no_grad():
        with T.enable_grad():
            y = x * 1
        y.backward()
        assert not T.is_grad_enabled()


def test_a_sweep_in_a_hook(T: Any) -> None:
    x, z = one(T), one(T)

    def hook(g: Any) -> None:
        with T.enable_grad():
            (z * g).sum().backward()

    y = x * 2
    y.register_hook(hook)
    (y * 5).backward()
    assert close(z.grad, 5)
    assert close(x.grad, 10)


def test_an_error_in_a_hook_comes_out(T: Any) -> None:
    def fail(_: Any) -> None:
        raise KeyError("mine")

    for inner in (False, True):
        x = one(T)
        y = x * 2
        (y if inner else x).register_hook(fail)
        with pytest.raises(KeyError, match="mine"):
            y.backward()
        assert x.grad is None


def test_where_no_hook_can_be(T: Any) -> None:
    message = "cannot register a hook on a tensor that doesn't require gradient"
    for register in (T.ones(1).register_hook, T.ones(1).register_post_accumulate_grad_hook):
        with refused(RuntimeError, message):
            register(lambda g: g)
    with refused(RuntimeError, "post accumulate grad hooks cannot be registered on non-leaf tensors"):
        (one(T) * 2).register_post_accumulate_grad_hook(lambda x: None)


# --- what may be put in a gradient's place ---------------------------------------------------------------------


class Doubling:
    """A hook without a name."""

    def __call__(self, g: Any) -> Any:
        return g.double()


def test_refused_replacements(T: Any) -> None:
    for inner in (False, True):
        for hook, error, message in [
            (lambda g: "no", TypeError, "expected Variable, but hook returned 'str'"),
            (lambda g: T.ones(3), RuntimeError, "hook '<lambda>' has changed the size of value"),
            (
                lambda g: g.double(), RuntimeError,
                "hook '<lambda>' has changed the type of value (was torch.FloatTensor got torch.DoubleTensor)",
            ),
            (
                Doubling(), RuntimeError,
                "hook '<unknown>' has changed the type of value (was torch.FloatTensor got torch.DoubleTensor)",
            ),
        ]:  # fmt: skip
            x = one(T)
            y = x * 2
            (y if inner else x).register_hook(hook)
            with refused(error, message):
                y.backward()
            assert x.grad is None


def test_refused_replacements_of_node_hooks(T: Any) -> None:
    for kind, hook, error, message in [
        ("register_prehook", lambda go: go[0], TypeError, "expected tuple, but hook returned 'Tensor'"),
        ("register_prehook", lambda go: [go[0]], TypeError, "expected tuple, but hook returned 'list'"),
        (
            "register_prehook", lambda go: (go[0], go[0]), RuntimeError,
            "hook '<lambda>' has returned an incorrect number of values (got 2, but expected 1)",
        ),
        ("register_prehook", lambda go: (T.ones(2),), RuntimeError, "hook '<lambda>' has changed the size of value"),
        ("register_hook", lambda gi, go: gi[0], TypeError, "expected tuple, but hook returned 'Tensor'"),
        (
            "register_hook", lambda gi, go: (gi[0],), RuntimeError,
            "hook '<lambda>' has returned an incorrect number of values (got 1, but expected 2)",
        ),
        (
            "register_hook", lambda gi, go: (gi[0], gi[0]), RuntimeError,
            "can't replace a None gradient with a non-None value",
        ),
        ("register_hook", lambda gi, go: (T.ones(2), None), RuntimeError, "hook '<lambda>' has changed the size of value"),
    ]:  # fmt: skip
        x = one(T)
        y = x * 2
        getattr(y.grad_fn, kind)(hook)
        with refused(error, message):
            y.backward()
        assert x.grad is None


# --- of nodes ------------------------------------------------------------------------------------------------


def test_the_order_of_all_kinds(T: Any) -> None:
    x, log = one(T), Log()
    y = x * 2
    accumulate = y.grad_fn.next_functions[0][0]
    accumulate.register_hook(log.hook("leaf's node, after"))
    accumulate.register_prehook(log.hook("leaf's node, before"))
    x.register_post_accumulate_grad_hook(log.hook("accumulated"))
    x.register_hook(log.hook("leaf"))
    y.grad_fn.register_hook(log.hook("node, after"))
    y.grad_fn.register_prehook(log.hook("node, before"))
    y.register_hook(log.hook("tensor"))
    y.backward()
    assert log == [
        "tensor", "node, before", "node, after",
        "leaf", "leaf's node, before", "accumulated", "leaf's node, after",
    ]  # fmt: skip


def test_what_node_hooks_are_shown(T: Any) -> None:
    x, w, seen = vector(T), vector(T, 3.0, 4.0), []
    y = x * w
    y.grad_fn.register_prehook(lambda go: seen.append(go))
    y.grad_fn.register_hook(lambda gi, go: seen.append((*gi, *go)))
    y.sum().backward()
    ((g,), (gx, gw, again)) = seen
    assert close(g, 1, 1)
    assert close(again, 1, 1)
    assert close(gx, 3, 4)
    assert close(gw, 1, 2)


def test_inputs_without_gradient_are_none_to_node_hooks(T: Any) -> None:
    x, seen = one(T), []
    for y in (x * 2, x * T.tensor([2.0])):
        y.grad_fn.register_hook(lambda gi, go: seen.append([g is None for g in gi]))
        y.backward()
    assert seen == [[False, True]] * 2


def test_node_hooks_may_change_gradients(T: Any) -> None:
    x = one(T)
    y = x * 2
    y.grad_fn.register_prehook(lambda go: (go[0] * 3,))
    y.grad_fn.register_hook(lambda gi, go: (gi[0] * go[0] * 10, None))
    y.backward()
    assert close(x.grad, 180)


def test_node_hooks_may_stop_a_gradient(T: Any) -> None:
    for stop in (
        lambda node: node.register_prehook(lambda go: (None,)),
        lambda node: node.register_hook(lambda gi, go: (None, None)),
    ):
        x = one(T)
        y = x * 2
        stop(y.grad_fn)
        y.backward()
        assert x.grad is None


def test_node_hooks_are_removed(T: Any) -> None:
    x, log = one(T), Log()
    y = x * 2
    handles = [y.grad_fn.register_hook(log.hook("after")), y.grad_fn.register_prehook(log.hook("before"))]
    y.backward(retain_graph=True)
    for handle in handles:
        handle.remove()
    y.backward()
    assert log == ["before", "after"]


def test_node_hooks_of_what_grad_stops_at_are_not_called(T: Any) -> None:
    x, log = one(T), Log()
    y = x * 2
    y.grad_fn.register_prehook(log.hook("before"))
    y.grad_fn.register_hook(log.hook("after"))
    y.register_hook(log.hook("tensor"))
    assert close(T.autograd.grad(y * 3, y)[0], 3)
    assert log == ["tensor"]


# --- of leaves ---------------------------------------------------------------------------------------------------


def test_after_accumulation(T: Any) -> None:
    x, seen = one(T), []
    handle = x.register_post_accumulate_grad_hook(lambda t: seen.append((t is x, t.grad.item())))
    (x * 2).backward()
    (x * 3).backward()
    T.autograd.grad(x * 1, x)
    handle.remove()
    (x * 1).backward()
    assert seen == [(True, 2.0), (True, 5.0)]


def test_a_step_taken_after_accumulation(T: Any) -> None:
    """Each parameter moves as soon as its gradient is there, which then may go."""
    params = [one(T), one(T)]

    def step(p: Any) -> None:
        with T.no_grad():
            p.sub_(p.grad)
        p.grad = None

    for p in params:
        p.register_post_accumulate_grad_hook(step)
    (params[0] * 2 + params[1] * 1).backward()
    assert [p.item() for p in params] == [1.0, 2.0]
    assert params[0].grad is None


def test_what_it_returns_is_refused(T: Any) -> None:
    x = one(T)
    x.register_post_accumulate_grad_hook(lambda t: 5)
    with refused(TypeError, "expected Variable, but hook returned 'int'"):
        (x * 1).backward()


def test_hooks_of_the_leafs_node(T: Any) -> None:
    x, seen = one(T), []
    y = x * 2
    accumulate = y.grad_fn.next_functions[0][0]
    accumulate.register_prehook(lambda go: (go[0] * 10,))
    handle = accumulate.register_hook(lambda gi, go: seen.append((gi, go[0].item(), x.grad.item())))
    y.backward(retain_graph=True)
    handle.remove()
    assert seen == [((), 20.0, 20.0)]
    assert close(T.autograd.grad(y, x)[0], 2)  # nothing is accumulated, so they are not called
    stop = accumulate.register_prehook(lambda go: (None,))
    (x * 7).backward()
    assert close(x.grad, 20)
    stop.remove()
    accumulate.register_hook(lambda gi, go: (1,))
    message = "hook '<lambda>' has returned an incorrect number of values (got 1, but expected 0)"
    with refused(RuntimeError, message):
        (x * 1).backward()


def test_the_leafs_node_by_the_old_trick(T: Any) -> None:
    """As distributed training finds it: through a view."""
    x, log = vector(T), Log()
    accumulate = x.expand_as(x).grad_fn.next_functions[0][0]
    accumulate.register_hook(log.hook("called"))
    (x * 2).sum().backward()
    assert log == ["called"]

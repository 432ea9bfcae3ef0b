"""Compiled functions that write: into their arguments, into memory that others see, into gradients.  All as eager."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.compiler.watching import Uncompilable
from compiling import compile, numbers, programs, same

__all__ = ["compile"]


# --- writing into memory -------------------------------------------------------------------------------------------


def detached(x: Any) -> Any:
    y = x * 2
    y.detach().add_(1)
    return y


def through_data(x: Any) -> Any:
    y = x * 2
    z = y.data
    z.mul_(3)
    return y, z


def part(x: Any) -> Any:
    y = x * 2
    y[0].add_(1)
    return y, y[0] * 1


def known_array(x: Any) -> Any:
    y = torch.zeros(3)
    y.detach().add_(x)
    return y


def outer(x: Any) -> Any:
    x.add_(1)
    return x * 2


def outer_detached(x: Any) -> Any:
    x.detach().mul_(3)
    return x + 1


def outer_part(x: Any) -> Any:
    x[1:].mul_(x[:-1].sum())
    return x.sum()


def outer_item(x: Any) -> Any:
    x[0] = x[1] + x[2]
    x += x
    return None


def read_before(x: Any) -> Any:
    y = x.clone()
    x.zero_()
    return y, x.sum()


def onto_itself(x: Any) -> Any:
    return x.copy_(x)


def picked(x: Any) -> Any:
    y = x * 2
    z = y[torch.tensor([0, 0])]
    z.mul_(5)
    return y, z


def turned(x: Any) -> Any:
    y = x.repeat(2).reshape(2, 3) * 2
    z, v = y.t().reshape(-1), y.reshape(-1)
    z.mul_(5)
    v.add_(1)
    return y, z, v


def view_before(x: Any) -> Any:
    v = x[:2]
    x.mul_(2)
    return v * 1, v


@pytest.mark.parametrize(
    "f",
    [
        detached,
        through_data,
        part,
        known_array,
        outer,
        outer_detached,
        outer_part,
        outer_item,
        read_before,
        view_before,
        picked,
        turned,
        onto_itself,
    ],
)
def test_writes(compile: Any, f: Callable[..., Any]) -> None:
    ours, eager = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 3.0])
    g = compile(f)
    for _ in range(3):
        same(numbers([g(ours), ours]), numbers([f(eager), eager]))
        assert ours._version == eager._version
    assert len(g.entries) == 1


def test_views_see_what_is_written(compile: Any) -> None:
    x = torch.ones(3)
    g = compile(outer)
    g(x)
    v, d = x[:2], x.detach()
    g(x)
    assert v.tolist() == [3.0, 3.0]
    assert d.tolist() == [3.0, 3.0, 3.0]


def test_results_share_memory_as_eagers_do(compile: Any) -> None:
    def f(x: Any) -> Any:
        y = x * 2
        return y, y.detach(), y[:1], y.view(3, 1)

    for result in (f(torch.ones(3)), compile(f)(torch.ones(3))):
        y, alias, first, column = result
        alias.add_(1)
        assert y.tolist() == [3.0, 3.0, 3.0]
        assert first.tolist() == [3.0]
        assert column.tolist() == [[3.0], [3.0], [3.0]]


def test_memory_that_others_share_is_left_to_eager() -> None:
    def f(x: Any, y: Any) -> Any:
        x.add_(1)
        return y * 1

    def behind(x: Any) -> Any:
        y = x * 2
        v = y[0]
        y.detach().add_(1)
        return v

    def view(x: Any) -> Any:
        x[1:].detach().add_(1)
        return None

    x = torch.zeros(4)
    for g, args in ((f, (x, x[1:])), (f, (x, x.detach())), (behind, (x,)), (view, (x,))):
        eager = numbers(g(*args))
        x.zero_()
        with pytest.warns(UserWarning, match="memory"):
            found = numbers(torch.compile(g, backend="numpy")(*args))
        same(found, eager)
        x.zero_()


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_a_view_of_memory_that_is_written_through_another(shape: tuple[int, ...]) -> None:
    """Where the tensor written to is detached, the view is read as it is then, or eager reads it."""

    def f(x: Any) -> Any:
        y = x + 0
        view = y.unsqueeze(0)
        y.detach().mul_(0.5)
        return view + 1

    compiled, x = torch.compile(f, backend="numpy"), torch.full(shape, 3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it may fall back
        assert [compiled(x).tolist() for _ in range(2)] == [f(x).tolist()] * 2


def test_compiled_for_memory_of_its_own_then_called_with_shared(compile: Any) -> None:
    def f(x: Any, y: Any) -> Any:
        x.add_(1)
        return y * 1

    g = torch.compile(f, backend="numpy")
    g(torch.zeros(4), torch.zeros(3))
    x = torch.zeros(4)
    with pytest.warns(UserWarning, match="memory others share"):
        assert g(x, x[1:]).tolist() == [1.0, 1.0, 1.0]


def test_backward_notices_a_compiled_write(compile: Any) -> None:
    w, x = torch.ones(2, requires_grad=True), torch.ones(2)
    y = (w * x).sum()
    compile(outer)(x)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_a_failed_capture_leaves_no_trace(own_generator: Any) -> None:
    x = torch.ones(2)

    def f(x: Any) -> Any:
        x.add_(1)
        torch.rand(2)
        if x.sum() > 100:
            return x
        return x * 2

    state = torch.get_rng_state().tolist()
    g = torch.compile(f, backend="numpy")
    with pytest.raises(Uncompilable):
        torch.compile(f, backend="numpy", fullgraph=True)(x)
    assert (x.tolist(), x._version) == ([1.0, 1.0], 0)
    assert torch.get_rng_state().tolist() == state
    with pytest.warns(UserWarning, match="a value was asked"):
        g(x)
    assert (x.tolist(), x._version) == ([2.0, 2.0], 1)


# --- gradients -----------------------------------------------------------------------------------------------------


def test_backward_inside(compile: Any) -> None:
    def step(w: Any, x: Any) -> Any:
        loss = ((w * x) ** 2).sum()
        loss.backward()
        return loss

    found = []
    for f in (step, compile(step)):
        w, x = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, 4.0])
        kept = []
        for _ in range(3):
            loss = f(w, x)
            kept.append(numbers([loss, w.grad]))
        assert loss.grad_fn.name() == "SumBackward0"
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            loss.backward()
        found.append(kept)
    same(*found)


def test_a_gradient_that_somebody_holds_is_added_to(compile: Any) -> None:
    def step(w: Any) -> None:
        (w * w).sum().backward()

    f, w = compile(step), torch.ones(2, requires_grad=True)
    f(w)
    held = w.grad
    f(w)
    assert w.grad is held
    assert held.tolist() == [4.0, 4.0]


def test_gradients_that_share_a_cotangent_have_memory_of_their_own(compile: Any) -> None:
    def step(a: Any, b: Any) -> None:
        (a + b).sum().backward()

    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    compile(step)(a, b)
    a.grad.add_(1)
    assert b.grad.tolist() == [1.0, 1.0]


def test_hooks_of_leaves_are_left_to_eager() -> None:
    def step(w: Any) -> None:
        (w * w).sum().backward()

    w, seen = torch.ones(2, requires_grad=True), []
    f = torch.compile(step, backend="numpy")
    f(w)
    w.register_hook(lambda g: seen.append(g.tolist()))
    with pytest.warns(UserWarning, match="hooks"):
        f(w)
    assert seen == [[2.0, 2.0]]


# --- memory that is written where it lies --------------------------------------------------------------------------


def test_hooks_of_leaves_whose_gradients_are_given_back() -> None:
    w, x = torch.ones(3, requires_grad=True), torch.arange(3.0)
    f = torch.compile(lambda x: torch.autograd.grad((w * x).sum(), w)[0] * 2)
    for _ in range(3):
        assert f(x).tolist() == [0.0, 2.0, 4.0]
    handle = w.register_hook(lambda g: g * 10)
    with pytest.warns(UserWarning, match="hooks"):
        assert f(x).tolist() == [0.0, 20.0, 40.0]
    assert f(x).tolist() == [0.0, 20.0, 40.0]
    handle.remove()
    assert f(x).tolist() == [0.0, 2.0, 4.0]


def test_what_is_read_later_is_overwritten_at_the_end(own_generator: Any) -> None:
    pytest.importorskip("llvmlite")

    def step(w: Any, x: Any) -> Any:
        with torch.no_grad():
            old = w @ x
            w.mul_(0.5).add_(1.0)
        return old + x @ torch.sin(x)

    def once(w: Any, x: Any) -> Any:
        with torch.no_grad():
            product = (w * 2) @ x
            w.copy_(w * 3 + product.sum())
            return w.T @ x + product

    for f, written in ((step, 1), (once, 1)):
        compiled = torch.compile(f, fullgraph=True)
        torch.manual_seed(0)
        x, w = torch.randn(60, 60), torch.randn(60, 60)
        v = w.clone()
        for _ in range(3):
            for a, b in zip([compiled(w, x), w], [f(v, x), v], strict=True):
                assert torch.allclose(a, b, rtol=1e-4, atol=1e-3)
        assert len(programs(compiled)[0].written) <= written


def test_a_few_numbers_are_overwritten_where_they_lie_and_lone_ones_are_not(own_generator: Any) -> None:
    pytest.importorskip("llvmlite")

    def mix(a: Any, b: Any) -> Any:
        old = a.clone()
        a.copy_(b.flip(0) * 2 if a.ndim else b * 2)
        b.copy_(old.flip(0).cumsum(0).flip(0) - b if a.ndim else old - b)
        return a.sum() - b.sum()

    for shape, written in [((), 0), ((1,), 2), ((3,), 2)]:  # the last is unrolled
        compiled = torch.compile(mix, fullgraph=True)
        (a, b), (c, d) = ([torch.tensor(x).expand(shape) * 1 for x in (2.0, 5.0)] for _ in range(2))
        held, places = a._a, [a.data_ptr(), b.data_ptr()]
        for k in range(3):
            assert compiled(a, b).tolist() == mix(c, d).tolist()
            assert (a.tolist(), b.tolist()) == (c.tolist(), d.tolist())
            assert shape or k or held.item() == 2.0, "NumPy's numbers do not change"
        assert not shape or [a.data_ptr(), b.data_ptr()] == places
        assert [k.text[:8] for k in programs(compiled)[0].kernels] == ["def line"]
        assert len(programs(compiled)[0].written) == written


def test_shared_and_unaligned_memory_is_not_written_through() -> None:
    def f(w: Any) -> Any:
        w.mul_(2.0)
        return w.sum()

    compiled = torch.compile(f)
    w = torch.ones(100)
    assert compiled(w).item() == 200
    unaligned = torch.from_numpy(np.frombuffer(bytearray(4 * 100 + 1), np.uint8)[1:].view(np.float32))
    unaligned.fill_(1.0)
    with pytest.warns(UserWarning, match="shares? memory|memory others share"):
        assert compiled(unaligned).item() == 200
    assert unaligned.tolist() == [2.0] * 100


def test_the_same_memory_twice_is_seen() -> None:
    def f(w: Any, d: Any) -> Any:
        w.mul_(2.0)
        return d + 0

    compiled, w = torch.compile(f), torch.ones(50)
    assert compiled(torch.ones(50), torch.ones(50))[0].item() == 1
    with pytest.warns(UserWarning, match="memory others share"):
        assert compiled(w, w.detach())[0].item() == 2


VIEWS = {
    "a row": lambda x: x[0], "a column and itself": lambda x: (x[:, 1], x), "turned": lambda x: x.t(),
    "flat": lambda x: x.reshape(-1),
    "in order": lambda x: x.contiguous(), "detached": lambda x: x.detach(), "of detached": lambda x: x.detach()[0],
    "data": lambda x: x.data, "of data": lambda x: x.data[0], "of a view": lambda x: x[1:][0], "parts": lambda x: x.unbind(0),
    "how it lies": lambda x: (x * (2 if x.is_contiguous() else 3) + x.stride(0), x[1:]),
}  # fmt: skip
LAYOUTS = {
    "whole": lambda: torch.arange(6.0).clone().reshape(3, 2).clone(), "view": lambda: torch.arange(6.0).reshape(3, 2),
    "turned": lambda: torch.arange(6.0).reshape(2, 3).t(), "spaced": lambda: torch.arange(12.0).reshape(3, 4)[:, ::2],
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", VIEWS)
def test_results_are_views_of_arguments_however_these_lie(compile: Any, name: str, layout: str) -> None:
    f = VIEWS[name]

    def found(f: Any) -> Any:
        x, held = LAYOUTS[layout](), []
        for _ in range(3):
            out = f(x)
            for y in out if isinstance(out, tuple) else (out,):
                y.mul_(2).add_(1)
                held += [y.tolist(), x.tolist(), y._version, x._version, y is x, y._base is None]
        return held

    assert found(compile(f)) == found(f)

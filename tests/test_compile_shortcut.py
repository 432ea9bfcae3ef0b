"""Shortcuts: calls of compiled functions that are one native function, and when they leave it to the slower way."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.compiler import watching
from compiling import equal, numbers, same

pytest.importorskip("llvmlite")
pytestmark = pytest.mark.usefixtures("own_generator")


class Counted:
    """A compiled function, and how many of its calls took the slower way."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = torch.compile(f, fullgraph=True)
        self.slow = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.f(*args, **kwargs)

    def settle(self, *args: Any) -> None:
        """Compile for these arguments, and count from now on."""
        for _ in range(3):
            self.f(*args)
        for e in self.f.entries:
            e.call = self.noticed(e.call)
        self.f.refresh()
        self.slow = 0

    def noticed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def noticed(args: Any, kwargs: Any) -> Any:
            self.slow += 1
            return call(args, kwargs)

        return noticed


def step_of(optimiser: str, **options: Any) -> tuple[Any, Any, Callable[..., Any]]:
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)).double()
    moves = getattr(torch.optim, optimiser)(model.parameters(), **{"lr": 0.1, **options})

    def step(x: Any, y: Any) -> Any:
        moves.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        moves.step()
        return loss.detach()

    return model, moves, step


DRAWN = torch.nn.Dropout(0.5)
FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "a number": (lambda x: (x * x).sum(), 1),
    "an array": (lambda x: x * 2, 1),
    "a large array": (lambda x: torch.cat([x.reshape(-1)] * 500).sin(), 1),
    "a view": (lambda x: ((x * 2).T, (x + 1).reshape(3, 2)[1:, :1]), 1),
    "a large view": (lambda x: (x.reshape(6, 1) * torch.arange(900.0)).T[::3], 1),
    "a truth": (lambda x: x.sum() > 0, 1),
    "a whole number": (lambda x: torch.where(x.sum() > 0, 3, -4), 1),
    "a short float": (lambda x: x.to(torch.float32).sum(), 1),
    "a structure": (lambda x, y: (x, [x + y, ()], None, 3, (y.sum(), "text")), 2),
    "one twice": (lambda x: [y := x + 1, y], 1),
    "asking for gradients": (lambda x: (x + 1).detach().requires_grad_(), 1),
    "a gradient": (torch.func.grad(lambda x: (x**3).sum()), 1),
    "random numbers": (lambda x: DRAWN(x) + torch.rand(2, 3, dtype=x.dtype), 1),
    "in place": (lambda x, y: x.mul_(1.5).add_(y), 2),
    "from a list": (lambda xs: xs[0] * xs[1][0], -1),
    "Python's numbers": (lambda x: x * SCALE, 1),
}  # fmt: skip
SCALE = 2.5


def arguments(count: int) -> list[Any]:
    x, y = (
        (torch.arange(6, dtype=torch.float64).reshape(2, 3) * 1).add_(-k) for k in (2, 1)
    )  # writes to them are counted
    return [[x, (y,)]] if count < 0 else [x, y][:count]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_same_as_without(name: str) -> None:
    f, count = FUNCTIONS[name]
    counted = Counted(f)
    counted.settle(*arguments(count))
    for seed in range(2):
        mine, other = arguments(count), arguments(count)
        torch.manual_seed(seed)
        wanted = f(*other)
        torch.manual_seed(seed)
        found = counted(*mine)
        assert counted.slow == 0
        same(numbers(found), numbers(wanted))
        assert [t.requires_grad for t in leaves(found)] == [t.requires_grad for t in leaves(wanted)]
        equal(mine, other)
        slowly = counted.f.entries[0].call(tuple(arguments(count)), {})
        assert [t.stride() for t in leaves(found)] == [t.stride() for t in leaves(slowly)]
        counted.slow = 0
        assert [t._version for t in leaves(mine)] == [t._version for t in leaves(other)]
        assert [any(t is m for m in leaves(mine)) for t in leaves(found)] == [
            any(t is m for m in leaves(other)) for t in leaves(wanted)
        ]


def leaves(x: Any) -> list[Any]:
    return [t for t in torch.func.tree.flatten(x)[0] if isinstance(t, torch.Tensor)]


OPTIMISERS = [("SGD", {}), ("SGD", {"momentum": 0.9}), ("Adam", {}), ("AdamW", {"amsgrad": True}), ("RMSprop", {})]


@pytest.mark.parametrize(("name", "options"), OPTIMISERS, ids=str)
def test_a_training_step(name: str, options: dict[str, Any]) -> None:
    x, y = torch.ones(4, 3, dtype=torch.float64), torch.zeros(4, 1, dtype=torch.float64)
    model, moves, step = step_of(name, **options)
    other, slower, eagerly = step_of(name, **options)
    counted = Counted(step)
    counted.settle(x, y)
    for _ in range(3):
        eagerly(x, y)
    for k in range(4):
        for group in (*moves.param_groups, *slower.param_groups):
            group["lr"] = 0.1 / (k + 1)  # as a scheduler would
        equal(counted(x, y), eagerly(x, y))
    assert counted.slow == 0
    equal([*model.parameters()], [*other.parameters()])
    equal([p.grad for p in model.parameters()], [p.grad for p in other.parameters()])
    assert [p._version for p in model.parameters()] == [p._version for p in other.parameters()]


CHANGES: dict[str, Callable[[Any, Any], Any]] = {
    "a hook of the module": lambda model, moves: model.register_forward_hook(lambda module, args, y: y * 2),
    "a hook of a parameter": lambda model, moves: model[0].weight.register_hook(lambda g: g),
    "a view of a parameter": lambda model, moves: setattr(moves, "kept", model[0].weight.detach()[:1]),
    "evaluation": lambda model, moves: model.eval(),
    "another activation": lambda model, moves: setattr(model, "1", torch.nn.ReLU()),
    "another parameter": lambda model, moves: setattr(
        model[0], "bias", torch.nn.Parameter(torch.ones(5, dtype=torch.float64))
    ),
    "another array": lambda model, moves: setattr(model[0].bias, "data", torch.ones(5, dtype=torch.float64)),
    "a frozen parameter": lambda model, moves: model[0].weight.requires_grad_(False),
    "another option": lambda model, moves: moves.param_groups[0].update(weight_decay=0.5),
    "a whole number as rate": lambda model, moves: moves.param_groups[0].update(lr=1),
    "no state": lambda model, moves: moves.state.clear(),
    "another dtype": lambda model, moves: model.float(),
    "layout": lambda model, moves: setattr(model[0].weight, "data", torch.ones(3, 5, dtype=torch.float64).T),
}


EAGER = ("a hook of a parameter", "layout")


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_is_noticed(change: str) -> None:
    results: list[list[Any]] = []
    for compiled in (False, True):
        model, moves, step = step_of("SGD", momentum=0.5)
        f = torch.compile(step) if compiled else step
        x, y = torch.ones(4, 3, dtype=torch.float64), torch.zeros(4, 1, dtype=torch.float64)
        for _ in range(3):
            f(x, y)
        CHANGES[change](model, moves)
        if change == "another dtype":
            x, y = x.float(), y.float()
        falls = compiled and change in EAGER
        with pytest.warns(UserWarning, match="uncompiled") if falls else nullcontext():
            first = f(x, y)
        results.append(
            [first, f(x, y), *[p.detach() for p in model.parameters()], *[p.grad for p in model.parameters()]]
        )
    for found, wanted in zip(*results, strict=True):
        if wanted is None or found is None:
            assert found is wanted
        else:
            equal(found, wanted, 1e-12 if wanted.dtype == torch.float64 else 1e-5)


def test_what_a_function_reaches_is_noticed() -> None:
    w, kept, listed = torch.ones(3), {"a": 2.0, "b": 3.0}, [torch.ones(3)]
    one = 1.0
    named = {"first": one, "second": one}
    w.grad = torch.ones(3)

    def f(x: Any) -> Any:
        some = sum(i * v for i, v in enumerate(kept.values())) + len(kept) + len(listed)
        return x * some * (2 if next(iter(named)) == "first" else 3) + (w if w.grad is None else 5) + listed[0]

    compiled, x = Counted(f), torch.full((3,), 2.0)
    compiled.settle(x)
    equal(compiled(x), f(x))
    assert compiled.slow == 0

    def changed() -> None:
        equal(compiled(x), f(x))
        equal(compiled(x), f(x))

    named["first"] = named.pop("first")
    changed()
    w.grad = None
    changed()
    kept["a"] = 7.0
    changed()
    kept["a"] = kept.pop("a")  # the same, in another order
    changed()
    kept["c"] = 1.0
    changed()
    del kept["b"]
    changed()
    listed.append(x)
    changed()
    listed[0] = torch.zeros(3)
    before = compiled.slow
    changed()
    assert compiled.slow == before, "another tensor of the kind will do"


def test_numbers_are_drawn_in_the_order_of_memory() -> None:
    drop = torch.nn.Dropout(0.5)
    f = Counted(lambda x: drop(x) * 2)
    x = torch.ones(4, 4)
    f.settle(x)
    for y in (x, x.T * 1, x.T.clone(memory_format=torch.preserve_format)):
        torch.manual_seed(5)
        found = f(y)
        torch.manual_seed(5)
        equal(found, drop(y) * 2)


def test_other_calls_go_the_slower_way() -> None:
    f = Counted(lambda x, y: x * y)
    x, y = torch.ones(3), torch.full((3,), 2.0)
    f.settle(x, y)
    for args, kwargs in [((x,), {"y": y}), ((torch.ones(6)[::2], y), {}), ((x, torch.ones(3, 1)), {}), ((x, 2.0), {})]:
        equal(f(*args, **kwargs), x * kwargs["y"] if kwargs else args[0] * args[1])
    with pytest.raises(TypeError):
        f(x)
    g = Counted(lambda x, k=2: x * k)
    g.settle(x)
    equal(g(x), x * 2)
    assert g.slow == 0
    equal(g(x, k=3), x * 3)
    with torch.inference_mode():
        assert f(x, y).is_inference()
    before = f.slow
    equal(f(x, y), x * y)
    assert f.slow == before


def test_one_program_after_the_other() -> None:
    """Each leads to the next, and the last to what tries all."""
    f = Counted(lambda x, k: x * k)
    xs = [torch.ones(n) for n in range(1, 5)]
    for x in xs:
        f.settle(x, 3)
    for x in xs:
        equal(f(x, 3), x * 3)
    assert f.slow == 0
    assert f(torch.ones(9), 3).shape == (9,)


def test_what_a_kernel_refuses_is_done_otherwise() -> None:
    f = Counted(lambda x: x.sin() + x.cos())
    x = torch.linspace(-1, 1, 50, dtype=torch.float64)
    f.settle(x)
    for scale in (1.0, 1e9, 1e300, 1.0):
        equal(f(x * scale), (x * scale).sin() + (x * scale).cos())
    assert f.slow == 0


def drawing(f: Counted) -> dict[str, Any]:
    """The names by which a shortcut's random numbers are drawn."""
    (function,) = [o for o in f.f.entries[0].shortcut.table.objects if getattr(o, "__name__", "") == "numbers"]
    return function.__globals__  # type: ignore[no-any-return]


def test_an_error_while_drawing_leaves_all_well() -> None:
    f = Counted(lambda x: x + torch.rand(3))
    x = torch.zeros(3)
    f.settle(x)
    generator = torch.random.default_generator
    state = generator.get_state()
    space = drawing(f)
    draw = space["draw0"]

    def fail() -> Any:
        raise KeyboardInterrupt

    space["draw0"] = fail
    with pytest.raises(KeyboardInterrupt):
        f(x)
    space["draw0"] = draw
    generator.set_state(state)
    wanted = torch.rand(3)
    generator.set_state(state)
    equal(f(x), wanted)
    assert f.slow == 0, "it is free again"


def test_who_comes_while_it_works_goes_the_slower_way() -> None:
    f = Counted(lambda x: x + torch.rand(3))
    x = torch.zeros(3)
    f.settle(x)
    space = next(
        o for o in f.f.entries[0].shortcut.table.objects if getattr(o, "__name__", "") == "numbers"
    ).__globals__
    draw, inner = space["draw0"], []

    def again() -> Any:
        space["draw0"] = draw
        inner.append(f(x))
        return draw()

    space["draw0"] = again
    torch.manual_seed(3)
    found = f(x)
    torch.manual_seed(3)
    equal([inner[0], found], [torch.rand(3), torch.rand(3)])
    assert f.slow == 1


def test_nothing_is_kept() -> None:
    x, y = torch.ones(4, 3, dtype=torch.float64), torch.zeros(4, 1, dtype=torch.float64)
    model, _, step = step_of("Adam")
    f, g = Counted(step), Counted(lambda x: (x, [x * 2, (x.sum(), None)]))
    f.settle(x, y)
    g.settle(x)
    watched = [
        None,
        True,
        False,
        x,
        x._a,
        y._a,
        model[0].weight,
        model[0].weight._a,
        np.ndarray,
        x._a.dtype,
        torch.Tensor,
        list,
    ]
    gc.collect()
    before = [sys.getrefcount(o) for o in watched]
    for _ in range(2000):
        f(x, y)
        g(x)
    assert f.slow == g.slow == 0
    gc.collect()
    grown = [sys.getrefcount(o) - b for o, b in zip(watched, before, strict=True)]
    assert max(map(abs, grown)) < 200, grown


def test_a_capture_elsewhere_is_waited_for() -> None:
    f = Counted(lambda x: x * 2)
    x = torch.ones(3)
    f.settle(x)
    watching.watchers.append(watching.eager)
    try:
        equal(f(x), x * 2)
    finally:
        watching.watchers.clear()
    assert f.slow == 1
    equal(f(x), x * 2)
    assert f.slow == 1


def test_memory_that_somebody_has_is_not_used_again() -> None:
    f = Counted(lambda x: ((x * 2), (x + 1).reshape(50, 100).T))
    x = torch.ones(5000)
    f.settle(x)
    kept = [(k, *f(x * k)) for k in range(8)]
    kept = [(k, y, z[:, 2]) for k, y, z in kept]
    for k in range(8, 12):
        f(x * k)
    assert f.slow == 0
    for k, y, z in kept:
        assert (y == 2 * k).all()
        assert (z == k + 1).all()
    addresses = set()
    for k in range(6):
        y, z = f(x * k)
        addresses.add(y.data_ptr())
        del y, z
    assert len(addresses) < 3, "but what nobody has any more is"


def test_threads_take_turns() -> None:
    f = Counted(lambda x: (x * 2).sin().sum())
    xs = [torch.full((60_000,), float(k)) for k in range(4)]
    f.settle(xs[0])
    wanted = [(x * 2).sin().sum().item() for x in xs]
    wrong: list[Any] = []

    def work(k: int) -> None:
        for _ in range(50):
            if not np.isclose(found := f(xs[k]).item(), wanted[k], rtol=1e-4):
                wrong.append((k, found))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_it_goes_with_its_function() -> None:
    f = torch.compile(lambda x: x * 2)
    f(torch.ones(3))
    f(torch.ones(3))
    f.reset()
    assert f(torch.ones(3)).tolist() == [2.0, 2.0, 2.0]
    call = f.entries[0].shortcut.call
    f.reset()
    del f
    gc.collect()
    assert call(torch.ones(3)).tolist() == [2.0, 2.0, 2.0], "who still has it can call it"


def leaf(*values: float) -> Any:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def given_and_looked_at(x: Any, y: Any) -> Any:
    (x * 2).sum().backward()
    return None if y.grad is None else y.grad + 0


def both_given(x: Any, y: Any) -> Any:
    (x * y * y).sum().backward()
    return x.detach() * 2


def both_numbers(x: Any, y: Any) -> Any:
    x.add_(y)
    y.mul_(2)
    return x + y


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize(
    ("f", "make"),
    [
        (given_and_looked_at, lambda: leaf(1, 2)),
        (both_given, lambda: leaf(1, 2)),
        (both_numbers, lambda: leaf(1, 2).detach().sum()),
    ],
    ids=["looked at", "given", "numbers"],
)
def test_two_arguments_that_are_one(f: Callable[..., Any], make: Callable[[], Any], backend: str) -> None:
    compiled = torch.compile(f, fullgraph=True, backend=backend)
    for _ in range(3):
        compiled(make(), make())
    for _ in range(2):
        x, y = make(), make()
        found, wanted = compiled(x, x), f(y, y)
        assert [t is None for t in (found, x.grad)] == [t is None for t in (wanted, y.grad)]
        equal(*[[t for t in (r, v.detach(), v.grad) if t is not None] for r, v in ((found, x), (wanted, y))])


def test_who_has_a_length_of_their_own_is_not_asked() -> None:
    """What they do could take away what a call has borrowed."""
    asked = []

    class Long(list[Any]):
        def __len__(self) -> int:
            asked.append(self)
            return 2

    x = torch.ones(3)
    f = Counted(lambda some: some[0] * some[1])
    f.settle([x, x])
    with pytest.raises(TypeError, match="not subscriptable"):
        f(type("Odd", (), {"__len__": Long.__len__})())
    assert not asked


OPTIONS: Any = {1, 2}


def test_an_interrupt_while_looking_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    f = Counted(lambda x: x * sum(OPTIONS))
    x = torch.ones(3)
    f.settle(x)
    assert f(x).tolist() == [3.0] * 3
    assert f.slow == 0

    class Struck(set[int]):
        struck = 0

        def __eq__(self, other: object) -> bool:
            Struck.struck += 1
            if Struck.struck == 1:
                raise KeyboardInterrupt
            return super().__eq__(other)

        __hash__ = None  # type: ignore[assignment]

    monkeypatch.setitem(globals(), "OPTIONS", Struck({1, 2}))
    with pytest.raises(KeyboardInterrupt):
        f(x)
    assert f(x).tolist() == [3.0] * 3


def thrice(p: Any) -> None:
    p.grad.mul_(3)


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize(
    "listen",
    [lambda x: x.register_hook(lambda g: g * 10), lambda x: x.register_post_accumulate_grad_hook(thrice)],
    ids=["before", "after"],
)
def test_hooks_hear_of_what_is_added_to_a_gradient(listen: Callable[[Any], Any], backend: str) -> None:
    """The .grad that there is, is written to in place."""

    def f(x: Any) -> None:
        (x * x).sum().backward()

    compiled, grads = torch.compile(f, backend=backend), []
    for g in (compiled, f):
        x = leaf(1, 2)
        for _ in range(3):
            g(x)
        listen(x)
        with pytest.warns(UserWarning, match="hooks") if g is compiled else nullcontext():
            g(x)
        grads.append(x.grad)
    equal(*grads)

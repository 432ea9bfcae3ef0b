"""What ``torch.compile`` takes from around a function, what it guards, and what it leaves to run as it is."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as torch
from chainrule import func, nn
from chainrule.compiler.watching import Uncompilable
from compiling import compile, equal, no_trace_in_tensor

__all__ = ["compile", "no_trace_in_tensor"]


# --- the environment -----------------------------------------------------------------------------------------------

weight = torch.ones(3)
factor = 2.0


def uses_globals(x: Any) -> Any:
    return (x * weight * factor).sum()


def test_globals_are_read_at_each_call(compile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    f, x = compile(uses_globals), torch.ones(3)
    assert f(x).item() == 6
    weight.mul_(2)
    try:
        assert f(x).item() == 12
    finally:
        weight.div_(2)
    monkeypatch.setitem(globals(), "weight", torch.full((3,), 5.0))
    assert f(x).item() == 30
    assert len(f.entries) == 1, "another tensor of the same kind needs no other program"
    monkeypatch.setitem(globals(), "factor", 3.0)
    assert f(x).item() == 45
    monkeypatch.setitem(globals(), "weight", torch.ones(3, dtype=torch.float64))
    assert f(x).dtype is torch.float64


def test_closures_and_what_is_computed_from_them(compile: Any) -> None:
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    scale = [1.0]

    def f(x: Any) -> Any:
        return (torch.exp(w * 0.5) * x * scale[0]).sum()

    g = compile(f)
    x = torch.ones(2)
    for _ in range(3):
        g(x).backward()
        found, w.grad = w.grad, None
        f(x).backward()
        equal(found, w.grad)
        equal(g(x), f(x))
        with torch.no_grad():
            w -= w.grad
        w.grad = None
        scale[0] += 1
    w = torch.zeros(2, requires_grad=True)
    equal(g(x), f(x))


class Model:
    def __init__(self) -> None:
        self.w, self.power, self.log = torch.ones(2), 2, []

    def loss(self, x: Any) -> Any:
        return (self.w * x**self.power).sum()

    @torch.compile
    def method(self, x: Any) -> Any:
        return self.loss(x) * 2


def test_attributes(compile: Any) -> None:
    m, x = Model(), torch.tensor([1.0, 3.0])
    f = compile(m.loss)
    assert f(x).item() == 10
    m.log.append(1)
    m.w = torch.tensor([2.0, 0.0])
    assert f(x).item() == 2
    assert len(f.entries) == 1, "attributes that the function does not read do not matter"
    m.power = 3
    m.w = torch.ones(2)
    assert f(x).item() == 28
    pytest.importorskip("llvmlite")
    assert m.method(x).item() == 56
    assert Model().method(x).item() == 20


def test_modules(compile: Any, own_generator: Any) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    f, x = compile(model), torch.ones(3, 4)
    optimizer = torch.optim.SGD(f.parameters(), lr=0.1)
    losses = []
    for g in (f, model):
        before = {k: v.clone() for k, v in model.state_dict().items()}
        for _ in range(4):
            optimizer.zero_grad()
            loss = (torch.exp(g(x)) ** 2).mean()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
        model.load_state_dict(before)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert len(f.entries) == 1
    model.eval()
    f(x)
    assert len(f.entries) == 2, "training is a Python value that the program may depend on"


def test_a_compiled_module_is_a_module(compile: Any, own_generator: Any) -> None:
    inner, x = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5)), torch.ones(2, 2)
    model = nn.Module()
    model.part = f = compile(inner)
    assert isinstance(f, nn.Module)
    assert f._orig_mod is inner
    assert [n for n, _ in model.named_parameters()] == ["part._orig_mod.0.weight", "part._orig_mod.0.bias"]
    assert [*f.state_dict()] == ["_orig_mod.0.weight", "_orig_mod.0.bias"]
    model.eval()
    assert not inner.training and not inner[1].training and not f.training
    f.training = True
    f.note = "new"
    assert inner.training and inner.note == "new"
    del f.note
    assert not hasattr(f, "note")
    with pytest.raises(AttributeError, match="'Sequential' object has no attribute 'weight'"):
        _ = f.weight
    equal(f(x), inner(x))
    assert len(f.entries) == 1 and "program(v0: f32[2,2]" in f.explain()
    assert f.source and "_orig_mod" in repr(f)
    for other in (copy.deepcopy(f), pickle.loads(pickle.dumps(f))):
        assert other._orig_mod is not inner and not other.entries
        equal(other(x), inner(x))
        assert len(other.entries) == 1
    f.double()
    assert f(x.double()).dtype == torch.float64
    f.register_forward_hook(lambda module, args, out: out * 2)
    equal(f(x.double()), inner(x.double()) * 2)


@torch.compile
def of_this_file(x: Any) -> Any:
    return x * 2


def test_compiled_functions_are_copied_as_functions_are() -> None:
    assert copy.deepcopy(of_this_file) is of_this_file
    assert pickle.loads(pickle.dumps(of_this_file)) is of_this_file


def test_python_values_are_guarded(compile: Any) -> None:
    f = compile(lambda x, s=1.0, flag=False, names=("a",): x * s + (100 if flag else 0) + len(names))
    x = torch.zeros(2) + 1
    calls = [
        ((), {}),
        ((2.0,), {}),
        ((2,), {}),
        ((), {"s": 2.0}),
        ((1.0, True), {}),
        ((), {"names": ("a", "b")}),
        ((-0.0,), {}),
    ]
    wanted = [2.0, 3.0, 3.0, 3.0, 102.0, 3.0, 1.0]
    for _ in range(2):
        for (args, kwargs), value in zip(calls, wanted, strict=True):
            assert f(x, *args, **kwargs)[0].item() == value
    assert len(f.entries) == len(calls)


def test_shapes_and_dtypes_are_guarded(compile: Any) -> None:
    f = compile(lambda x: x * 2 + x.shape[0])
    for x in (
        torch.ones(2),
        torch.ones(3),
        torch.ones(2, 2),
        torch.ones(2, dtype=torch.float64),
        torch.ones(2, dtype=torch.int64),
    ):
        for _ in range(2):
            equal(f(x), x * 2 + x.shape[0])
    assert len(f.entries) == 5


def test_the_default_dtype_is_guarded(compile: Any) -> None:
    f = compile(lambda n: torch.sin(n))
    try:
        n = torch.tensor([1, 2])
        assert f(n).dtype is torch.float32
        torch.set_default_dtype(torch.float64)
        assert f(n).dtype is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_arrays_are_compared(compile: Any) -> None:
    f, x, a = compile(lambda x, a: x * torch.tensor(a)), torch.ones(2), np.array([1.0, 2.0], np.float32)
    equal(f(x, a), torch.tensor([1.0, 2.0]))
    a[0] = 7
    equal(f(x, a), torch.tensor([7.0, 2.0]))


@dataclass
class Batch:
    x: Any
    weight: float


class Pair(NamedTuple):
    first: Any
    second: Any


def test_structures_in_and_out(compile: Any) -> None:
    f = compile(lambda b, p: (Pair(b.x * b.weight, p.second), {"k": [p.first, None]}, b.x.shape))
    for _ in range(2):
        pair, d, shape = f(Batch(torch.ones(2), 3.0), Pair(torch.zeros(1), torch.ones(1)))
        assert type(pair) is Pair
        equal([pair.first, pair.second, d["k"][0]], [torch.full((2,), 3.0), torch.ones(1), torch.zeros(1)])
        assert d["k"][1] is None
        assert shape == (2,)
    f(Batch(torch.ones(2), 3.0), Pair(torch.zeros(1), torch.ones(1)))
    assert len(f.entries) == 1


def test_the_same_tensor_in_two_places(compile: Any) -> None:
    f = compile(lambda a, b: a * b)
    x, y = torch.tensor([2.0], requires_grad=True), torch.tensor([5.0], requires_grad=True)
    for a, b in ((x, x), (x, y), (x, x)):
        for t in (x, y):
            t.grad = None
        f(a, b).sum().backward()
        equal(x.grad, 2 * x if a is b else y)


# --- what a program cannot do runs as it is ---------------------------------------------------------------------

state: dict[str, Any] = {}


def branches(x: Any) -> Any:
    if x.sum() > 0:
        return x * 2
    return x * 3


def prints(x: Any) -> Any:
    print("x is", x)
    return x


def shows(x: Any) -> Any:
    state["text"] = f"{x}"
    return x


def asks(x: Any) -> Any:
    state["leaf"].requires_grad_(False)
    return x * 1


def replaces(x: Any) -> Any:
    state["total"].data = x
    return x * 1


def counts(x: Any) -> Any:
    state["calls"] += 1
    return x + state["calls"]


def collects(x: Any) -> Any:
    state["seen"].append("x")
    return x * len(state["seen"])


def converts(x: Any) -> Any:
    return x * float(x[0])


def numpys(x: Any) -> Any:
    return torch.from_numpy(np.sort(x.numpy()))


def returns_an_object(x: Any) -> Any:
    return Model()


REASONS = {
    branches: "a value was asked", prints: "prints", shows: "prints a tensor", asks: "replaces requires_grad",
    replaces: "replaces the memory", counts: "changes",
    collects: "changes", converts: "a value was asked", numpys: "a value was asked", returns_an_object: "returns a Model",
}  # fmt: skip


@pytest.mark.parametrize("f", REASONS, ids=lambda f: f.__name__)
def test_falls_back_with_one_warning(f: Any, own_generator: Any) -> None:
    def fresh() -> None:
        leaf = torch.ones(2, requires_grad=True)
        state.clear()
        state.update(total=torch.zeros(2), leaf=leaf, calls=0, seen=[])
        torch.manual_seed(0)

    def after(result: Any) -> Any:
        found = result if isinstance(result, torch.Tensor) else None
        grad = state["leaf"].grad
        return [None if t is None else t.tolist() for t in (found, state["total"], grad)], state["calls"], state["seen"]

    fresh()
    x = torch.tensor([1.0, 0.5])
    wanted = [after(f(x)), after(f(x))]
    fresh()
    g = torch.compile(f, backend="numpy")
    with pytest.warns(UserWarning, match=REASONS[f]) as caught:
        found = [after(g(x)) for _ in range(2)]
    assert found == wanted, "effects happen once, random numbers are the same"
    assert len(caught) == 1
    assert caught[0].filename == __file__
    fresh()
    with pytest.raises(Uncompilable, match=REASONS[f]):
        torch.compile(f, backend="numpy", fullgraph=True)(x)


def test_the_warning_names_the_line() -> None:
    with pytest.warns(UserWarning, match=r"test_compile_capture.py:\d+: if x.sum\(\) > 0:"):
        torch.compile(branches)(torch.ones(2))


def test_errors_are_the_functions_own() -> None:
    f = torch.compile(lambda x: x @ torch.ones(3, 3))
    with pytest.raises(RuntimeError, match="cannot be multiplied") as caught:
        f(torch.ones(2, 2))
    assert caught.value.__context__ is None
    equal(f(torch.ones(2, 3)), torch.full((2, 3), 3.0))


def test_a_tensor_that_cannot_be_found_again() -> None:
    hidden = {torch.ones(2)}
    with pytest.warns(UserWarning, match="cannot be found again"):
        torch.compile(lambda x: x * sum(hidden))(torch.ones(2))


def test_a_tensor_kept_from_inside() -> None:
    kept = Model()

    def f(x: Any) -> Any:
        kept.log.append(x * 2)
        return x

    with pytest.warns(UserWarning, match="changes kept.log"):
        torch.compile(f)(torch.ones(2))
    assert [t.tolist() for t in kept.log] == [[2.0, 2.0]]


def test_too_many_states() -> None:
    f = torch.compile(lambda x, n: x * n, backend="numpy")
    with pytest.warns(UserWarning, match="16 different ways"):
        found = [f(torch.ones(1), n).item() for n in range(20)]
    assert found == [*range(20)]
    assert len(f.entries) == 16
    assert "runs uncompiled" in f.explain()


def test_what_never_settles_falls_back() -> None:
    from collections import defaultdict

    class Memo:
        held: Any = None

        def __call__(self, x: Any) -> Any:
            self.held[torch.ones(1)] = 1
            return x * 2

    memo = Memo()
    memo.held = defaultdict(list)
    f = torch.compile(memo, backend="numpy")
    with pytest.warns(UserWarning, match="changes") as caught:
        found = [f(torch.ones(1)).item() for _ in range(8)]
    assert found == [2.0] * 8
    assert len(caught) == 1
    assert len(memo.held) == 8


def test_many_sizes(own_generator: Any) -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh())
    f = torch.compile(lambda x: model(x).sum(), backend="numpy")
    for n in range(1, 80):
        x = torch.ones(n, 2)
        equal(f(x), model(x).sum(), 1e-5)
    assert f.eager is None
    assert len(f.entries) == 64
    f = torch.compile(lambda x: x * 2, backend="numpy", dynamic=False)
    with pytest.warns(UserWarning, match="16 different ways"):
        found = [f(torch.ones(n)).tolist() for n in range(20)]
    assert found == [[2.0] * n for n in range(20)]


def test_inside_other_transforms_it_runs_as_it_is() -> None:
    w = torch.ones(2)
    f = torch.compile(lambda x: x * w)
    g = torch.compile(lambda x: f(x) + 1)
    equal(g(torch.ones(2)), torch.full((2,), 2.0))
    assert not f.entries, "part of the other's program"
    equal(func.vmap(lambda w: torch.compile(lambda x: x * w)(torch.ones(2)))(torch.ones(3, 2)), torch.ones(3, 2))

"""Formulas carried out in place: equal to the formula itself, without memory, without a point to be stopped at."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from allocations import refusing
from chainrule.arrays import numpy_
from chainrule.optim import inplace
from chainrule.optim.inplace import Move, Workshop, notes, run, written


def carried_out(formula: Any, arrays: list[Any], now: tuple[float, ...] = ()) -> list[Any]:
    """What the plan makes of (p, g, *state)."""
    plan, constants = written(lambda now, *a: formula(notes, now, *a), len(now), len(arrays))
    arrays = [x.copy("K") for x in arrays]
    p, g, *state = arrays
    move = Move(plan, [p, *state], 1, Workshop())
    before = g.copy()
    move.numbers.array[...] = (*now, *constants)
    calls: list[Any] = []
    move.add_to(calls, g)
    with refusing(1):  # nothing is allocated, or this fails
        run(calls)
    np.testing.assert_array_equal(g, before)
    return [p, *state]


def check(formula: Any, arrays: list[Any], now: tuple[float, ...] = ()) -> None:
    wanted = formula(numpy_, now, *arrays)
    for found, want in zip(carried_out(formula, arrays, now), wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-15, atol=0)


def some(shape: Any, count: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for _ in range(count)]


FORMULAS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "sgd": lambda xp, now, p, g: (p - 0.1 * g,),
    "momentum": lambda xp, now, p, g, b: (p - 0.1 * (g + b * 0.9), b * 0.9 + g),
    "numbers": lambda xp, now, p, g: (p * now[0] - now[1] * g / now[0],),
    "own value kept": lambda xp, now, p, g, b: (p, b + g),
    "gradient itself": lambda xp, now, p, g, b: (g, p),
    "exchange": lambda xp, now, p, g, b: (b, p),
    "round": lambda xp, now, p, g, b, c: (b, c, p),
    "same for two": lambda xp, now, p, g, b: ((q := p - g), q),
    "old value used last": lambda xp, now, p, g, b: ((p + g) * p - b, b / (p + 3)),
    "functions": lambda xp, now, p, g, b: (xp.sqrt(xp.abs(p)) + xp.sign(g), xp.maximum(b, g) - xp.minimum(p, 0.5)),
    "where": lambda xp, now, p, g, b: (p - xp.where(g > 0, 2.0, g), xp.where(b < g * 0.5, 0, b)),
    "where of itself": lambda xp, now, p, g, b: (xp.where(p > 0, -1.0, p), xp.where(b < 0, 1.0, xp.where(p > 0, 2.0, b))),
    "divisions": lambda xp, now, p, g: (1 / (2 - p / g) - (-g),),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (0, 2), (5, 1, 2)])
def test_equal_to_the_formula(name: str, shape: Any) -> None:
    formula = FORMULAS[name]
    count = formula.__code__.co_argcount - 2
    check(formula, [np.asarray(x) for x in some(shape, count)], (0.7, -1.3) if name == "numbers" else ())


@pytest.mark.parametrize("seed", range(60))
def test_random_formulas(seed: int) -> None:
    """However results and old values get in each other's way."""
    draw = np.random.default_rng(seed)

    def formula(xp: Any, now: Any, *arrays: Any) -> tuple[Any, ...]:
        pick = np.random.default_rng(seed + 1000)
        pool = list(arrays)
        for _ in range(pick.integers(1, 14)):
            x, y = (pool[pick.integers(len(pool))] for _ in range(2))
            pool.append([
                lambda x, y: x + y, lambda x, y: x * y * 0.5, lambda x, y: x - 2 * y, lambda x, y: xp.maximum(x, y),
                lambda x, y: xp.where(x > 0.3, 0.25, y), lambda x, y: xp.sqrt(xp.abs(x)), lambda x, y: -x,
            ][pick.integers(7)](x, y))  # fmt: skip
        return tuple(pool[pick.integers(len(pool))] for _ in range(len(arrays) - 1))

    check(formula, some((4, 3), int(draw.integers(2, 6)), seed))


def test_few_arrays_beside_its_own() -> None:
    """Adam's step takes two, whatever its length."""
    at, move = torch.optim.Adam([torch.ones(1, requires_grad=True)])._prepared(
        {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0, "maximize": False}, notes
    )
    plan, _ = written(move, len(at(1.0)[0]), 4)
    assert plan.extra == (False, False)
    assert len(plan.steps) == 13


def test_a_formula_cannot_ask_for_values() -> None:
    with pytest.raises(TypeError, match="cannot depend on what a value is"):
        written(lambda now, p, g: (p if p > 0 else g,), 0, 2)
    with pytest.raises(TypeError, match="puts numbers, not arrays"):
        written(lambda now, p, g: (notes.where(p > 0, g, p),), 0, 2)


def test_large_arrays_are_moved_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inplace, "BLOCK", 10)
    for shape in ((101,), (7, 33), (33, 7), (3, 50, 2)):
        check(FORMULAS["functions"], some(shape, 3))
        check(FORMULAS["where"], [x.T for x in some(shape, 3)])
    plan, _ = written(lambda now, p, g, b: FORMULAS["functions"](notes, now, p, g, b), 0, 3)
    workshop = Workshop()
    p, b = some((1000,), 2)
    Move(plan, [p, b], 1, workshop)
    assert max(x.size for x in workshop._memory.values()) <= 10, "what is made on the way has a block's size"


def test_memory_in_any_order() -> None:
    c, f = some((6, 5), 3), [np.asfortranarray(x) for x in some((6, 5), 3)]
    strided = [np.repeat(x, 2, axis=1)[:, ::2] for x in c]
    for arrays in (c, f, [c[0], f[1], strided[2]], [strided[0], c[1], f[2]], [x[::-1] for x in f]):
        check(FORMULAS["momentum"], arrays)


def test_complex_numbers_are_pairs_of_real_ones() -> None:
    arrays = [x + 1j * y for x, y in zip(some((3, 4), 3), some((3, 4), 3, 1), strict=True)]
    found = carried_out(FORMULAS["functions"], arrays)
    for part in (np.real, np.imag):
        wanted = FORMULAS["functions"](numpy_, (), *map(part, arrays))
        for x, want in zip(found, wanted, strict=True):
            np.testing.assert_allclose(part(x), want, rtol=1e-15)


def test_memory_that_cannot_be_written_to() -> None:
    x = torch.from_numpy(np.ones(3)).requires_grad_()
    x.grad = torch.ones(3, dtype=torch.float64)
    x.detach().numpy().flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        torch.optim.SGD([x], lr=0.1).step()


def test_memory_maps(tmp_path: Any) -> None:
    mapped = np.memmap(tmp_path / "weights", np.float32, "w+", shape=(4,))
    x = torch.asarray(mapped).requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.5)
    for expected in (-0.5, -1.0):
        x.grad = torch.ones(4)
        optimizer.step()
        np.testing.assert_allclose(mapped, expected, rtol=1e-6)
    assert type(optimizer.state[x]["exp_avg"]._a) is np.ndarray


@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam", "RAdam", "Rprop", "ASGD", "RMSprop", "Adadelta", "Adagrad"])
def test_no_line_of_python_runs_while_a_parameter_moves(name: str) -> None:
    """Neither ours nor NumPy's: where none runs, no signal is handled."""
    x = torch.ones(300_000, requires_grad=True)
    x.grad = torch.ones_like(x)
    optimizer = getattr(torch.optim, name)([x], lr=0.1)
    optimizer.step()
    within: list[str] = []

    def seen(frame: FrameType, event: str, argument: Any) -> None:
        if frame.f_code is not run.__code__ and event == "call" and frame.f_back is not None:
            if frame.f_back.f_code is run.__code__:
                within.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        optimizer.step()
    finally:
        sys.setprofile(before)
    assert within == []


def test_what_is_kept_from_step_to_step_follows_changes() -> None:
    """Plans are kept; another rate, another memory, another state must be seen all the same."""
    x = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([x], lr=1.0, momentum=0.5)

    def step() -> list[float]:
        x.grad = torch.ones(2, dtype=torch.float64)
        optimizer.step()
        return x.detach().numpy().tolist()

    assert step() == [-1, -1]  # buffer 1
    optimizer.param_groups[0]["lr"] = 2.0
    assert step() == [-4, -4]  # buffer 1.5
    x.data = torch.zeros(2, dtype=torch.float64)
    assert step() == [-3.5, -3.5]  # buffer 1.75
    optimizer.state[x]["momentum_buffer"] = torch.zeros(2, dtype=torch.float64)
    assert step() == [-5.5, -5.5]
    optimizer.param_groups[0]["momentum"] = 0.0
    assert step() == [-7.5, -7.5]
    optimizer.param_groups[0].update(lr=torch.tensor(0.5), maximize=True)
    assert step() == [-7, -7]
    optimizer.param_groups[0]["lr"].fill_(1.0)
    assert step() == [-6, -6]
    optimizer.state.clear()
    optimizer.param_groups[0].update(momentum=0.5, nesterov=True)
    assert step() == [-4.5, -4.5]


def test_gradients_are_not_kept() -> None:
    x = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.Adam([x])
    for _ in range(2):
        (x * 2).sum().backward()
        held = weakref.ref(x.grad._a)
        optimizer.step()
        optimizer.zero_grad()
        assert held() is None


def test_numbers_are_those_of_each_parameters_own_step() -> None:
    """Groups, dtypes and options that change, parameters that join later: what a plan's numbers hold is always known."""
    kinds = ("float32", "float64", "float32", "float64")
    params = [torch.ones(2, dtype=getattr(torch, kind), requires_grad=True) for kind in kinds]
    lrs, expected = [0.5, 0.25], [(np.ones(2), None) for _ in params]
    optimizer = torch.optim.SGD(
        [{"params": params[:3], "lr": lrs[0]}, {"params": params[3:], "lr": lrs[1]}], momentum=0.5, dampening=0.25
    )
    for step in range(12):
        if step in (4, 5, 8):
            lrs.reverse()
            for group, lr in zip(optimizer.param_groups, lrs, strict=True):
                group["lr"] = lr
        for i, p in enumerate(params):
            p.grad = None
            if step >= i and (step + i) % 3:
                p.grad = torch.full_like(p, step + i)
                value, buffer = expected[i]
                buffer = 0.5 * buffer + 0.75 * (step + i) if buffer is not None else step + i
                expected[i] = (value - lrs[i // 3] * buffer, buffer)
        optimizer.step()
        for p, (value, _) in zip(params, expected, strict=True):
            assert np.allclose(p.detach().numpy(), value, rtol=1e-5), step

"""Optimisers without PyTorch: what a step does to numbers, memory and versions, and what it calls on the way."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.optim import SGD, Optimizer
from chainrule.optim.line_search import Trial, strong_wolfe
from parameters import leaf, numbers, with_grad

pytestmark = pytest.mark.usefixtures("own_generator")


# --- the arithmetic of a step -------------------------------------------------------------------------------

# options, then what a parameter at 1 with gradient 2, then 3, then 3 becomes, worked out by hand
STEPS: list[tuple[dict[str, Any], list[float]]] = [
    ({"lr": 0.1}, [0.8, 0.5, 0.2]),
    ({"lr": 0.1, "maximize": True}, [1.2, 1.5, 1.8]),
    ({"lr": 0.1, "weight_decay": 0.5}, [0.75, 0.4125, 0.091875]),
    ({"lr": 0.1, "momentum": 0.5}, [0.8, 0.4, -0.1]),  # buffer 2, 4, 5
    ({"lr": 0.1, "momentum": 0.5, "dampening": 0.5}, [0.8, 0.55, 0.275]),  # buffer 2, 2.5, 2.75
    ({"lr": 0.1, "momentum": 0.5, "nesterov": True}, [0.7, 0.2, -0.35]),  # 2 + 1, 3 + 2, 3 + 2.5
    ({"lr": torch.tensor(0.1, dtype=torch.float64)}, [0.8, 0.5, 0.2]),
    ({"lr": np.float32(0.5), "momentum": 0.5, "weight_decay": 1, "maximize": True}, [1.5, 2.5, 3.25]),
]


@pytest.mark.parametrize(("options", "expected"), STEPS)
def test_steps_worked_out_by_hand(options: dict[str, Any], expected: list[float]) -> None:
    x = leaf(1.0)
    optimizer = SGD([x], **options)
    found = []
    for g in (2.0, 3.0, 3.0):
        with_grad(x, g)
        optimizer.step()
        found += numbers(x)
        assert numbers(x.grad) == [g]
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_parameter_without_gradient_stays() -> None:
    x, y = with_grad(leaf(1.0), 1.0), leaf(1.0)
    SGD([x, y], lr=0.5, momentum=0.9).step()
    assert (numbers(x), numbers(y)) == ([0.5], [1.0])


def test_groups_have_options_of_their_own() -> None:
    x, y = with_grad(leaf(1.0), 1.0), with_grad(leaf(1.0), 1.0)
    optimizer = SGD([{"params": x}, {"params": [y], "lr": 0.25}], lr=0.5)
    optimizer.param_groups[0]["lr"] = 0.125  # what a schedule does
    optimizer.step()
    assert (numbers(x), numbers(y)) == ([0.875], [0.75])


def test_numbers_of_no_dimension_are_moved_too() -> None:
    x = torch.tensor(2.0, requires_grad=True)
    assert isinstance((x * 1)._a, np.generic)  # such results are immutable: the step must not rely on writing to them
    y = (x.detach() * 1).requires_grad_()
    optimizer = SGD([y], lr=0.5, momentum=0.5)
    for expected in (1.0, -0.5, -2.25):
        optimizer.zero_grad()
        (y * 2).backward()
        optimizer.step()
        assert y.item() == expected
    assert optimizer.state[y]["momentum_buffer"].shape == ()


def test_overflow_is_silent() -> None:
    x = torch.tensor([3e38], requires_grad=True)
    x.grad = torch.tensor([-3e38])
    SGD([x], lr=10).step()
    assert numbers(x) == [float("inf")]


# --- memory and versions ------------------------------------------------------------------------------------


def test_a_step_writes_into_the_same_memory() -> None:
    x = with_grad(leaf(1.0, 2.0), 1.0, 1.0)
    seen, view = x.detach().numpy(), x.detach()[1]
    SGD([x], lr=1).step()
    assert seen.tolist() == [0.0, 1.0]
    assert view.item() == 1.0


def test_backward_through_what_a_step_has_changed_is_an_error() -> None:
    x = leaf(1.0)
    loss = (x**2).sum()
    with_grad(x, 1.0)
    SGD([x], lr=1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_the_first_momentum_is_a_copy_of_the_gradient() -> None:
    x = with_grad(leaf(1.0), 2.0)
    optimizer = SGD([x], lr=0.1, momentum=0.9)
    optimizer.step()
    x.grad.fill_(100)
    assert numbers(optimizer.state[x]["momentum_buffer"]) == [2.0]


def test_zero_grad() -> None:
    x = with_grad(leaf(1.0), 2.0)
    held = x.grad
    optimizer = SGD([x])
    optimizer.zero_grad(set_to_none=False)
    assert x.grad is held
    assert numbers(held) == [0.0]
    optimizer.zero_grad()
    assert x.grad is None


NAMES = ["SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD"]


@pytest.mark.parametrize("name", [*NAMES, "Adafactor", "Muon"])
def test_parameters_and_gradients_of_other_libraries(name: str) -> None:
    """Arrays that cannot be written to are replaced, by the same formula."""
    jnp = pytest.importorskip("jax.numpy")
    start = np.arange(1.0, 7.0, dtype=np.float32).reshape(2, 3)
    there, here = torch.asarray(jnp.asarray(start)).requires_grad_(), torch.tensor(start, requires_grad=True)
    mixed = torch.tensor(start, requires_grad=True)  # numbers, with a gradient from there
    optimizers = [getattr(torch.optim, name)([p], lr=0.1) for p in (there, here, mixed)]
    for _ in range(3):
        for p, optimizer in zip((there, here, mixed), optimizers, strict=True):
            optimizer.zero_grad()
            ((p * there.detach()) if p is not here else p * here.detach()).sum().backward()
        for optimizer in optimizers:
            optimizer.step()
    assert type(there._a).__module__.startswith("jax")
    assert type(mixed._a) is np.ndarray
    np.testing.assert_allclose(np.asarray(there._a), here._a, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mixed._a, here._a, rtol=1e-5, atol=1e-5)
    ours, theirs = optimizers[1].state[here], optimizers[0].state[there]
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        np.testing.assert_allclose(np.asarray(theirs[key]._a), value._a, rtol=1e-5, atol=1e-5)


# --- closures, hooks, recorded steps ------------------------------------------------------------------------


def test_a_closure_is_called_first_and_with_gradients_on() -> None:
    x = leaf(1.0)
    optimizer = SGD([x], lr=0.25)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (x**2).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 1.0
    assert numbers(x) == [0.5]


def test_hooks_around_a_step_also_of_a_step_of_ones_own() -> None:
    class Signs(Optimizer):
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr})

        @torch.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    p.sub_(p.grad.sign() * group["lr"])

    for cls in (SGD, Signs):
        x, seen = with_grad(leaf(1.0), 2.0), []
        optimizer = cls([x], lr=0.5)
        optimizer.register_step_pre_hook(lambda o, args, kwargs, seen=seen, x=x: seen.append(numbers(x)))
        handle = optimizer.register_step_post_hook(lambda o, args, kwargs, seen=seen, x=x: seen.append(numbers(x)))
        optimizer.step()
        assert seen == [[1.0], numbers(x)]
        assert numbers(x) == ([0.0] if cls is SGD else [0.5])
        handle.remove()
        optimizer.step()
        assert len(seen) == 3


def test_a_rule_of_ones_own() -> None:
    class Halving(Optimizer):
        """Half of the value goes; what went before is kept."""

        _numbers = {}

        def _names(self, group: dict[str, Any], p: Any) -> tuple[str, ...]:
            return ("before", "steps")

        def _rule(self, group: dict[str, Any], xp: Any) -> Any:
            return lambda t: ((), ()), lambda now, p, g, before, steps: (p / 2, p, steps + 1)

    x = with_grad(leaf(8.0), 1.0)
    optimizer = Halving([x], {})
    optimizer.step()
    optimizer.step()
    assert numbers(x) == [2.0]
    assert numbers(optimizer.state[x]["before"]) == [4.0]
    assert numbers(optimizer.state[x]["steps"]) == [2.0]


def test_a_differentiable_step_is_recorded() -> None:
    start, lr = leaf(1.0), torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    x = start * 1
    x.retain_grad()
    optimizer = SGD([x], lr=lr, momentum=0.5, differentiable=True)
    for _ in range(2):
        (x.grad,) = torch.autograd.grad((x**2).sum(), x, create_graph=True)
        optimizer.step()
    # g = 2, x = 0.8; g = 1.6, b = 0.5 * 2 + 1.6 = 2.6, x = 0.54, and the same again with lr as a variable
    assert numbers(x) == pytest.approx([0.54])
    (slope,) = torch.autograd.grad(x.sum(), lr)
    h = 1e-6

    def end(rate: float) -> float:
        first = 1 - rate * 2
        return first - rate * (0.5 * 2 + 2 * first)

    assert slope.item() == pytest.approx((end(0.1 + h) - end(0.1 - h)) / (2 * h), rel=1e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam", "Adafactor", "LBFGS"])
def test_a_compiled_function_may_take_steps(name: str) -> None:
    """It runs uncompiled, and what its recording has tried has left no trace."""

    def train(compiled: bool) -> Any:
        w = leaf(1.0, 2.0)
        optimizer = getattr(torch.optim, name)([w], lr=0.1)

        def step(x: Any) -> Any:
            def closure() -> Any:
                optimizer.zero_grad()
                loss = ((w * x) ** 2).sum()
                loss.backward()
                return loss

            return optimizer.step(closure)

        def only() -> None:
            if name != "LBFGS":
                optimizer.step()

        fs = [torch.compile(f, backend="numpy") if compiled else f for f in (step, only)]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            losses = [fs[0](torch.ones(2, dtype=torch.float64)).item() for _ in range(3)]
            fs[1]()
        assert bool(caught) == (compiled and name == "LBFGS"), "which asks for numbers on the way"
        return losses, numbers(w), sorted(optimizer.state[w])

    assert train(True) == train(False)


# --- LBFGS --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slope", "enough"), [(-0.905, False), (-0.895, True), (0.905, False), (0.895, True)]
)  # of what it was at the start
def test_where_a_line_search_ends(slope: float, enough: bool) -> None:
    """The strong Wolfe conditions: a slope of 0.9 of the first, at most, and a fall of 1e-4 of what it promised."""
    seen = []

    def parabola(t: float) -> Trial:
        seen.append(t)
        rise = (slope + 1) / 2
        return Trial(t, -t + rise * t * t, None, -1 + 2 * rise * t)

    found, evaluations = strong_wolfe(parabola, 1.0, parabola(0.0), 1.0, 1e-9, 25)
    assert evaluations == len(seen) - 1
    assert (found.t == 1.0) == enough
    assert abs(found.slope) <= 0.9
    assert found.f <= -1e-4 * found.t


def test_lbfgs_keeps_numpys_warnings_for_the_closure() -> None:
    x, seen = leaf(1.0), []

    def closure() -> Any:
        seen.append((np.geterr(), torch.is_grad_enabled()))
        x.grad = None
        loss = (x**2).sum()
        loss.backward()
        return loss

    before = np.geterr()
    with torch.no_grad():
        torch.optim.LBFGS([x]).step(closure)
    assert seen and all(s == (before, True) for s in seen)
    assert np.geterr() == before

"""Whole steps of training, compiled: models, optimisers and schedules move as eagerly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import chainrule as torch
from chainrule import nn
from compiling import compile, equal, numbers, programs, same

__all__ = ["compile"]


class Norm(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n))
        self.register_buffer("var", torch.ones(n))
        self.register_buffer("count", torch.tensor(0))

    def forward(self, x: Any) -> Any:
        self.count.add_(1)
        return nn.functional.batch_norm(x, self.mean, self.var, training=self.training)


class Noise(nn.Module):
    def forward(self, x: Any) -> Any:
        kept = torch.empty_like(x).bernoulli_(0.7) / 0.7
        return x * kept + torch.rand_like(x.t()).t() * 0.1 + torch.randn(8) * 0.1


OPTIMISERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"lr": 0.1}),
    "momentum": ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True}),
    "dampening": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "maximize": True}),
    "Adam": ("Adam", {"lr": 0.01, "weight_decay": 0.1}),
    "AdamW": ("AdamW", {"lr": 0.01, "amsgrad": True}),
    "RMSprop": ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.5}),
    "Adagrad": ("Adagrad", {"lr": 0.1, "lr_decay": 0.1}),
    "Adadelta": ("Adadelta", {}),
    "Adamax": ("Adamax", {"lr": 0.01}),
    "Rprop": ("Rprop", {"lr": 0.01}),
    "NAdam": ("NAdam", {"lr": 0.01, "weight_decay": 0.1}),
    "RAdam": ("RAdam", {"lr": 0.01}),
    "ASGD": ("ASGD", {"lr": 0.1, "t0": 3}),
    "Adafactor": ("Adafactor", {"lr": 0.1}),
}


def train(wrap: Callable[[Any], Any], name: str, clip: bool, noisy: bool, steps: int = 8) -> Any:
    """Everything that a few steps of training leave behind."""
    torch.manual_seed(0)
    kind, options = OPTIMISERS[name]
    with_noise = [Norm(8), Noise(), nn.BatchNorm1d(8), nn.Dropout(0.3)] if noisy else []
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), *with_noise, nn.Linear(8, 3)).double()
    optimizer = getattr(torch.optim, kind)(model.parameters(), **options)
    x, target = torch.randn(16, 5, dtype=torch.float64), torch.arange(16) % 3

    def step(x: Any, target: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), target)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss.detach()

    f = wrap(step)
    losses = [f(x, target) for _ in range(steps)]
    grads = [p.grad for p in model.parameters()]
    held = [*model.state_dict().values(), *[x for s in optimizer.state.values() for x in s.values()]]
    return [numbers([losses, held, grads]), [x._version for x in held], numbers(torch.rand(2))], f


@pytest.mark.parametrize("name", OPTIMISERS)
def test_whole_steps(compile: Any, own_generator: Any, name: str) -> None:
    found, f = train(compile, name, clip=False, noisy=False)
    same(found, train(lambda f: f, name, clip=False, noisy=False)[0])
    assert len(f.entries) == 1


@pytest.mark.parametrize("clip", [False, True])
def test_whole_steps_with_noise_and_buffers(compile: Any, own_generator: Any, clip: bool) -> None:
    found, f = train(compile, "Adam", clip, noisy=True)
    same(found, train(lambda f: f, "Adam", clip, noisy=True)[0])
    assert len(f.entries) == 1


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints(compile: Any, own_generator: Any, reentrant: bool) -> None:
    """Parts that eager runs again are captured once, with the random numbers of the first run."""
    w = torch.linspace(-1, 1, 6).reshape(2, 3).requires_grad_()

    def run(x: Any) -> Any:
        y = torch.utils.checkpoint.checkpoint(lambda t: (t * torch.rand(3)).sin(), w * x, use_reentrant=reentrant)
        loss = (y * torch.rand(3)).sum()
        loss.backward()
        found, w.grad = w.grad, None
        return loss.detach(), found

    found = []
    for f in (compile(run), run):
        torch.manual_seed(1)
        found.append(numbers([[f(torch.ones(3)) for _ in range(3)], torch.rand(1)]))
    same(*found)


def test_muon(compile: Any) -> None:
    """By itself: it takes matrices only, and rounds to 8 bits on its way."""

    def train(wrap: Callable[[Any], Any]) -> Any:
        w = torch.linspace(-1, 1, 12).reshape(4, 3).clone().requires_grad_()
        optimizer = torch.optim.Muon([w], lr=0.1)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = ((w * x - 1) ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss.detach()

        f = wrap(step)
        return [f(torch.ones(3)) for _ in range(4)], w

    equal(train(compile), train(lambda f: f), 0.02)  # half a unit of 8 bits may fall to either side


def test_an_optimiser_goes_on_after_other_options(compile: Any, own_generator: Any) -> None:
    """Options are Python values, which the program depends on; state that is loaded is found again."""

    def run(wrap: Callable[[Any], Any]) -> Any:
        w = torch.tensor([1.0, 2.0], requires_grad=True)
        optimizer = torch.optim.Adam([w], lr=0.1)

        def step() -> None:
            optimizer.zero_grad()
            (w**2).sum().backward()
            optimizer.step()

        f = wrap(step)
        for i in range(6):
            f()
            if i == 2:
                optimizer.param_groups[0]["lr"] = 0.01
            if i == 4:
                optimizer.load_state_dict(optimizer.state_dict())
        return numbers([w, w.grad])

    same(run(compile), run(lambda f: f))


# --- parameters and options from step to step ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_parameters_are_updated_where_they_are(name: str, own_generator: Any) -> None:
    pytest.importorskip("llvmlite")

    def run(wrap: Any) -> tuple[list[Any], Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(40, 50), nn.Tanh(), nn.Linear(50, 40))
        optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.01)
        x, memory = torch.randn(8, 40), [p.data_ptr() for p in model.parameters()]

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        step = wrap(step)
        losses = [step(x) for _ in range(4)]
        assert [p.data_ptr() for p in model.parameters()] == memory
        return [*losses, *[p.detach() for p in model.parameters()], *[p._version for p in model.parameters()]], step

    wanted, _ = run(lambda f: f)
    found, step = run(lambda f: torch.compile(f, fullgraph=True))
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(torch.as_tensor(a), torch.as_tensor(b), rtol=2e-5, atol=4e-6)
    (runner,) = programs(step)
    large = [k for k, v in enumerate(runner.program.outputs) if k in runner.written and v.size == 2000]
    assert len(large) >= 2, "the weights at least are written by the loop that computes them"


def test_a_step_of_linear_regression_is_a_few_kernels(own_generator: Any) -> None:
    pytest.importorskip("llvmlite")
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(100, 3), torch.randn(100, 1)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    step = torch.compile(step, fullgraph=True)
    for _ in range(2):
        step(x, y)
    (runner,) = programs(step)
    names = [k.text.partition("(")[0].removeprefix("def ") for k in runner.kernels]
    assert names == ["narrow", "loop", "fold", "fold", "line", "deep", "loop"]
    assert len(runner.written) == 2


class AllOptions:
    """Changes every option that is a float, or a tuple of such."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer

    def step(self) -> None:
        for group in self.optimizer.param_groups:
            for k, v in group.items():
                if isinstance(v, float):
                    group[k] = v * 0.98
                elif isinstance(v, tuple):
                    group[k] = tuple(x * 0.998 for x in v)


schedulers = torch.optim.lr_scheduler
SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "exponential": lambda optimizer: schedulers.ExponentialLR(optimizer, 0.8),
    "one cycle": lambda optimizer: schedulers.OneCycleLR(optimizer, 0.1, total_steps=8),
    "cyclic": lambda optimizer: schedulers.CyclicLR(optimizer, 0.01, 0.1, step_size_up=3),
    "all options": AllOptions,
}
SCHEDULED = [
    *[(name, "exponential", {}) for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Rprop")],
    *[(name, "all options", {}) for name in ("Adam", "Adagrad", "Adadelta", "Adamax", "Rprop")],
    ("SGD", "one cycle", {"momentum": 0.9, "nesterov": True}), ("SGD", "cyclic", {"momentum": 0.9, "dampening": 0.1}),
    ("SGD", "all options", {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1}), ("Adam", "one cycle", {}),
    ("AdamW", "cyclic", {"amsgrad": True}), ("RMSprop", "one cycle", {"momentum": 0.5}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "schedule", "options"), SCHEDULED)
def test_a_scheduler_does_not_compile_anew(
    compile: Any, name: str, schedule: str, options: Any, own_generator: Any
) -> None:
    def run(wrap: Any) -> tuple[list[Any], Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        scale = torch.ones((), requires_grad=True)
        optimizer = getattr(torch.optim, name)([*model.parameters(), scale], lr=0.1, **options)
        scheduler = SCHEDULES[schedule](optimizer)
        x, losses = torch.randn(16, 4), []

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = (model(x) * scale - 1).square().mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        step = wrap(step)
        for _ in range(7):
            losses.append(step(x))
            scheduler.step()
        assert scale.dtype == torch.float32
        return [*losses, *[p.detach() for p in model.parameters()], scale.detach()], step

    (wanted, _), (found, step) = run(lambda f: f), run(compile)
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)
    assert len(step.entries) == 1


@pytest.mark.parametrize(
    ("name", "at_first", "later"),
    [
        ("SGD", {"momentum": 0.9, "weight_decay": 0.1}, [{"momentum": 0.0}, {"momentum": 0.8}, {"weight_decay": 0.0}]),
        ("SGD", {"momentum": 0.9, "nesterov": True}, [{"nesterov": False}, {"momentum": 0.5}, {"nesterov": True}]),
        ("SGD", {"momentum": 0.9, "dampening": 0.0}, [{"dampening": 0.5}, {"dampening": 0}, {"maximize": True}]),
        ("Adam", {"betas": (0.4, 0.9)}, [{"betas": (0.6, 0.9)}, {"betas": (0.3, 0.8)}, {"weight_decay": 0.1}]),
        ("RMSprop", {"momentum": 0.5}, [{"momentum": 0.0}, {"momentum": 0.25}, {"eps": 1e-3}]),
    ],
)
def test_options_that_a_step_branches_on(
    compile: Any, name: str, at_first: Any, later: list[Any], own_generator: Any
) -> None:
    def run(wrap: Any) -> Any:
        w = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
        optimizer = getattr(torch.optim, name)([w], lr=0.1, **at_first)

        def step() -> None:
            optimizer.zero_grad()
            (w**2).sum().backward()
            optimizer.step()

        f = wrap(step)
        for changed in [{}, {}, *later, at_first]:
            optimizer.param_groups[0].update(changed)
            f()
            f()
        return numbers([w, w.grad, *optimizer.state[w].values()])

    same(run(compile), run(lambda f: f))


def test_learning_rates_that_the_function_looks_at(compile: Any) -> None:
    w = torch.ones(3, requires_grad=True)
    w.grad = torch.ones(3)
    optimizer = torch.optim.SGD([w], lr=0.5)

    def looks(x: Any) -> Any:
        optimizer.step()
        return x * 2 if optimizer.param_groups[0]["lr"] > 0.3 else x * 3

    f = compile(looks)
    assert f(torch.ones(1)).item() == 2
    optimizer.param_groups[0]["lr"] = 0.25
    assert f(torch.ones(1)).item() == 3
    assert w.tolist() == [0.25] * 3
    assert len(f.entries) == 2
    optimizer.param_groups[0]["lr"] = 0.5
    assert f(torch.ones(1)).item() == 2
    optimizer.param_groups[0]["lr"] = 0.125
    assert f(torch.ones(1)).item() == 3
    assert w.tolist() == [-0.375] * 3
    assert len(f.entries) == 2

    optimizer.param_groups[0]["lr"] = 0.25

    def gives(x: Any) -> Any:
        return x * 2, optimizer.param_groups[0]["lr"]

    f = compile(gives)
    assert f(torch.ones(1))[1] == 0.25
    assert type(f(torch.ones(1))[1]) is float

    def changes(x: Any) -> Any:
        optimizer.param_groups[0]["lr"] *= 0.5
        return x * 2

    f = torch.compile(changes)
    with pytest.warns(UserWarning, match="it changes"):
        f(torch.ones(1))
    assert optimizer.param_groups[0]["lr"] == 0.125

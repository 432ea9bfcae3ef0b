"""Compiled functions that change things: tensors from outside, gradients, optimisers, random streams.  All as eager."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import nn
from chainrule.compiler.watching import Uncompilable
from compiling import compile

__all__ = ["compile"]


def numbers(x: Any) -> Any:
    """What is in a structure of tensors."""
    if isinstance(x, torch.Tensor):
        return x.detach().numpy().copy(), x.requires_grad
    if isinstance(x, (list, tuple)):
        return [numbers(y) for y in x]
    return [numbers(y) for y in x.values()] if isinstance(x, dict) else x


def same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, list):
        for a, b in zip(found, wanted, strict=True):
            same(a, b)
    elif isinstance(wanted, tuple):
        assert found[1:] == wanted[1:]
        tolerance = 1e-9 if wanted[0].dtype.itemsize == 8 else 1e-5
        np.testing.assert_allclose(found[0], wanted[0], rtol=tolerance, atol=tolerance)
    else:
        assert found == wanted


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


# --- whole steps ---------------------------------------------------------------------------------------------------


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
}


def train(wrap: Callable[[Any], Any], name: str, clip: bool, noisy: bool, steps: int = 4) -> Any:
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


def test_an_optimiser_that_asks_for_numbers_falls_back(own_generator: Any) -> None:
    OPTIMISERS["NAdam"] = ("NAdam", {"lr": 0.01})
    try:
        with pytest.warns(UserWarning, match="a value was asked"):
            found, _ = train(lambda f: torch.compile(f, backend="numpy"), "NAdam", False, False)
        same(found, train(lambda f: f, "NAdam", False, False)[0])
    finally:
        del OPTIMISERS["NAdam"]


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


# --- random numbers ------------------------------------------------------------------------------------------------


def test_random_numbers_are_those_of_the_stream(compile: Any, own_generator: Any) -> None:
    own = torch.Generator()

    def f(x: Any) -> Any:
        noise = torch.randn(3, 4) + torch.rand(4, generator=own) + torch.randint(0, 9, (4,))
        return x * noise + torch.zeros(4, 3).t().bernoulli_(0.5) + torch.normal(0.0, 2.0, (3, 4))

    x, found = torch.ones(3, 4), []
    for g in (f, compile(f)):
        torch.manual_seed(1)
        own.manual_seed(2)
        found.append(numbers([[g(x) for _ in range(3)], torch.rand(1), torch.rand(1, generator=own)]))
    same(*found)


def test_noise_follows_the_layout(compile: Any, own_generator: Any) -> None:
    def f(x: Any) -> Any:
        return x + torch.rand_like(x * 2) + torch.randn_like(x)

    g = compile(f)
    for x in (torch.ones(200, 3), torch.ones(3, 200).t(), torch.ones(2, 40_000).t()):
        torch.manual_seed(1)
        wanted = numbers(f(x))
        torch.manual_seed(1)
        same(numbers(g(x)), wanted)


def test_gradients_of_what_is_multiplied_by_noise(compile: Any, own_generator: Any) -> None:
    def f(x: Any) -> Any:
        return (x * torch.rand(3)) ** 2

    def all_of(f: Any) -> Any:
        torch.manual_seed(1)
        x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = f(x)
        (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x)
        return numbers([y.detach(), first.detach(), second])

    same(all_of(compile(f)), all_of(f))


def seeds(x: Any) -> Any:
    torch.manual_seed(3)
    return x * torch.rand(2)


def rewinds(x: Any) -> Any:
    state = torch.get_rng_state()
    y = x * torch.rand(2)
    torch.set_rng_state(state)
    return y


def permutes(x: Any) -> Any:
    return x[torch.randperm(2)]


def weighs(x: Any) -> Any:
    return torch.bernoulli(x / 3)


def numpys(x: Any) -> Any:
    return x * float(np.random.rand())


@pytest.mark.parametrize("f", [seeds, rewinds, weighs, numpys])
def test_streams_that_cannot_be_repeated(f: Any, own_generator: Any) -> None:
    x, found = torch.tensor([1.0, 2.0]), []
    for g in (f, torch.compile(f, backend="numpy")):
        torch.manual_seed(1)
        np.random.seed(0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found.append(numbers([[g(x) for _ in range(3)], torch.rand(1)]))
    same(*found)
    assert len(caught) == 1


def programs(f: Any) -> list[Any]:
    return [e.runner for e in f.entries]


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
        assert torch.allclose(torch.as_tensor(a), torch.as_tensor(b), rtol=2e-5, atol=1e-6)
    (runner,) = programs(step)
    large = [k for k, v in enumerate(runner.program.outputs) if k in runner.written and v.size == 2000]
    assert len(large) >= 2, "the weights at least are written by the loop that computes them"


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


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Rprop"])
def test_a_scheduler_does_not_compile_anew(compile: Any, name: str, own_generator: Any) -> None:
    def run(wrap: Any) -> tuple[list[Any], Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        scale = torch.ones((), requires_grad=True)
        optimizer = getattr(torch.optim, name)([*model.parameters(), scale], lr=0.1)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.8)
        x, losses = torch.randn(16, 4), []

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = (model(x) * scale - 1).square().mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        step = wrap(step)
        for _ in range(8):
            losses.append(step(x))
            scheduler.step()
        assert scale.dtype == torch.float32
        return [*losses, *[p.detach() for p in model.parameters()], scale.detach()], step

    (wanted, _), (found, step) = run(lambda f: f), run(compile)
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)
    assert len(step.entries) == 1


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


@pytest.mark.parametrize("shape", [(2, 1, 3), (40, 50, 60)])
def test_random_numbers_go_into_memory_as_it_lies(compile: Any, shape: Any, own_generator: Any) -> None:
    def f(x: Any) -> Any:
        y = torch.where(x > 0, x, x * 2).transpose(0, -1)
        noise = [torch.empty_like(y).bernoulli_(0.5), torch.zeros_like(y).uniform_(), torch.ones_like(y).normal_()]
        return [y * a for a in noise]

    compiled, x = compile(f), torch.randn(*shape, dtype=torch.float64)
    for given in (x, x.transpose(0, 1), x):
        torch.manual_seed(1)
        wanted = f(given)
        torch.manual_seed(1)
        for a, b in zip(compiled(given), wanted, strict=True):
            assert torch.allclose(a, b, rtol=1e-12)


def test_the_same_memory_twice_is_seen() -> None:
    def f(w: Any, d: Any) -> Any:
        w.mul_(2.0)
        return d + 0

    compiled, w = torch.compile(f), torch.ones(50)
    assert compiled(torch.ones(50), torch.ones(50))[0].item() == 1
    with pytest.warns(UserWarning, match="memory others share"):
        assert compiled(w, w.detach())[0].item() == 2

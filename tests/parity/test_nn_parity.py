"""The same lines through PyTorch and through chainrule: weights, steps, losses and functions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lines import Lines, numbers, outcome

import chainrule

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("own_generator", "one_thread")


# --- weights ---------------------------------------------------------------------------------------------

LAYERS: list[Lines] = [
    lambda t: t.nn.Linear(3, 2),
    lambda t: t.nn.Linear(1, 1),
    lambda t: t.nn.Linear(20, 30),
    lambda t: t.nn.Linear(5, 4, bias=False),
    lambda t: t.nn.Linear(7, 5, dtype=t.float64),
    lambda t: t.nn.Sequential(t.nn.Linear(2, 16), t.nn.ReLU(), t.nn.Linear(16, 17), t.nn.Tanh(), t.nn.Linear(17, 1)),
]


@pytest.mark.parametrize("seed", [0, 1, 42])
@pytest.mark.parametrize("layer", LAYERS)
def test_the_same_seed_gives_the_same_weights(layer: Lines, seed: int) -> None:
    states = []
    for t in (torch, chainrule):
        t.manual_seed(seed)
        states.append({k: v.numpy().copy() for k, v in layer(t).state_dict().items()})
    theirs, ours = states
    assert list(theirs) == list(ours)
    for key, value in theirs.items():
        assert ours[key].dtype == value.dtype
        np.testing.assert_array_equal(ours[key], value)


FILLS: list[Lines] = [
    lambda i, x: i.uniform_(x, -2, 3),
    lambda i, x: i.normal_(x, 1, 0.5),
    lambda i, x: i.constant_(x, 0.3),
    lambda i, x: i.ones_(x),
    lambda i, x: i.zeros_(x),
    lambda i, x: i.eye_(x),
    lambda i, x: i.xavier_uniform_(x, gain=1.5),
    lambda i, x: i.xavier_normal_(x),
    lambda i, x: i.kaiming_uniform_(x, mode="fan_out", nonlinearity="relu"),
    lambda i, x: i.kaiming_normal_(x, a=0.2),
    lambda i, x: i.kaiming_normal_(x.t(), nonlinearity="tanh").t(),
    lambda i, x: i.trunc_normal_(x),
    lambda i, x: i.trunc_normal_(x, 1.0, 0.5, 1.2, 1.4),
    lambda i, x: i.orthogonal_(x.double(), gain=1.3),
    lambda i, x: i.orthogonal_(x.double().t()).t(),
    lambda i, x: i.sparse_(x, 0.4),
    lambda i, x: i.dirac_(x.reshape(4, -1, 1), groups=2).reshape(x.shape),
]  # type: ignore[list-item]


@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("shape", [(3, 4), (8, 8)])
@pytest.mark.parametrize("fill", FILLS)
def test_first_values(fill: Callable[[Any, Any], Any], shape: tuple[int, int], wanted: bool) -> None:
    found = []
    for t in (torch, chainrule):
        t.manual_seed(3)
        with t.no_grad():
            filled = fill(t.nn.init, t.full(shape, 9.0).requires_grad_(wanted))
        found.append((filled.detach().numpy().copy(), t.rand(1).item()))  # and the stream stands where PyTorch's does
    (theirs, next_theirs), (ours, next_ours) = found
    np.testing.assert_allclose(ours, theirs, rtol=5e-7, atol=1e-7)
    assert next_ours == next_theirs


def test_more_than_two_dimensions_count_the_window() -> None:
    for name in ("xavier_uniform_", "kaiming_uniform_"):
        found = []
        for t in (torch, chainrule):
            t.manual_seed(0)
            found.append(numbers(getattr(t.nn.init, name)(t.zeros(4, 3, 2, 5))))
        assert found[0] == found[1]


# --- steps -----------------------------------------------------------------------------------------------

ALL = itertools.product([0.0, 0.9], [0.0, 0.1], [0.0, 0.3], [False, True], [False, True])
OPTIONS: list[dict[str, Any]] = [
    {"lr": 0.05},
    *({"lr": 0.02, "momentum": m, "weight_decay": w, "dampening": d, "nesterov": n, "maximize": up}
      for m, w, d, n, up in ALL if not (n and (d or not m))),
]  # fmt: skip


def train(t: Any, options: dict[str, Any], dtype: str, steps: int) -> list[Any]:
    t.manual_seed(7)
    model = t.nn.Sequential(t.nn.Linear(3, 8), t.nn.Tanh(), t.nn.Linear(8, 2)).to(getattr(t, dtype))
    extra = t.nn.Parameter(t.tensor(0.5, dtype=getattr(t, dtype)))  # a 0-d parameter
    unused = t.nn.Parameter(t.ones(2))
    x, y = t.rand(10, 3, dtype=getattr(t, dtype)), t.rand(10, 2, dtype=getattr(t, dtype))
    optimizer = t.optim.SGD([{"params": model.parameters()}, {"params": [extra, unused], "lr": 0.01}], **options)
    loss = None
    for _ in range(steps):
        optimizer.zero_grad()
        loss = t.nn.MSELoss()(model(x) * extra, y)
        (-loss if options.get("maximize") else loss).backward()
        optimizer.step()
    values = [p.detach().numpy().copy() for p in [*model.parameters(), extra, unused]]
    buffers = [s["momentum_buffer"].numpy() for s in optimizer.state_dict()["state"].values()]
    return [np.asarray(loss.detach().numpy()), *values, *buffers]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(f"{k}{v}" for k, v in o.items() if v))
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-12)])
def test_a_hundred_steps(options: dict[str, Any], dtype: str, tolerance: float) -> None:
    theirs, ours = train(torch, options, dtype, 100), train(chainrule, options, dtype, 100)
    assert len(theirs) == len(ours)
    for a, b in zip(theirs, ours, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(b, a, rtol=tolerance * 5, atol=tolerance)


def test_the_comparison_of_steps_can_fail() -> None:
    theirs = train(torch, {"lr": 0.05, "momentum": 0.9}, "float32", 100)
    ours = train(chainrule, {"lr": 0.05, "momentum": 0.9001}, "float32", 100)
    assert max(float(np.abs(a - b).max()) for a, b in zip(theirs, ours, strict=True)) > 1e-5


# --- losses and functions --------------------------------------------------------------------------------


def losses(t: Any, loss: Lines, dtype: str = "float64") -> Any:
    t.manual_seed(5)
    kind = getattr(t, dtype)
    x = t.randn(6, 4, dtype=kind).requires_grad_()
    y = t.rand(6, 4, dtype=kind)
    value = loss(t.nn, x, y, t.tensor([0, 3, 1, 1, 2, 0]), t.tensor([0.5, 1.0, 2.0, 0.25], dtype=kind))  # type: ignore[call-arg]
    value.sum().backward()
    return [value, x.grad]


LOSSES: list[Any] = [
    lambda n, x, y, k, w: n.MSELoss()(x, y),
    lambda n, x, y, k, w: n.MSELoss(reduction="sum")(x, y),
    lambda n, x, y, k, w: n.MSELoss(reduction="none")(x, y),
    lambda n, x, y, k, w: n.functional.mse_loss(x, y, weight=y),
    lambda n, x, y, k, w: n.L1Loss()(x, y),
    lambda n, x, y, k, w: n.L1Loss(reduction="none")(x, y),
    lambda n, x, y, k, w: n.functional.l1_loss(x, y, reduction="sum", weight=y),
    lambda n, x, y, k, w: n.CrossEntropyLoss()(x, k),
    lambda n, x, y, k, w: n.CrossEntropyLoss(weight=w, ignore_index=1, label_smoothing=0.2)(x, k),
    lambda n, x, y, k, w: n.CrossEntropyLoss(weight=w, label_smoothing=0.2, reduction="none")(x, y.softmax(1)),
    lambda n, x, y, k, w: n.NLLLoss(weight=w, reduction="sum")(n.LogSoftmax(dim=1)(x), k),
    lambda n, x, y, k, w: n.BCELoss()(n.Sigmoid()(x), y),
    lambda n, x, y, k, w: n.BCELoss(weight=w, reduction="sum")(n.Sigmoid()(x), y),
    lambda n, x, y, k, w: n.BCEWithLogitsLoss()(x * 30, y),
    lambda n, x, y, k, w: n.BCEWithLogitsLoss(pos_weight=w, weight=y, reduction="none")(x, y),
    lambda n, x, y, k, w: n.Softmax(dim=1)(x) * y,
    lambda n, x, y, k, w: n.Softplus(beta=2)(x * 3) * y,
    lambda n, x, y, k, w: n.ReLU()(x) * y + n.Tanh()(x) + n.functional.relu(x * 1, inplace=True),
    lambda n, x, y, k, w: n.Flatten(0)(x) * n.Identity(1, a=2)(n.Flatten(0)(y)),
    lambda n, x, y, k, w: n.functional.linear(x, y),
    lambda n, x, y, k, w: n.Sequential(n.Linear(4, 5), n.Tanh(), n.Linear(5, 1)).double()(x),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_and_their_gradients(loss: Any) -> None:
    for ours, theirs in zip(losses(chainrule, loss), losses(torch, loss), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_saturated_probabilities_have_finite_losses_and_gradients() -> None:
    def lines(t: Any) -> Any:
        x = t.tensor([0.0, 1.0, 0.0, 1.0, 0.5], requires_grad=True)
        loss = t.nn.BCELoss(reduction="none")(x, t.tensor([0.0, 1.0, 1.0, 0.0, 1.0]))
        loss.sum().backward()
        return [loss, bool(x.grad.isfinite().all()) if t is torch else bool(np.isfinite(x.grad.numpy()).all())]

    assert outcome(lines, chainrule)[0] == outcome(lines, torch)[0]


@pytest.mark.parametrize("classes", [-1, 4])
def test_one_hot(classes: int) -> None:
    for entries in ([0, 2, 1], [[1, 1], [0, 3]]):
        ours, theirs = (t.nn.functional.one_hot(t.tensor(entries), classes) for t in (chainrule, torch))
        assert numbers(ours) == numbers(theirs)
        assert str(ours.dtype) == str(theirs.dtype)

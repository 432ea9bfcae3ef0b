"""Schedules, averaged weights and bounds for gradients, without PyTorch: what recorded runs do not show."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
import weakref
from typing import Any

import numpy as np
import pytest

import chainrule as torch
import optim_schedules
from chainrule import nn
from chainrule.optim import SGD, lr_scheduler, swa_utils
from chainrule.optim.lr_scheduler import ExponentialLR, LambdaLR, LRScheduler, ReduceLROnPlateau, StepLR

pytestmark = pytest.mark.usefixtures("own_generator")


def leaf(*values: float) -> Any:
    return torch.tensor(list(values), dtype=torch.float64, requires_grad=True)


def optimizer(lr: Any = 1.0) -> SGD:
    return SGD([leaf(1.0)], lr=lr, momentum=0.9)


# --- schedules ----------------------------------------------------------------------------------------------


def test_a_schedule_of_ones_own() -> None:
    class Roots(LRScheduler):
        def get_lr(self) -> list[Any]:
            return [lr / (1 + self.last_epoch) ** 0.5 for lr in self.base_lrs]

    o = optimizer()
    scheduler = Roots(o)
    for epoch in range(1, 5):
        o.step()
        scheduler.step()
        assert o.param_groups[0]["lr"] == 1 / (1 + epoch) ** 0.5


def test_the_order_of_steps_is_watched_once() -> None:
    o = optimizer()
    scheduler = StepLR(o, 1)
    with pytest.warns(UserWarning, match=r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
        scheduler.step()
    scheduler.step()


def test_the_optimizer_is_not_kept_alive_by_its_own_step() -> None:
    o = optimizer()
    StepLR(o, 1)
    gone = weakref.ref(o)
    del o
    assert gone() is None


def test_an_optimizer_with_a_schedule_can_be_copied() -> None:
    o = optimizer()
    scheduler = StepLR(o, 1, 0.5)
    o.step()
    scheduler.step()
    for twin in (copy.deepcopy(o), pickle.loads(pickle.dumps(o))):
        assert twin.param_groups[0]["lr"] == 0.5
        twin.step()


def test_schedules_act_together() -> None:
    o = optimizer()
    both = [ExponentialLR(o, 0.5), StepLR(o, 2, 0.1)]
    for _ in range(2):
        o.step()
        for scheduler in both:
            scheduler.step()
    assert o.param_groups[0]["lr"] == pytest.approx(0.5**2 * 0.1)


def test_a_rate_that_is_a_tensor_stays_one() -> None:
    rate = torch.tensor(1.0)
    o = optimizer(rate)
    scheduler = ExponentialLR(o, 0.5)
    o.step()
    scheduler.step()
    assert o.param_groups[0]["lr"] is rate
    assert rate.item() == 0.5
    (last,) = scheduler.get_last_lr()
    assert last is not rate
    assert scheduler.base_lrs[0].item() == 1.0


def test_a_state_goes_out_and_comes_back() -> None:
    class Rate:
        def __init__(self, base: float) -> None:
            self.base = base

        def __call__(self, epoch: int) -> float:
            return float(self.base**epoch)

    o = optimizer()
    first = LambdaLR(o, Rate(0.5))
    for _ in range(3):
        o.step()
        first.step()
    state = first.state_dict()
    assert state["lr_lambdas"] == [{"base": 0.5}]
    assert "optimizer" not in state
    twin = LambdaLR(optimizer(), Rate(0.9))
    twin.load_state_dict(pickle.loads(pickle.dumps(state)))
    assert state["lr_lambdas"] == [{"base": 0.5}], "what was loaded is as it was"
    twin.optimizer.step()
    twin.step()
    assert twin.get_last_lr() == [0.5**4]


def test_plain_functions_are_not_saved() -> None:
    scheduler = LambdaLR(optimizer(), lambda epoch: 0.5)
    assert scheduler.state_dict()["lr_lambdas"] == [None]
    scheduler.load_state_dict(scheduler.state_dict())


def test_going_on_needs_the_first_rate() -> None:
    with pytest.raises(KeyError, match=r"param 'initial_lr' is not specified in param_groups\[0\]"):
        StepLR(optimizer(), 1, last_epoch=4)
    o = optimizer(0.25)
    o.param_groups[0]["initial_lr"] = 1.0
    assert StepLR(o, 2, 0.5, last_epoch=4).last_epoch == 5
    assert o.param_groups[0]["lr"] == 0.25


def test_a_plateau_that_gets_a_new_group() -> None:
    o = optimizer()
    scheduler = ReduceLROnPlateau(o, factor=0.5, patience=0)
    o.add_param_group({"params": [leaf(2.0)], "lr": 4.0})
    scheduler.step(1.0)
    scheduler.step(1.0)
    assert [g["lr"] for g in o.param_groups] == [0.5, 2.0]
    scheduler = ReduceLROnPlateau(o, factor=0.5, patience=0, min_lr=[0.1, 0.1])
    o.add_param_group({"params": [leaf(3.0)]})
    scheduler.step(1.0)
    with pytest.raises(RuntimeError, match="differs from when `ReduceLROnPlateau` was initialized"):
        scheduler.step(1.0)


def test_one_cycle_ends() -> None:
    o = optimizer()
    scheduler = lr_scheduler.OneCycleLR(o, 1.0, total_steps=3)
    for _ in range(3):
        o.step()
        scheduler.step()
    with pytest.raises(ValueError, match="Tried to step 4 times. The specified number of total steps is 3"):
        scheduler.step()


@pytest.mark.parametrize("name", optim_schedules.SCHEDULES)
def test_a_schedule_goes_on_from_its_state(name: str) -> None:
    """Half of the steps, saved, loaded into new objects, and the other half: as all in one go."""
    whole = optim_schedules.run(torch, name)
    o = optim_schedules.optimizer(torch)
    scheduler = optim_schedules.SCHEDULES[name](lr_scheduler, o, torch)
    for _ in range(6):
        o.step()
        scheduler.step()
    again = optim_schedules.optimizer(torch)
    twin = optim_schedules.SCHEDULES[name](lr_scheduler, again, torch)
    again.load_state_dict(copy.deepcopy(o.state_dict()))
    twin.load_state_dict(copy.deepcopy(scheduler.state_dict()))
    for step in range(7, optim_schedules.STEPS + 1):
        again.step()
        twin.step()
        assert optim_schedules.numbers(again) == whole[step]


# --- averaged weights ---------------------------------------------------------------------------------------


def test_the_average_is_a_copy_that_is_saved() -> None:
    model = nn.Linear(2, 1)
    averaged = swa_utils.AveragedModel(model)
    assert not {id(p) for p in model.parameters()} & {id(p) for p in averaged.parameters()}
    averaged.update_parameters(model)
    state = averaged.state_dict()
    assert list(state) == ["n_averaged", "module.weight", "module.bias"]
    twin = swa_utils.AveragedModel(nn.Linear(2, 1))
    twin.load_state_dict(state)
    assert twin.n_averaged.item() == 1
    x = torch.randn(3, 2)
    assert torch.equal(twin(x), averaged(x))
    assert torch.equal(averaged(x), model(x))


class _BatchNorm(nn.Module):
    """As much of a batch normalisation as :func:`update_bn` knows of."""

    def __init__(self) -> None:
        super().__init__()
        self.momentum: float | None = 0.1
        self.reset_running_stats()
        self.seen: list[Any] = []

    def reset_running_stats(self) -> None:
        self.mean, self.batches = 100.0, 0

    def forward(self, x: Any) -> Any:
        self.seen.append((self.training, torch.is_grad_enabled(), self.momentum))
        self.batches += 1
        rate = 1 / self.batches if self.momentum is None else self.momentum
        self.mean += rate * (x.mean().item() - self.mean)
        return x


def test_update_bn() -> None:
    layer = _BatchNorm()
    model = nn.Sequential(layer).eval()
    swa_utils.update_bn([torch.ones(2), (torch.ones(2) * 3, "label"), [torch.ones(2) * 5]], model)
    assert layer.mean == pytest.approx(3.0)
    assert layer.momentum == 0.1
    assert layer.seen == [(True, False, None)] * 3
    assert not model.training


# --- bounds -------------------------------------------------------------------------------------------------


def with_grad(*values: float) -> Any:
    p = leaf(*[0.0] * len(values))
    p.grad = torch.tensor(list(values), dtype=torch.float64)
    return p


def test_gradients_within_a_norm_stay() -> None:
    p = with_grad(3.0, 4.0)
    held = p.grad
    assert nn.utils.clip_grad_norm_(p, 5.1).item() == 5.0
    assert held.tolist() == [3.0, 4.0]
    nn.utils.clip_grad_norm_([p], 1.0)
    assert p.grad is held
    np.testing.assert_allclose(held.numpy(), [0.6, 0.8], rtol=1e-6)


def test_nan_is_passed_on_or_refused() -> None:
    p = with_grad(float("nan"), 1.0)
    with pytest.raises(RuntimeError, match="non-finite, so it cannot be clipped"):
        nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    assert p.grad.tolist()[1] == 1.0
    assert math.isnan(nn.utils.clip_grad_norm_([p], 1.0).item())
    assert all(map(math.isnan, p.grad.tolist()))


def test_an_empty_generator_is_told() -> None:
    with pytest.warns(UserWarning, match="empty generator"):
        nn.utils.clip_grad_norm_((p for p in ()), 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.utils.clip_grad_norm_([], 1.0)


def test_backward_through_a_clipped_gradient_is_an_error() -> None:
    x = leaf(2.0)
    (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    second = (g * g).sum()
    x.grad = g
    nn.utils.clip_grad_value_([x], 1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        second.backward()


def test_parameters_of_other_libraries() -> None:
    jnp = pytest.importorskip("jax.numpy")
    x = torch.asarray(jnp.ones(2)).requires_grad_()
    (x * torch.asarray(jnp.array([3.0, 4.0]))).sum().backward()
    assert nn.utils.clip_grad_norm_([x], 1.0).item() == pytest.approx(5.0)
    np.testing.assert_allclose(np.asarray(x.grad._a), [0.6, 0.8], rtol=1e-6)
    nn.utils.clip_grad_value_([x], 0.7)
    np.testing.assert_allclose(np.asarray(x.grad._a), [0.6, 0.7], rtol=1e-6)


def test_a_vector_of_parameters_and_back() -> None:
    model = nn.Linear(2, 2)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    vector = nn.utils.parameters_to_vector(model.parameters())
    assert vector.shape == (6,)
    (vector * torch.arange(6.0)).sum().backward()
    assert model.weight.grad.tolist() == [[0, 1], [2, 3]]
    doubled = vector.detach() * 2
    nn.utils.vector_to_parameters(doubled, model.parameters())
    assert all(torch.equal(v, before[k] * 2) for k, v in model.state_dict().items())
    doubled[0] = 7
    assert model.weight[0, 0].item() == 7, "the memory is the vector's"

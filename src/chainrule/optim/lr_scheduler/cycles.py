"""Schedules that go up and down, the momentum against the rate."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any

from ..optimizer import Optimizer
from .scheduler import LRScheduler, assign, check_optimizer, per_group


def _set_momentum(group: dict[str, Any], value: Any) -> None:
    """Momentum, or what stands for it: the first of Adam's betas."""
    if "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


def _start_momenta(optimizer: Optimizer, base: Any, most: Any, last_epoch: int) -> tuple[list[Any], list[Any]]:
    """The bounds between which the momentum goes, for each group, in which they are noted."""
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
    bases, mosts = per_group("base_momentum", optimizer, base), per_group("max_momentum", optimizer, most)
    if last_epoch == -1:
        for low, high, group in zip(bases, mosts, optimizer.param_groups, strict=True):
            _set_momentum(group, high)
            group["max_momentum"], group["base_momentum"] = high, low
    return bases, mosts


class CyclicLR(LRScheduler):
    """From ``base_lr`` up to ``max_lr`` in ``step_size_up`` steps, down in ``step_size_down``, and again.

    ``mode`` says how high the later cycles are: "triangular", always the same; "triangular2", half of the one
    before; "exp_range", times ``gamma`` at each step.  ``scale_fn`` says it instead, as a function of the number of
    the cycle or, ``scale_mode="iterations"``, of the step.  ``cycle_momentum`` lets the momentum go the other way, from
    ``max_momentum`` to ``base_momentum``.  Rates and momenta may be lists, with one number for each group.
    ValueError for an unknown mode and for an optimiser without momentum.

    Source: ``torch.optim.lr_scheduler.CyclicLR``, after Smith, 2015.

    >>> import chainrule as torch
    >>> optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> scheduler = torch.optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.25, max_lr=0.75, step_size_up=2)
    >>> rates = scheduler.get_last_lr()
    >>> for _ in range(4):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     rates += scheduler.get_last_lr()
    >>> rates
    [0.25, 0.5, 0.75, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, base_lr: float | list[float], max_lr: float | list[float],
        step_size_up: int = 2000, step_size_down: int | None = None, mode: str = "triangular", gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None, scale_mode: str = "cycle", cycle_momentum: bool = True,
        base_momentum: float = 0.8, max_momentum: float = 0.9, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_optimizer(optimizer)
        self.optimizer = optimizer
        base_lrs = per_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for lr, group in zip(base_lrs, optimizer.param_groups, strict=True):
                assign(group, lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        self.mode, self.gamma, self._scale_fn_custom, self.scale_mode = mode, gamma, scale_fn, scale_mode
        self._init_scale_fn()
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            momenta = _start_momenta(optimizer, base_momentum, max_momentum, last_epoch)
            self.use_beta1 = "betas" in optimizer.defaults
            self.base_momentums, self.max_momentums = momenta
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def _init_scale_fn(self) -> None:
        if self._scale_fn_custom is None:
            self.scale_mode = "iterations" if self.mode == "exp_range" else "cycle"

    def scale_fn(self, x: float) -> float:
        """How high the cycle, or step, ``x`` is, as a part of the first."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "exp_range":
            return float(self.gamma**x)
        return 1 / 2.0 ** (x - 1) if self.mode == "triangular2" else 1.0

    def get_lr(self) -> list[Any]:
        self._check_within_step()
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)

        def scaled(low: Any, high: Any) -> Any:
            return (high - low) * height * self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)

        if self.cycle_momentum:
            groups = zip(self.base_momentums, self.max_momentums, self.optimizer.param_groups, strict=True)
            for low, high, group in groups:
                _set_momentum(group, high - scaled(low, high))
        return [low + scaled(low, high) for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """All but the optimiser and a plain ``scale_fn``; of a callable object, its attributes."""
        f, state = self._scale_fn_custom, super().state_dict()
        plain = f is None or isinstance(f, types.FunctionType)
        return {**state, "_scale_fn_custom": None if plain else f.__dict__.copy()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave; a plain ``scale_fn`` stays the one that this was made with."""
        kept = state_dict["_scale_fn_custom"]
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_scale_fn_custom"})
        if kept is not None:
            self._scale_fn_custom.__dict__.update(kept)
        self._init_scale_fn()


class OneCycleLR(LRScheduler):
    """One cycle for the whole training: up to ``max_lr`` in the first ``pct_start`` of all steps, then far down.

    The rate starts at max_lr / div_factor and ends at that over ``final_div_factor``.  ``three_phase`` comes down to
    where it started first, in as many steps as it went up.  The way goes along half a cosine or, ``anneal_strategy``,
    "linear".  ``cycle_momentum`` lets the momentum go the other way, from ``max_momentum`` to ``base_momentum`` and
    back.  How many steps there are say ``total_steps``, or ``epochs`` and ``steps_per_epoch``.  Step it after each
    batch.  ValueError for options out of range, for an optimiser without momentum, and beyond the last step.

    Source: ``torch.optim.lr_scheduler.OneCycleLR``, after Smith and Topin, 2017.

    >>> import chainrule as torch
    >>> optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> rates = scheduler.get_last_lr()
    >>> for _ in range(9):
    ...     optimizer.step()
    ...     scheduler.step()
    ...     rates += scheduler.get_last_lr()
    >>> [round(rate, 3) for rate in rates]
    [0.04, 0.52, 1.0, 0.95, 0.812, 0.611, 0.389, 0.188, 0.05, 0.0]
    """

    _schedule_phases: list[dict[str, Any]]

    def __init__(
        self, optimizer: Optimizer, max_lr: float | list[float], total_steps: int | None = None,
        epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
        anneal_strategy: str = "cos", cycle_momentum: bool = True, base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95, div_factor: float = 25.0, final_div_factor: float = 1e4,
        three_phase: bool = False, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_optimizer(optimizer)
        self.optimizer = optimizer
        self.total_steps = _count(total_steps, epochs, steps_per_epoch)
        up, last = float(pct_start * self.total_steps) - 1, self.total_steps - 1
        if three_phase:
            down = float(2 * pct_start * self.total_steps) - 2
            phases = [
                _phase(up, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                _phase(down, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                _phase(last, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
            ]
        else:
            phases = [
                _phase(up, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                _phase(last, "max_lr", "min_lr", "base_momentum", "max_momentum"),
            ]
        self._schedule_phases = phases
        if pct_start < 0 or pct_start > 1 or not isinstance(pct_start, float):
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        rates = per_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for lr, group in zip(rates, optimizer.param_groups, strict=True):
                group["initial_lr"] = lr / div_factor
                group["max_lr"] = lr
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            _start_momenta(optimizer, base_momentum, max_momentum, last_epoch)
            self.use_beta1 = "betas" in optimizer.defaults
        super().__init__(optimizer, last_epoch)

    def _between(self, start: Any, end: Any, part: float) -> Any:
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)
        return (end - start) * part + start

    def get_lr(self) -> list[Any]:
        self._check_within_step()
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"Tried to step {self.last_epoch} times. The specified number of total steps is {self.total_steps}"
            )
        first = 0.0
        for phase in self._schedule_phases:
            if self.last_epoch <= phase["end_step"] or phase is self._schedule_phases[-1]:
                break
            first = phase["end_step"]
        part = (self.last_epoch - first) / (phase["end_step"] - first)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], part))
            if self.cycle_momentum:
                ends = group[phase["start_momentum"]], group[phase["end_momentum"]]
                _set_momentum(group, self._between(*ends, part))
        return rates


def _phase(end: float, lr: str, lr_end: str, momentum: str, momentum_end: str) -> dict[str, Any]:
    """A part of the cycle: its last step, and which options of a group it goes from and to."""
    return {
        "end_step": end, "start_lr": lr, "end_lr": lr_end, "start_momentum": momentum, "end_momentum": momentum_end,
    }  # fmt: skip


def _count(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    """How many steps there are in all."""
    if total_steps is not None:
        given = {"total_steps": total_steps}
    elif epochs is not None and steps_per_epoch is not None:
        given = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    else:
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    for name, value in given.items():
        if value <= 0 or not isinstance(value, int):
            raise ValueError(f"Expected positive integer {name}, but got {value}")
    return math.prod(given.values())

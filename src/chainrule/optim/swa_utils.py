"""Averages of a model's weights over the course of its training.  Source: ``torch.optim.swa_utils``."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .. import dtypes
from ..creation import tensor
from ..modes import no_grad
from ..nn.module import Module
from ..tensor import Tensor
from .lr_scheduler import LRScheduler
from .lr_scheduler.scheduler import per_group
from .optimizer import Optimizer
from .update import lerp

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn",
    "update_bn",
]  # fmt: skip

Average = Callable[[Tensor, Tensor, Any], Tensor]  # of the average, the weights now, how many are averaged
Averages = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]  # the same for many, in place


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """A running average, for ``AveragedModel(avg_fn=...)``: ``decay`` of the old and the rest of the new.

    ValueError for a decay outside 0 to 1.

    Source: ``torch.optim.swa_utils.get_ema_avg_fn``.

    >>> import chainrule as torch
    >>> get_ema_avg_fn(0.75)(torch.tensor(0.0), torch.tensor(1.0), 1)
    tensor(0.2500)
    """
    _check_decay(decay)

    def average(averaged: Tensor, now: Tensor, num_averaged: Any) -> Tensor:
        with no_grad():
            found: Tensor = decay * averaged + (1 - decay) * now
        return found

    return average


def get_swa_avg_fn() -> Average:
    """The mean of all weights so far, for ``AveragedModel(avg_fn=...)``.

    Source: ``torch.optim.swa_utils.get_swa_avg_fn``.

    >>> import chainrule as torch
    >>> get_swa_avg_fn()(torch.tensor(0.0), torch.tensor(1.0), 3)
    tensor(0.2500)
    """

    def average(averaged: Tensor, now: Tensor, num_averaged: Any) -> Tensor:
        with no_grad():
            found: Tensor = averaged + (now - averaged) / (num_averaged + 1)
        return found

    return average


def get_ema_multi_avg_fn(decay: float = 0.999) -> Averages:
    """As :func:`get_ema_avg_fn`, of many tensors in place: for ``AveragedModel(multi_avg_fn=...)``.

    Source: ``torch.optim.swa_utils.get_ema_multi_avg_fn``.

    >>> import chainrule as torch
    >>> averaged = [torch.zeros(2)]
    >>> get_ema_multi_avg_fn(0.75)(averaged, [torch.ones(2)], 1)
    >>> averaged
    [tensor([0.2500, 0.2500])]
    """
    _check_decay(decay)

    def average(averaged: Sequence[Tensor], now: Sequence[Tensor], num_averaged: Any) -> None:
        with no_grad():
            for a, x in zip(averaged, now, strict=True):
                smooth = a.is_floating_point() or a.is_complex()
                a.copy_(lerp(a, x, 1 - decay) if smooth else a * decay + x * (1 - decay))

    return average


def get_swa_multi_avg_fn() -> Averages:
    """As :func:`get_swa_avg_fn`, of many tensors in place: for ``AveragedModel(multi_avg_fn=...)``.

    Source: ``torch.optim.swa_utils.get_swa_multi_avg_fn``.

    >>> import chainrule as torch
    >>> averaged = [torch.zeros(2)]
    >>> get_swa_multi_avg_fn()(averaged, [torch.ones(2)], 3)
    >>> averaged
    [tensor([0.2500, 0.2500])]
    """

    def average(averaged: Sequence[Tensor], now: Sequence[Tensor], num_averaged: Any) -> None:
        with no_grad():
            for a, x in zip(averaged, now, strict=True):
                a.copy_(a + (x - a) / (num_averaged + 1))

    return average


class AveragedModel(Module):
    """A copy of ``model`` whose weights are an average of those that ``update_parameters`` has seen.

    The average is their mean, or what ``avg_fn(averaged, now, num_averaged)`` gives, or what
    ``multi_avg_fn(averaged, now, num_averaged)`` makes of lists in place.  Buffers are averaged too if ``use_buffers``,
    else copied.  AssertionError where both functions are given.

    Source: ``torch.optim.swa_utils.AveragedModel``.

    >>> import chainrule as torch
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> averaged = torch.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = model.weight.data.fill_(value)
    ...     averaged.update_parameters(model)
    >>> averaged(torch.ones(1)).item()
    3.0
    >>> averaged.n_averaged
    tensor(3)
    """

    n_averaged: Tensor
    module: Module

    def __init__(
        self, model: Module, device: Any = None, avg_fn: Average | None = None, multi_avg_fn: Averages | None = None,
        use_buffers: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=dtypes.int64, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged copy gives."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the weights that ``model`` has now into the average."""
        mine: Iterable[Tensor] = self.parameters()
        theirs: Iterable[Tensor] = model.parameters()
        if self.use_buffers:
            mine, theirs = itertools.chain(self.module.parameters(), self.module.buffers()), _all(model)
        averaged, now = [p.detach() for p in mine], [p.detach() for p in theirs]
        if self.n_averaged == 0:
            for a, x in zip(averaged, now, strict=False):
                a.copy_(x)
        elif self.multi_avg_fn is not None:
            self.multi_avg_fn(averaged, now, self.n_averaged)
        else:
            average = self.avg_fn or get_swa_avg_fn()
            for a, x in zip(averaged, now, strict=False):
                a.copy_(average(a, x, self.n_averaged))
        if not self.use_buffers:
            for a, x in zip(self.module.buffers(), model.buffers(), strict=True):
                a.detach().copy_(x.detach())
        self.n_averaged += 1


def _all(model: Module) -> Iterable[Tensor]:
    return itertools.chain(model.parameters(), model.buffers())


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Find anew what the model's batch normalisations have as mean and variance: once over the data of ``loader``.

    To be called when the training is over, since averaged weights have never seen data.  A batch is a tensor, or a
    list or tuple of which the first is the input.

    Source: ``torch.optim.swa_utils.update_bn``.

    >>> import chainrule as torch
    >>> model = torch.nn.Linear(2, 1)
    >>> update_bn([torch.ones(3, 2)], model)  # has none, and is left alone
    """
    layers: Any = [m for m in model.modules() if any(c.__name__ == "_BatchNorm" for c in type(m).__mro__)]
    if not layers:
        return
    momenta, was_training = [layer.momentum for layer in layers], model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean of all batches
    for batch in loader:
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        with no_grad():
            model(x if device is None else x.to(device))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From each group's rate to ``swa_lr`` in ``anneal_epochs`` epochs, and there it stays.

    The way goes along half a cosine or, ``anneal_strategy``, "linear".  ``swa_lr`` may be a list, with one rate for each
    group.  ValueError for options out of range.

    Source: ``torch.optim.swa_utils.SWALR``.

    >>> import chainrule as torch
    >>> optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=1.0)
    >>> scheduler = torch.optim.swa_utils.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, swa_lr: float | list[float], anneal_epochs: int = 10, anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        for lr, group in zip(per_group("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy, self.anneal_epochs = anneal_strategy, anneal_epochs
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, t: float) -> float:
        """How much of the way is done when ``t`` of the time has passed."""
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self) -> list[Any]:
        self._check_within_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = (self.anneal_func(max(0, min(1, n / max(1, self.anneal_epochs)))) for n in (step - 1, step))
        rates = []
        for group in self.optimizer.param_groups:
            end = group["swa_lr"]
            start = end if before == 1 else (group["lr"] - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates

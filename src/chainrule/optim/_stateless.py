"""An optimiser lent to other parameters for a while."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..tensor import Tensor
from .optimizer import Optimizer

_NAME = "swap_in_optimizer_params_and_state"


@contextmanager
def swap_in_optimizer_params_and_state(
    optimizer: Optimizer, swapin_parameters: dict[str, Tensor], swapin_optim_state: dict[str, Any]
) -> Iterator[None]:
    """Let an optimiser move other parameters, with another state and other options, until the ``with`` ends.

    ``swapin_parameters`` are as many as the optimiser's, in the same order; ``swapin_optim_state`` is as
    ``optimizer.state_dict()`` gives it.  The tensors in it are moved in place; of what else happens to it nothing is
    kept.  RuntimeError where something does not fit, or the optimiser has no state yet.

    Source: ``torch.optim.swap_in_optimizer_params_and_state``.

    >>> import copy
    >>> import chainrule as torch
    >>> from chainrule.optim import swap_in_optimizer_params_and_state
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.SGD([w], lr=0.5, momentum=0.5)
    >>> w.grad = torch.ones(1)
    >>> optimizer.step()
    >>> other = torch.tensor([10.0], requires_grad=True)
    >>> other.grad = torch.ones(1)
    >>> with swap_in_optimizer_params_and_state(optimizer, {"w": other}, copy.deepcopy(optimizer.state_dict())):
    ...     optimizer.step()
    >>> w, other
    (tensor([0.5000], requires_grad=True), tensor([9.2500], requires_grad=True))
    """
    groups, state = _fitting(optimizer, swapin_parameters, swapin_optim_state)
    kept_state, kept_groups = optimizer.state, [dict(group) for group in optimizer.param_groups]
    try:
        for group, other in zip(optimizer.param_groups, groups, strict=True):
            group.update(other)
        optimizer.state = state
        yield
    finally:
        for group, kept in zip(optimizer.param_groups, kept_groups, strict=True):
            group.clear()
            group.update(kept)
        optimizer.state = kept_state


def _fitting(
    optimizer: Optimizer, parameters: dict[str, Tensor], saved: Any
) -> tuple[list[dict[str, Any]], defaultdict[Any, dict[str, Any]]]:
    """The groups and the state with the other parameters in them, if all fits."""
    if not optimizer.state:
        raise RuntimeError(f"{_NAME} requires initialized optimizer state.")
    if not isinstance(saved, dict):
        raise RuntimeError(f"{_NAME} requires a DCP-style optimizer state_dict.")
    state: Any = saved.get("state")
    groups: Any = saved.get("param_groups")
    _check_state(state)
    if not isinstance(groups, list):
        raise RuntimeError(
            f"{_NAME} requires swapin_optim_state['param_groups'] to be a list of param-group dicts, got "
            f"{type(groups).__name__}."
        )
    if len(groups) != len(optimizer.param_groups):
        raise RuntimeError("swapin_optim_state has a different number of parameter groups than the live optimizer.")
    rest, found = list(parameters.values()), []
    moved: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
    known: set[int] = set()
    for i, (live, group) in enumerate(zip(optimizer.param_groups, groups, strict=True)):
        numbers = _numbers(i, live, group)
        if len(numbers) > len(rest):
            raise RuntimeError(
                f"{_NAME} requires the explicit parameter state to match optimizer.param_groups ordering."
            )
        params, rest = rest[: len(numbers)], rest[len(numbers) :]
        found.append({**group, "params": params})
        known.update(numbers)
        for p, n in zip(params, numbers, strict=True):
            moved[p] = dict(state.get(n, {}))
    if extra := [k for k in state if k not in known]:
        raise RuntimeError(
            f"{_NAME} requires swapin_optim_state['state'] to be keyed only by packed parameter ids from "
            f"param_groups[*]['params']; got extra keys {extra!r}."
        )
    return found, moved


def _check_state(state: Any) -> None:
    if not isinstance(state, dict):
        raise RuntimeError(
            f"{_NAME} requires swapin_optim_state['state'] to be a dict mapping packed parameter ids to per-param state "
            f"dicts, got {type(state).__name__}."
        )
    if any(isinstance(k, Tensor) for k in state):
        raise RuntimeError(f"{_NAME} requires optimizer.state_dict()-style state keyed by packed parameter ids.")
    if any(isinstance(k, int) and not isinstance(v, dict) for k, v in state.items()):
        raise RuntimeError(f"{_NAME} requires per-parameter optimizer state entries to be dictionaries.")


def _numbers(i: int, live: dict[str, Any], group: Any) -> list[int]:
    """The numbers that stand for the parameters of a group, if it fits the optimiser's."""
    if not isinstance(group, dict):
        raise RuntimeError(f"{_NAME} requires each optimizer param group to be a dictionary.")
    numbers = group.get("params")
    if not isinstance(numbers, list) or not all(isinstance(n, int) for n in numbers):
        raise RuntimeError(
            f"{_NAME} requires optimizer.state_dict()-style param_groups[*]['params'] entries keyed by packed parameter "
            "ids."
        )
    if len(numbers) != len(live["params"]):
        raise RuntimeError(
            f"swapin_optim_state param group {i} has a different number of params than the live optimizer param group."
        )
    here, there = [k for k in group if k not in live], [k for k in live if k not in group]
    if here or there:
        raise RuntimeError(
            f"{_NAME} requires optimizer.state_dict()-style param group keys to exactly match the live optimizer group "
            f"keys for group {i}. Keys only in swap-in: {here}. Keys only in live: {there}."
        )
    return numbers

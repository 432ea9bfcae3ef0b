"""What all optimisers share: parameter groups, state, and a step that changes a parameter wholly or not at all."""

from __future__ import annotations

import copy
import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from ..engine import Box, RemovableHandle
from ..errors import explained
from ..modes import enable_grad
from ..nn.hooks import register
from ..nn.module import clear_grad
from ..nn.parameter import typename
from ..quiet import QUIET, reset_errors, set_errors
from ..tensor import Tensor

Params: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
State: TypeAlias = dict[str, Any]
Rule: TypeAlias = Callable[[Any, Any, State], tuple[Any, State | None]]

_ndarray = np.ndarray
_NEW: State = {}  # the state of a parameter that has none yet


class _Required:
    """Stands for an option that every parameter group must give itself."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` with the optimiser's step hooks around it, where there are any."""

    @functools.wraps(step)
    def run(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if not self._optimizer_step_pre_hooks and not self._optimizer_step_post_hooks:
            return step(self, *args, **kwargs)
        for before in list(self._optimizer_step_pre_hooks.values()):
            changed = before(self, args, kwargs)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(
                        f"{step} must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                    )
                args, kwargs = changed
        out = step(self, *args, **kwargs)
        for after in list(self._optimizer_step_post_hooks.values()):
            after(self, args, kwargs)
        return out

    return run


class Optimizer:
    """The base class of all optimisers.

    ``params`` is an iterable of tensors, of (name, tensor) pairs, or of groups: dictionaries with "params"
    and the options that differ from ``defaults``.  A subclass gives ``_rule``, or a ``step`` of its own.
    Raises TypeError and ValueError for what cannot be optimised: no tensors, tensors that were computed,
    a tensor in two groups.

    Source: ``torch.optim.Optimizer``.

    >>> import chainrule as torch
    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> optimizer = torch.optim.SGD([x], lr=0.1)
    >>> (x**2).sum().backward()
    >>> optimizer.step()
    >>> x
    tensor([2.4000], requires_grad=True)
    """

    _optimizer_step_pre_hooks: dict[int, Any]
    _optimizer_step_post_hooks: dict[int, Any]
    _optimizer_state_dict_pre_hooks: dict[int, Any]
    _optimizer_state_dict_post_hooks: dict[int, Any]
    _optimizer_load_state_dict_pre_hooks: dict[int, Any]
    _optimizer_load_state_dict_post_hooks: dict[int, Any]

    def __init_subclass__(cls) -> None:
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self.__dict__.update(self._fresh())
        self.defaults = defaults
        if isinstance(params, Tensor):
            raise explained(
                TypeError(
                    "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                    f"{typename(params)}\nPut it in a list: [w]."
                )
            )
        groups: list[Any] = list(params)
        if not groups:
            raise explained(
                ValueError(
                    "optimizer got an empty parameter list"
                    "\nA generator is empty after its first use, and modules kept in a plain list or dict are not "
                    "found: use nn.ModuleList or nn.ModuleDict."
                )
            )
        self.state: defaultdict[Any, State] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    @staticmethod
    def _fresh() -> dict[str, Any]:
        kinds = ("step", "state_dict", "load_state_dict")
        return {f"_optimizer_{kind}_{when}_hooks": {} for kind in kinds for when in ("pre", "post")}

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**self._fresh(), **self.__dict__, **state})  # also called on a living optimiser
        self.defaults.setdefault("differentiable", False)

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            options = [f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"]
            text += f"\nParameter Group {i}\n" + "".join(options)
        return text + ")"

    # --- groups ---------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimise further tensors, with options of their own: ``{"params": [...], "lr": 0.1}``."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        entries = [given] if isinstance(given, Tensor) else list(given)
        params = [e[1] if isinstance(e, tuple) else e for e in entries]
        names = [e[0] for e in entries if isinstance(e, tuple)]
        if names and len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        for p in params:
            self._check_param(p)
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
        if len(set(params)) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information", UserWarning, stacklevel=3,
            )  # fmt: skip
        for group in self.param_groups:
            if ("param_names" in group) != bool(names or "param_names" in param_group):
                how = "without" if "param_names" in group else "with"
                raise ValueError(
                    "all optimizer param groups should be with/without names. "
                    f"cannot add param group {how} names to the optimizer"
                )
            if not set(params).isdisjoint(group["params"]):
                raise ValueError("some parameters appear in more than one parameter group")
        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        self.param_groups.append(param_group)

    def _check_param(self, p: Any) -> None:
        if not isinstance(p, Tensor):
            raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {typename(p)}")
        if not (self.defaults.get("differentiable") or p.is_leaf or p.retains_grad):
            raise explained(
                ValueError(
                    "can't optimize a non-leaf Tensor"
                    "\nThis one was computed from others: optimise those, or cut it off first: "
                    "x = x.detach().requires_grad_()."
                )
            )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all optimised tensors, or set them to 0; else ``backward()`` adds to them."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                else:
                    clear_grad(p, False)

    # --- the step -------------------------------------------------------------------------------------

    def _rule(self, group: dict[str, Any]) -> Rule:
        """How this optimiser moves one parameter, with the options of ``group`` worked out.

        The rule takes the parameter's value, its gradient and its state, as arrays, changes none of them, and
        gives what is to be subtracted from the value and the new state, None if there is none.
        """
        raise NotImplementedError

    @_with_hooks
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; gives back what ``closure``, called first, returned.

        Interrupted between any two instructions, it leaves each parameter with its state either old or new.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        states = self.state
        token = set_errors(QUIET)
        try:
            for group in self.param_groups:
                if group.get("differentiable"):
                    self._step_recorded(group)
                    continue
                rule = self._rule(group)
                for p in group["params"]:
                    if p._grad is None:
                        continue
                    a, g = p._a, p._grad._a
                    if type(a) is not _ndarray or type(g) is not _ndarray:
                        a, g = _together(p, g)
                    old = states.get(p, _NEW)
                    less, new = rule(a, g, {k: _raw(v) for k, v in old.items()} if old else old)
                    if new is not None:
                        new = {k: p._wrap(v) for k, v in new.items()}
                    version = p._v or p._cell()
                    fixed = type(a) is not _ndarray or isinstance(less, Box)  # not memory that can be written to
                    if fixed:
                        a = a - less
                    # From here to the end nothing is called, so no signal can come between.
                    if new is not None:
                        states[p] = new
                    version[0] += 1
                    if fixed:
                        p._a = a
                    else:
                        a -= less
        finally:
            reset_errors(token)
        return loss

    def _step_recorded(self, group: dict[str, Any]) -> None:
        """The step of a group that is ``differentiable``: the same rule over Tensors, recorded as any computation."""
        rule = self._rule(group)
        with enable_grad():
            for p in group["params"]:
                if p._grad is not None:
                    less, new = rule(p, p._grad, self.state.get(p) or {})
                    p.sub_(less)
                    if new is not None:
                        self.state[p] = new

    # --- saving and loading ---------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state and the options, with numbers in place of the parameters: {"state": ..., "param_groups": ...}."""
        for before in list(self._optimizer_state_dict_pre_hooks.values()):
            before(self)
        numbers: dict[int, int] = {}
        groups, start = [], 0
        for group in self.param_groups:
            for i, p in enumerate(group["params"], start):
                numbers.setdefault(id(p), i)
            packed = {k: v for k, v in group.items() if k != "params"}
            groups.append({**packed, "params": [numbers[id(p)] for p in group["params"]]})
            start += len(group["params"])
        state = {numbers[id(k)] if isinstance(k, Tensor) else k: v for k, v in self.state.items()}
        out = {"state": state, "param_groups": groups}
        for after in list(self._optimizer_state_dict_post_hooks.values()):
            changed = after(self, out)
            out = out if changed is None else changed
        return out

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave, parameter by parameter in order.

        ValueError where the groups are other in number or size.
        """
        state_dict = state_dict.copy()
        for before in list(self._optimizer_load_state_dict_pre_hooks.values()):
            changed = before(self, state_dict)
            state_dict = state_dict if changed is None else changed
        saved = copy.deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        params: dict[Any, Any] = {}
        for mine, theirs in zip(self.param_groups, saved, strict=True):
            if len(mine["params"]) != len(theirs["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
                )
            params.update(zip(theirs["params"], mine["params"], strict=True))
            theirs["params"] = mine["params"]
            if "param_names" in mine:
                theirs.setdefault("param_names", mine["param_names"])
        state: defaultdict[Any, State] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            p = params.get(key)
            state[key if p is None else p] = _cast(p, value) if p is not None else value
        self.__setstate__({"state": state, "param_groups": saved})
        for after in list(self._optimizer_load_state_dict_post_hooks.values()):
            after(self)

    # --- hooks ----------------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return other (args, kwargs)."""
        return RemovableHandle(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return RemovableHandle(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., None], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before :meth:`state_dict`."""
        return register(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` after :meth:`state_dict`; it may return another."""
        return register(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before loading; it may return another."""
        return register(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., None], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after loading."""
        return register(self._optimizer_load_state_dict_post_hooks, hook, prepend)


def number(option: Any) -> Any:
    """An option as a Python number; a tensor that wants a gradient stays one."""
    if isinstance(option, Tensor):
        return option if option._rg else option.item()
    return option.item() if isinstance(option, np.generic) else option


def _raw(value: Any) -> Any:
    return value._a if isinstance(value, Tensor) else value


def _together(p: Tensor, g: Any) -> tuple[Any, Any]:
    """A parameter's array, of no dimension or not NumPy's, and its gradient: computed, if the parameter is numbers."""
    a = p._own()
    return a, np.asarray(g) if type(a) is _ndarray and not isinstance(g, Box) else g


def _cast(p: Tensor, value: Any, key: Any = None) -> Any:
    """A loaded state with its tensors in the dtype of their parameter; the count of steps keeps its own."""
    if isinstance(value, Tensor):
        return value.to(p.dtype) if key != "step" and p.is_floating_point() else value
    if isinstance(value, dict):
        return {k: _cast(p, v, k) for k, v in value.items()}
    return type(value)(_cast(p, v) for v in value) if isinstance(value, (list, tuple)) else value

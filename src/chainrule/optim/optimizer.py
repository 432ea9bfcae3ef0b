"""What all optimisers share: parameter groups, state, and a step that changes a parameter wholly or not at all."""

from __future__ import annotations

import copy
import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeAlias

from .. import dtypes
from ..errors import explained, no_memory
from ..modes import enable_grad
from ..nn.hooks import register
from ..nn.module import clear_grad
from ..nn.parameter import typename
from ..node import RemovableHandle
from ..quiet import quietly, reset_errors
from ..tensor import Tensor
from .inplace import Workshop, run
from .steps import State, Steps, number, scalar

__all__ = ["Optimizer", "Params", "number", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]

Params: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class _Required:
    """Stands for an option that every parameter group must give itself."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


_before_all: dict[int, Callable[..., Any]] = {}  # hooks of every optimiser's step
_after_all: dict[int, Callable[..., None]] = {}


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` before each step of any optimiser; it may return other (args, kwargs).

    Source: ``torch.optim.optimizer.register_optimizer_step_pre_hook``.

    >>> import chainrule as torch
    >>> x = torch.ones(1, requires_grad=True)
    >>> handle = register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: print("a step"))
    >>> torch.optim.SGD([x]).step()
    a step
    >>> handle.remove()
    """
    return RemovableHandle(_before_all, hook)


def register_optimizer_step_post_hook(hook: Callable[..., None]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` after each step of any optimiser.

    Source: ``torch.optim.optimizer.register_optimizer_step_post_hook``.

    >>> import chainrule as torch
    >>> x = torch.ones(1, requires_grad=True)
    >>> handle = register_optimizer_step_post_hook(lambda optimizer, args, kwargs: print("done"))
    >>> torch.optim.SGD([x]).step()
    done
    >>> handle.remove()
    """
    return RemovableHandle(_after_all, hook)


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` with the optimiser's step hooks around it, where there are any."""

    @functools.wraps(step)
    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        own_before, own_after = self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks
        if not (own_before or own_after or _before_all or _after_all):
            return step(self, *args, **kwargs)
        args = (self, *args)  # as hooks are shown them
        for before in [*_before_all.values(), *own_before.values()]:
            changed = before(self, args, kwargs)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(
                        f"{step} must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                    )
                args, kwargs = changed
        out = step(*args, **kwargs)
        for after in [*own_after.values(), *_after_all.values()]:
            after(self, args, kwargs)
        return out

    return hooked


class Optimizer(Steps):
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

    _since: ClassVar[dict[str, Any]] = {}  # options that optimisers saved long ago may lack

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
        hooks: dict[str, Any] = {f"_optimizer_{kind}_{when}_hooks": {} for kind in kinds for when in ("pre", "post")}
        return {**hooks, "_moves": {}, "_recipes": {}, "_workshop": Workshop()}

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**self._fresh(), **self.__dict__, **state})  # also called on a living optimiser
        self.defaults.setdefault("differentiable", False)
        for group in self.param_groups:
            for name, default in self._since.items():
                group.setdefault(name, default)
            for p in group["params"]:
                own = self.state.get(p, {})
                own.update({k: scalar(float(own[k]), group) for k in self._numbers if type(own.get(k)) in (int, float)})

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            options = [f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"]
            text += f"\nParameter Group {i}\n" + "".join(options)
        return text + ")"

    # --- groups ---

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

    # --- the step ---

    @_with_hooks
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient; gives back what ``closure``, called first, returned.

        Out of memory or interrupted, it leaves everything either as it was or as it is to be.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for token in quietly:
            try:
                moved: list[Tensor] = []
                calls: list[Any] = []
                for i, group in enumerate(self.param_groups):
                    if group.get("differentiable"):
                        self._step_recorded(group)
                    else:
                        self._plan(group, i, moved, calls)
                for x in moved:
                    (x._v or x._cell())[0] += 1
                run(calls)
            except MemoryError as e:
                raise no_memory("a step of the optimiser", e) from None
            finally:
                reset_errors(token)
            break
        return loss

    # --- saving and loading ---

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
            if p is None:
                state[key] = value
                continue
            (options,) = [g for g in saved if any(q is p for q in g["params"])][:1]
            narrow = bool(options.get("fused") or options.get("capturable"))
            state[p] = _cast(p, value, narrow=narrow)
        self.__setstate__({"state": state, "param_groups": saved})
        for after in list(self._optimizer_load_state_dict_post_hooks.values()):
            after(self)

    # --- hooks ---

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return other (args, kwargs).

        ``args`` begins with the optimiser.
        """
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


def _cast(p: Tensor, value: Any, key: Any = None, narrow: bool = False) -> Any:
    """A copy of a loaded state, its tensors in the dtype of their parameter; the count of steps keeps its own."""
    if isinstance(value, Tensor):
        dtype = (dtypes.float32 if narrow else None) if key == "step" else p.dtype if p.is_floating_point() else None
        return value.detach().clone() if dtype in (None, value.dtype) else value.detach().to(dtype)
    if isinstance(value, dict):
        return {k: _cast(p, v, k, narrow) for k, v in value.items() if v is not None}
    return type(value)(_cast(p, v) for v in value) if isinstance(value, (list, tuple)) else value

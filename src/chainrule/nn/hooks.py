"""A module's hooks: functions of the user's that are called around ``forward`` and around its backward."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import modes
from ..backward import edge_of
from ..node import Node, Port, RemovableHandle
from ..tensor import Tensor, wrap

if TYPE_CHECKING:
    from .module import Module


class Hook(NamedTuple):
    """A forward hook or forward pre-hook, and how it wants to be called."""

    function: Callable[..., Any]
    with_kwargs: bool = False
    always_call: bool = False

    def __getattr__(self, name: str) -> Any:  # to those who look through a module's hooks it is the function
        return getattr(self.function, name)


def register(hooks: dict[int, Any], hook: Any, prepend: bool) -> RemovableHandle:
    """Add ``hook`` at the end of ``hooks``, or in front of all that are there."""
    others = dict(hooks)
    handle = RemovableHandle(hooks, hook)
    if prepend:
        hooks.clear()
        hooks.update({handle.id: hook, **others})
    return handle


def call(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``module.forward`` with everything that is hooked to it."""
    result, called = None, set()
    try:
        for hook in list(module._forward_pre_hooks.values()):
            args, kwargs = _before(module, hook, args, kwargs)
        full = module._backward_hooks if module._is_full_backward_hook else {}
        backward = Gradients(module, full) if full or module._backward_pre_hooks else None
        if backward is not None:
            args = backward.enter(args)
        result = module.forward(*args, **kwargs)
        for key, hook in list(module._forward_hooks.items()):
            called.add(key)
            result = _after(module, hook, args, kwargs, result)
        if backward is not None:
            result = backward.leave(result)
        if module._backward_hooks and not full:
            at_last_node(module, args, result)
        return result
    except Exception:
        for key, hook in list(module._forward_hooks.items()):
            if hook.always_call and key not in called:
                try:
                    result = _after(module, hook, args, kwargs, result)
                except Exception as e:
                    warnings.warn(
                        "module forward hook with ``always_call=True`` raised an exception that was silenced as "
                        f"another error was raised in forward: {e}", stacklevel=3,
                    )  # fmt: skip
        raise


def _before(module: Module, hook: Hook, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    if not hook.with_kwargs:
        changed = hook.function(module, args)
        return (args if changed is None else changed if isinstance(changed, tuple) else (changed,)), kwargs
    changed = hook.function(module, args, kwargs)
    if changed is None:
        return args, kwargs
    if not isinstance(changed, tuple) or len(changed) != 2:
        raise RuntimeError(
            f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
        )
    return changed


def _after(module: Module, hook: Hook, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
    f = hook.function
    changed = f(module, args, kwargs, result) if hook.with_kwargs else f(module, args, result)
    return result if changed is None else changed


# --- hooks on the gradients ---

Grads = tuple[Any, ...]


class BackwardHookFunctionBackward(Node):
    """Hands the cotangents of several tensors on unchanged, unless ``watch``, which sees them all, changes them."""

    __slots__ = ("watch",)
    watch: Callable[[list[Any]], list[Any]]

    def pull(self, sweep: Any, g: Any, saved: Any) -> Sequence[Any]:
        """The cotangents that came in, as ``watch`` leaves them."""
        return list(sweep.ask(self.watch, [g.parts.get(i) for i in range(len(self.edges))]))


class Gradients:
    """One call's gradients at a module's outputs and inputs, shown to the module's backward hooks."""

    def __init__(self, module: Module, hooks: dict[int, Callable[..., Any]]) -> None:
        self.module, self.hooks = module, hooks
        self.at_outputs: Grads | None = None
        self.inputs: list[int] | None = None  # which arguments are watched; None: no gradient flows into them
        self.n_inputs = 0

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments for ``forward``, watched."""
        self.n_inputs = len(args)
        passed, self.inputs = _watched(args, self._at_inputs, zeros=True)
        return passed

    def leave(self, result: Any) -> Any:
        """What ``forward`` gave, watched."""
        if not isinstance(result, (Tensor, tuple)):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but received "
                f"{type(result)}", stacklevel=3,
            )  # fmt: skip
        outputs = result if isinstance(result, tuple) else (result,)
        passed, _ = _watched(outputs, self._at_outputs)
        return passed if isinstance(result, tuple) else passed[0]

    def _at_outputs(self, grads: Grads) -> Grads:
        for hook in list(self.module._backward_pre_hooks.values()):
            changed = hook(self.module, grads)
            if changed is not None:
                grads = _as_many("Backward pre hook returned an invalid number of grad_output", changed, grads)
        self.at_outputs = grads
        if self.inputs is None and self.hooks:
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module outputs since no "
                "inputs require gradients.", stacklevel=2,
            )  # fmt: skip
            nothing = (None,) * self.n_inputs
            for hook in list(self.hooks.values()):
                changed = hook(self.module, nothing, grads)
                if changed is not None and any(c is not None for c in changed):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None "
                        "for all gradients."
                    )
            self.at_outputs = None
        return grads

    def _at_inputs(self, grads: Grads) -> Grads:
        if self.at_outputs is None:  # the gradient came here on a way that does not lead through the outputs
            return grads
        for hook in list(self.hooks.values()):
            changed = hook(self.module, grads, self.at_outputs)
            if changed is not None:
                grads = _as_many("Backward hook returned an invalid number of grad_input", changed, grads)
        self.at_outputs = None
        return grads


def _as_many(complaint: str, changed: Any, grads: Grads) -> Grads:
    changed = changed if isinstance(changed, tuple) else (changed,)
    if len(changed) != len(grads):
        raise RuntimeError(f"{complaint}, got {len(changed)}, but expected {len(grads)}")
    return tuple(changed)


def _watched(
    values: tuple[Any, ...], see: Callable[[Grads], Grads], zeros: bool = False
) -> tuple[tuple[Any, ...], list[int] | None]:
    """``values`` with their tensors passed through one node, whose cotangents ``see`` is shown and may change.

    ``see`` gets one entry per value: None where there is no tensor, and where there is no gradient None or,
    as asked, zeros.  The second result says which values are tensors; None if no gradient flows into any.
    """
    at = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
    if not (modes.current().grad and any(values[i]._rg for i in at)):
        return values, None
    tensors = [values[i] for i in at]
    kinds = [(t._rank, t._shape, t._dtype) for t in tensors]

    def watch(parts: list[Any]) -> list[Any]:
        shown: list[Any] = [None] * len(values)
        for i, part, (rank, shape, dtype) in zip(at, parts, kinds, strict=True):
            if part is None and zeros:
                part = np.zeros(shape, dtype)
            shown[i] = part if part is None or _level(part) >= rank else wrap(part, rank)
        recorded = any(_level(p) >= k[0] for p, k in zip(parts, kinds, strict=True))  # under create_graph
        changed = see(tuple(shown))
        return [c if c is None or recorded else _lent(c._a) for c in (changed[i] for i in at)]

    node = BackwardHookFunctionBackward(
        tuple([edge_of(t) if t._rg else None for t in tensors]), (None,), None, None, None
    )
    node.watch = watch
    passed = list(values)
    for number, (i, t) in enumerate(zip(at, tensors, strict=True)):
        passed[i] = out = t.detach()
        if t._rg:
            out._node, out._rg = Port(node, number), True
    return tuple(passed), at


def at_last_node(module: Module, args: tuple[Any, ...], result: Any) -> None:
    """Hook a module's deprecated backward hooks to the node of its first output, and say what they will not see."""
    first = result
    while not isinstance(first, Tensor):
        first = next(v for v in first.values() if isinstance(v, Tensor)) if isinstance(first, dict) else first[0]
    node = first.grad_fn
    if node is None:
        return
    for hook in list(module._backward_hooks.values()):
        node.register_hook(partial(hook, module))
    outputs = result if isinstance(result, tuple) else (result,)
    if not all(isinstance(r, Tensor) for r in outputs):
        when, what = (
            "hooks on a Module that does not return a single Tensor or a tuple of Tensors",
            "of the grad_output",
        )
    elif not all(isinstance(a, Tensor) for a in args):
        when, what = (
            "hooks on a Module that does not take as input a single Tensor or a tuple of Tensors",
            "of the grad_input",
        )
    elif len({r.grad_fn for r in outputs} - {None}) > 1:
        when, what = "hook when outputs are generated by different autograd Nodes", "grad_output"
    elif {a.grad_fn for a in args} - {None} != {before for before, _ in node.next_functions}:
        when, what = "hook when the forward contains multiple autograd Nodes", "grad_input"
    else:
        return
    article = "" if when.startswith("hooks") else "a "
    warnings.warn(
        f"Using {article}non-full backward {when} is deprecated and will be removed in future versions. This hook will be "
        f"missing some {what}. Please use register_full_backward_hook to get the documented behavior.",
        FutureWarning, stacklevel=4,
    )  # fmt: skip


def _lent(a: Any) -> Any:
    """An array that a hook may have kept, as a view: a leaf copies those before it adds to them."""
    return a.view() if type(a) is np.ndarray else a


def _level(cotangent: Any) -> int:
    return cotangent._rank if isinstance(cotangent, Tensor) else 0

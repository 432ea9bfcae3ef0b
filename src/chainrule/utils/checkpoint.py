"""Checkpoints: a part of the forward pass whose intermediate values are not kept but computed again in backward.

PyTorch's ``torch.utils.checkpoint``.  There are two kinds.  The reentrant one is a Function whose backward runs the
part again and sweeps through it.  The other leaves the graph as it is, and only has what nodes save packed away: when
the first of it is needed, the part is run again, and what nodes save then takes the place of what they saved before.
"""

from __future__ import annotations

import sys
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from .. import engine
from ..anomaly import forward_lines
from ..autograd.function import Function
from ..autograd.graph import saved_tensors_hooks
from ..backward import backward
from ..errors import explained
from ..modes import current, enable_grad, no_grad
from ..random import fork_rng, get_rng_state, set_rng_state
from ..saved import Kept
from ..tensor import Tensor
from .selective import (
    SAC_IGNORED_OPS,
    CheckpointPolicy,
    SelectiveCheckpointContext,
    create_selective_checkpoint_contexts,
)

__all__ = [
    "SAC_IGNORED_OPS", "CheckpointError", "CheckpointFunction", "CheckpointPolicy", "GraphExecGroup",
    "SelectiveCheckpointContext", "check_backward_validity", "checkpoint", "checkpoint_sequential",
    "create_selective_checkpoint_contexts", "detach_variable", "noop_context_fn", "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
]  # fmt: skip

Contexts = tuple[AbstractContextManager[Any], AbstractContextManager[Any]]


class CheckpointError(RuntimeError):
    """The part did something else when it was run again."""


def noop_context_fn() -> Contexts:
    """The contexts of a checkpoint that asks for none: one for the forward pass, one for running it again."""
    return nullcontext(), nullcontext()


_early_stop: ContextVar[bool | None] = ContextVar("chainrule.checkpoint.early_stop", default=None)
_debug: ContextVar[bool | None] = ContextVar("chainrule.checkpoint.debug", default=None)
_group: ContextVar[Any] = ContextVar("chainrule.checkpoint.group", default=None)


@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Whether checkpoints made inside stop running their part again when all that is needed is there.

    Source: ``torch.utils.checkpoint.set_checkpoint_early_stop``.
    """
    token = _early_stop.set(enable)
    try:
        yield
    finally:
        _early_stop.reset(token)


@contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Overrides the ``debug`` of checkpoints made inside; None leaves it to them.

    Source: ``torch.utils.checkpoint.set_checkpoint_debug_enabled``.
    """
    token = _debug.set(enabled)
    try:
        yield
    finally:
        _debug.reset(token)


class GraphExecGroup:
    """Several backwards inside run each part again only once; no two of them may need the same value.

    Source: ``torch.utils.checkpoint.GraphExecGroup``.
    """

    def __enter__(self) -> GraphExecGroup:
        if _group.get() is not None:
            raise RuntimeError(f"GraphExecGroup contexts cannot be nested. Already inside group {_group.get()}")
        _group.set(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _group.set(None)


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None,
    context_fn: Callable[[], Contexts] = noop_context_fn, determinism_check: str = "default", debug: bool = False,
    early_stop: bool = True, **kwargs: Any,
) -> Any:  # fmt: skip
    """``function(*args)``, keeping only ``args`` for backward, which runs the function again for what it needs.

    This trades time for memory.  ``use_reentrant=False`` is the better kind: it works with ``autograd.grad``, with
    keyword arguments and nested outputs, and stops running the function again when it has what it needs
    (``early_stop``).  With ``preserve_rng_state`` (default True) random numbers are drawn the same again.
    ``context_fn`` returns a context for each of the two runs; ``determinism_check`` "default" compares shapes and
    dtypes of what both save, "none" nothing; ``debug`` has an error tell where each value was saved.  In a function
    that is being compiled, the function just runs: a program plans by itself what it keeps.

    Raises CheckpointError if the function saves other values when it is run again.

    Source: ``torch.utils.checkpoint.checkpoint``.

    >>> import chainrule as torch
    >>> from chainrule.utils.checkpoint import checkpoint
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> y = checkpoint(lambda t: t.exp().sin(), x, use_reentrant=False)
    >>> y.sum().backward()
    >>> x.grad
    tensor([-2.4784,  3.3129])
    """
    if use_reentrant is None:
        warnings.warn(_say_which("checkpoint", "Starting in PyTorch 2.9, calling checkpoint without use_reentrant will "
                                 "raise an exception. "), UserWarning, stacklevel=2)  # fmt: skip
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if preserve and context_fn is noop_context_fn and _compiling():
        return function(*args, **kwargs)
    if not use_reentrant:
        return _checkpoint(function, args, kwargs, preserve, context_fn, determinism_check, debug, early_stop)
    if kwargs:
        raise explained(
            ValueError(
                f"Unexpected keyword arguments: {','.join(kwargs)}\nuse_reentrant=False takes keyword arguments."
            )
        )
    if context_fn is not noop_context_fn or debug is not False:
        raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    return CheckpointFunction.apply(function, preserve, *args)


def _say_which(name: str, why: str) -> str:
    path = "torch.utils.checkpoint" if name == "checkpoint" else f"torch.utils.checkpoint.{name}"
    return (
        f"{path}: the use_reentrant parameter should be passed explicitly. {why}use_reentrant=False is recommended, but if "
        "you need to preserve the current default behavior, you can pass use_reentrant=True. Refer to docs for more "
        "details on the differences between the two variants."
    )


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """A list of functions, or a ``Sequential``, one after another on ``input``, in ``segments`` parts.

    Each part but the last is a :func:`checkpoint`.

    Source: ``torch.utils.checkpoint.checkpoint_sequential``.
    """
    if use_reentrant is None:
        warnings.warn(_say_which("checkpoint_sequential", "In version 2.9 we will raise an exception if use_reentrant is "
                                 "not passed. "), UserWarning, stacklevel=2)  # fmt: skip
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError(f"Unexpected keyword arguments: {','.join(kwargs)}")
    each = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def run(part: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
        def forward(x: Any) -> Any:
            for f in part:
                x = f(x)
            return x

        return forward

    size = len(each) // segments
    starts = range(0, size * (segments - 1), size)
    for start in starts:
        input = checkpoint(
            run(each[start : start + size]), input, use_reentrant=use_reentrant, preserve_rng_state=preserve
        )
    return run(each[len(starts) * size :])(input)


def _compiling() -> bool:
    control = sys.modules.get("chainrule.compiler.control")  # if something is compiled, it has been imported
    return control is not None and control.is_compiling()


# --- the reentrant kind ---


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warn if no input requires grad: the reentrant kind then has no gradient at all, not even for parameters."""
    if not any(x.requires_grad for x in inputs if isinstance(x, Tensor)):
        warnings.warn(
            "None of the inputs have requires_grad=True. Gradients will be None", UserWarning, stacklevel=2
        )  # fmt: skip


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs, with its tensors cut from the graph: leaves that require grad if the tensors did."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}")
    return tuple([x.detach().requires_grad_(x.requires_grad) if isinstance(x, Tensor) else x for x in inputs])


class CheckpointFunction(Function):
    """The reentrant kind: its backward runs the part again and calls ``backward`` on the result."""

    @staticmethod
    def forward(ctx: Any, run_function: Callable[..., Any], preserve_rng_state: bool, *args: Any) -> Any:
        check_backward_validity(args)
        ctx.run_function, ctx.state = run_function, get_rng_state() if preserve_rng_state else None
        ctx.save_for_backward(*[a for a in args if isinstance(a, Tensor)])
        ctx.inputs = [None if isinstance(a, Tensor) else a for a in args]
        ctx.tensor_indices = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        with no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        sweep = engine.running.get()
        if sweep is not None and sweep.targets is not None:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` "
                "parameter to .backward(). To resolve this error, you can either set use_reentrant=False, or call "
                ".backward() without passing the `inputs` argument."
            )
        inputs = list(ctx.inputs)
        for i, t in zip(ctx.tensor_indices, ctx.saved_tensors, strict=True):
            inputs[i] = t
        with _same_numbers(ctx.state), enable_grad():
            inputs = list(detach_variable(tuple(inputs)))
            outputs = ctx.run_function(*inputs)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        live = [(y, g) for y, g in zip(outputs, grads, strict=True) if isinstance(y, Tensor) and y.requires_grad]
        if not live:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([y for y, _ in live], [g for _, g in live])
        return (None, None, *[x.grad if isinstance(x, Tensor) else None for x in inputs])


@contextmanager
def _same_numbers(state: Any) -> Iterator[None]:
    """Random numbers inside are drawn from ``state`` on; those outside go on as if nothing had been drawn."""
    with fork_rng(enabled=state is not None):
        if state is not None:
            set_rng_state(state)
        yield


# --- the other kind ---


class _Stop(BaseException):
    """All that is needed is there.  No Exception, so that the user's own handlers do not catch it."""


class _Place:
    """What a node keeps instead of a value: the value that is saved as number ``number``."""

    __slots__ = ("__weakref__", "number")

    def __init__(self, number: int) -> None:
        self.number = number


def _described(t: Tensor) -> dict[str, Any]:
    return {"shape": t.shape, "dtype": t.dtype, "device": t.device}


CHECKS: dict[str, Callable[[Tensor], Any]] = {"default": _described, "none": lambda t: None}


class _Part:
    """A checkpointed part of the forward pass: what was saved in it, and how to run it again."""

    def __init__(
        self, again: Callable[..., None], args: Sequence[Any], early_stop: bool, check: Any, debug: bool
    ) -> None:
        self.again, self.early_stop, self.describe, self.debug = again, early_stop, check, debug
        self.args = [Kept(a) if isinstance(a, Tensor) else a for a in args]
        self.places: list[weakref.ref[_Place]] = []
        self.descriptions: list[Any] = []
        self.lines: list[str] = []
        self.complete = False  # whether the forward pass has ended: a backward may be run inside it
        self.runs: MutableMapping[Any, _Run] = weakref.WeakKeyDictionary()  # by sweep, or group of sweeps

    def pack(self, t: Tensor) -> _Place:
        place = _Place(len(self.places))
        self.places.append(weakref.ref(place))
        with no_grad():
            self.descriptions.append(self.describe(t))
        if self.debug:
            self.lines.append(forward_lines()[-1])
        return place

    def unpack(self, place: _Place) -> Tensor:
        who = _group.get() or engine.running.get() or _Nobody()
        run = self.runs.get(who)
        if run is None:
            run = self.runs[who] = _Run(self)
            run.start()
        if place.number not in run.found:
            extra = "" if _group.get() is None else (
                "Performing two backward calls that overlap (i.e. require the same saved activation in order to compute "
                "gradients) is not allowed while under the torch.utils.checkpoint.GraphExecGroup context. "
            )  # fmt: skip
            raise CheckpointError(
                "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already unpacked once. "
                f"{extra}If you are calling ctx.saved_tensors in backward, make sure to do so only once. Otherwise "
                "please open an issue with details on your use case."
            )
        return run.found.pop(place.number)


class _Nobody:
    """Stands for the sweep when a value is looked at outside of one."""


class _Run:
    """One run of a part for backward."""

    def __init__(self, part: _Part) -> None:
        self.part = part
        self.count, self.inside = 0, False
        self.found: dict[int, Tensor] = {}
        self.lines: list[str] = []

    def start(self) -> None:
        part = self.part
        args = [a.unpack() if isinstance(a, Kept) else a for a in part.args]
        try:
            with saved_tensors_hooks(self.pack, lambda t: t), enable_grad():
                part.again(*args)
        except _Stop:
            pass
        if not self.inside:
            self.check()

    def pack(self, t: Tensor) -> Tensor:
        """Keep what is saved now under its number; the graph that is made on the way keeps it too."""
        part, number = self.part, self.count
        self.count += 1
        t = t.detach() if t.requires_grad else t
        if part.debug:
            self.lines.append(forward_lines()[-1])
        if number >= len(part.places):
            if part.complete:
                raise self.error(
                    "trying to save more tensors during recomputation than during the original forward pass."
                )
            self.inside = True  # a backward inside the forward pass, which has not saved everything yet
            return t
        if part.places[number]() is not None:
            self.found[number] = t
        if part.early_stop and self.count == len(part.places):
            raise _Stop
        return t

    def check(self) -> None:
        part = self.part
        if self.count != len(part.places):
            raise self.error(
                "A different number of tensors was saved during the original forward and recomputation.\n"
                f"Number of tensors saved during forward: {len(part.places)}\n"
                f"Number of tensors saved during recomputation: {self.count}."
            )
        other = ""
        for number, t in self.found.items():
            was, now = part.descriptions[number], part.describe(t)
            if was != now:
                other += f"tensor at position {number}:\nsaved metadata: {was}\nrecomputed metadata: {now}\n"
        if other:
            raise self.error(
                "Recomputed values for the following tensors have different metadata than during the forward pass.\n"
                f"{other}."
            )

    def error(self, what: str) -> CheckpointError:
        e = CheckpointError(f"torch.utils.checkpoint: {what}")
        e.add_note(
            "The function must do the same when it is run again: the same branches, shapes and modes. Look for what "
            "changed in between: a global, an attribute, a module's train() or eval(), data written in place."
        )
        if not self.part.debug:
            e.add_note("checkpoint(..., debug=True) shows where each value was saved in both runs.")
        for title, lines in (("forward", self.part.lines), ("recomputation", self.lines)) if self.part.debug else ():
            e.add_note(f"Saved during {title}, in order:\n{''.join(lines)}")
        return e


def _checkpoint(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], preserve: bool,
    context_fn: Callable[[], Contexts], determinism_check: str, debug: bool, early_stop: bool,
) -> Any:  # fmt: skip
    asked, stop = _debug.get(), _early_stop.get()
    debug = debug if asked is None else asked
    if debug and context_fn is not noop_context_fn:
        raise ValueError("debug=True is incompatible with non-default context_fn")
    if determinism_check not in CHECKS:
        raise ValueError(f"determinism_check should be one of {list(CHECKS)}, but got {determinism_check}")
    forward_context, again_context = context_fn()
    if not current().grad:
        return function(*args, **kwargs)
    state = get_rng_state() if preserve else None

    def again(*args: Any) -> None:
        with _same_numbers(state), again_context:
            function(*args, **kwargs)

    part = _Part(again, args, early_stop if stop is None else stop, CHECKS[determinism_check], debug)
    returned = False
    with saved_tensors_hooks(part.pack, part.unpack), forward_context:
        result = function(*args, **kwargs)
        returned = True
    if not returned:
        raise RuntimeError(
            "torch.utils.checkpoint: the forward context provided by context_fn suppressed an exception raised during "
            "the checkpointed forward. This is not supported because checkpoint cannot return a value for a failed "
            "forward."
        )
    part.complete = True
    return result

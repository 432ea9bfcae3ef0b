"""Control: what programs say to the compiler, under PyTorch's names."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import explained
from .watching import Uncompilable, capturing, current, eager

F = TypeVar("F", bound=Callable[..., Any])


def is_compiling() -> bool:
    """Whether ``compile`` is capturing a function at the moment, in this thread.

    >>> import chainrule as torch
    >>> torch.compiler.is_compiling()
    False
    >>> torch.compile(lambda x: x + torch.compiler.is_compiling())(torch.zeros(2))
    tensor([1., 1.])

    Source: ``torch.compiler.is_compiling``.
    """
    return capturing()


def is_dynamo_compiling() -> bool:
    """:func:`is_compiling`, under an older name.

    Source: ``torch.compiler.is_dynamo_compiling``.
    """
    return capturing()


def is_exporting() -> bool:
    """False: what is exported is not captured by ``compile``.

    Source: ``torch.compiler.is_exporting``.
    """
    return False


def graph_break(msg: str = "") -> None:
    """End a capture: the function runs as it is, with ``msg`` as the reason.

    Source: ``torch._dynamo.graph_break``.
    """
    if capturing():
        current.get().refuse(Uncompilable(msg or "it asks not to be compiled"))  # type: ignore[union-attr]


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """``fn`` as a function that is not compiled, nor what it calls if ``recursive``.  A module's ``forward`` becomes one.

    What calls it cannot be one program, and runs as it is; ``reason`` is then said.  Without ``fn``, a decorator.

    >>> import chainrule as torch
    >>> @torch.compiler.disable
    ... def f(x):
    ...     return x.item()
    >>> f(torch.tensor(2.0))
    2.0

    Raises AssertionError if ``fn`` cannot be called.

    Source: ``torch.compiler.disable``.
    """
    if fn is None:
        return lambda f: disable(f, recursive, reason=reason)
    if not callable(fn):
        raise explained(AssertionError("fn must be callable\nA function, a method or a module."))
    if hasattr(fn, "forward"):
        fn.forward = disable(fn.forward, recursive, reason=reason)
        return fn
    name = getattr(fn, "__qualname__", type(fn).__name__)

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        graph_break(f"it calls {name}, which is not to be compiled{f': {reason}' if reason else ''}")
        if not recursive:
            return fn(*args, **kwargs)
        token = current.set(eager)
        try:
            return fn(*args, **kwargs)
        finally:
            current.reset(token)

    return call


def allow_in_graph(fn: F) -> F:
    """``fn`` itself: every function is captured with what it calls.

    Source: ``torch.compiler.allow_in_graph``.
    """
    return fn


def assume_constant_result(fn: F) -> F:
    """``fn`` itself: what a capture computes without tensors is a constant of the program.

    Source: ``torch.compiler.assume_constant_result``.
    """
    return fn


def nested_compile_region(fn: F | None = None, **options: Any) -> Any:
    """``fn`` itself: equal parts of a program share their machine code anyway.

    Source: ``torch.compiler.nested_compile_region``.
    """
    return fn if fn is not None else lambda f: f


def cudagraph_mark_step_begin() -> None:
    """Nothing: there are no CUDA graphs.

    Source: ``torch.compiler.cudagraph_mark_step_begin``.
    """


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """What ``compile`` takes as ``backend``.

    >>> import chainrule as torch
    >>> torch.compiler.list_backends()
    ['jax', 'native', 'numpy']

    Source: ``torch.compiler.list_backends``.
    """
    return ["jax", "native", "numpy"]


def reset() -> None:
    """Forget all that was compiled: functions are captured anew when they are called next.

    Source: ``torch.compiler.reset``.
    """
    from .dispatch import compiled

    for f in [*compiled]:
        f.reset()


class set_stance:
    """How compiled functions behave from now on, or within ``with``, or within a function that this decorates.

    ``stance``: "default"; "force_eager": they run as they are; "eager_on_recompile": so, where nothing that was compiled fits;
    "fail_on_recompile": they raise RuntimeError then; "eager_then_compile" and "aot_eager_then_compile" are as "default".
    The other parameters are accepted for PyTorch's sake.

    >>> import chainrule as torch
    >>> f = torch.compile(lambda x: x * 2)
    >>> with torch.compiler.set_stance("force_eager"):
    ...     f(torch.ones(2))
    tensor([2., 2.])
    >>> len(f.entries)
    0

    Raises RuntimeError for other stances.

    Source: ``torch.compiler.set_stance``.
    """

    STANCES = (
        "default", "force_eager", "eager_on_recompile", "fail_on_recompile", "eager_then_compile", "aot_eager_then_compile",
    )  # fmt: skip

    def __init__(
        self, stance: str = "default", *, skip_guard_eval_unsafe: bool = False, force_backend: Any = None
    ) -> None:
        if stance not in self.STANCES:
            shown = f"DynamoStance(stance={stance!r}, skip_guard_eval_unsafe={skip_guard_eval_unsafe}, backend={force_backend})"
            raise explained(RuntimeError(f"invalid torch.compile stance '{shown}'\nOne of {', '.join(self.STANCES)}."))
        self._stance, self._before = stance, _take(stance)

    def __enter__(self) -> None:
        _take(self._stance)

    def __exit__(self, *_: object) -> None:
        _take(self._before)

    def __call__(self, fn: F) -> F:
        _take(self._before)

        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            with set_stance(self._stance):
                return fn(*args, **kwargs)

        return call  # type: ignore[return-value]


def _take(stance: str) -> str:
    from . import dispatch

    before, dispatch.stance = dispatch.stance, stance
    for f in [*dispatch.compiled]:
        f.refresh()
    return before

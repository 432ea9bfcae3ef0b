"""What is switched on: whether operations are recorded.  Local to a thread and to an async task."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Mode:
    """A state of the recorder.  ``ON`` and ``OFF`` are the two that the fast lane knows; anything else
    takes the general path, which reads the fields."""

    __slots__ = ("grad",)

    def __init__(self, grad: bool) -> None:
        self.grad = grad


ON, OFF = Mode(True), Mode(False)
_mode: ContextVar[Mode] = ContextVar("chainrule.mode", default=ON)
current = _mode.get


def is_grad_enabled() -> bool:
    """Whether operations are being recorded here, in this thread and task."""
    return current().grad


class _Switch:
    """A grad mode as a context manager and as a decorator, as in PyTorch."""

    grad: bool

    def __init__(self) -> None:
        self._tokens: list[Token[Mode]] = []

    def __enter__(self) -> None:
        self._tokens.append(_mode.set(ON if self.grad else OFF))

    def __exit__(self, *exc: object) -> None:
        _mode.reset(self._tokens.pop())

    def _fresh(self) -> _Switch:
        return type(self)()

    def __call__(self, f: F) -> F:
        @functools.wraps(f)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return f(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


class no_grad(_Switch):
    """Record nothing inside: ``with no_grad():`` or ``@no_grad()``.

    >>> import chainrule as torch
    >>> x = torch.tensor(1.0, requires_grad=True)
    >>> with torch.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    grad = False

    def __new__(cls, f: Any = None) -> Any:  # ``@no_grad`` without parentheses works in PyTorch
        self = object.__new__(cls)
        if f is None:
            return self
        _Switch.__init__(self)
        return self(f)


class enable_grad(no_grad):
    """Record inside, also within :class:`no_grad`."""

    grad = True


class set_grad_enabled(_Switch):
    """Switch recording on or off: as a call, at once; as a context manager, until its end."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.grad = bool(mode)
        self._tokens.append(_mode.set(ON if self.grad else OFF))

    def __enter__(self) -> None:
        pass

    def _fresh(self) -> _Switch:
        return set_grad_enabled(self.grad)

    def __call__(self, f: F) -> F:
        _mode.reset(self._tokens.pop())  # as a decorator it must not act on the caller
        return super().__call__(f)

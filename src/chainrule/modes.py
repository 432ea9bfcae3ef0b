"""What is switched on: whether operations are recorded, and how.  Local to a thread and to an async task."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
Hooks = tuple[Callable[[Any], Any], Callable[[Any], Any]]


class Mode:
    """A state of the recorder.  ``ON`` and ``OFF`` are the two that lanes know; any other takes the general way.

    ``enabled`` is what was asked for; ``grad``, whether operations are recorded, is false in ``inference`` all
    the same.  ``hooks`` pack and unpack what nodes save, unless there is a ``refusal``, the words in which they
    are refused, and ``before_write`` is told of each tensor that is going to be written to.  ``anomaly`` is None, or
    whether to look for nan; ``within`` the node whose rule is running; ``masks`` whether a cotangent of zero contributes
    nothing, whatever the slope.  ``watched`` says that a sweep has one of these to mind.  ``cache`` computes in the place
    of operations, and is told of the tensors that their results are in.
    """

    __slots__ = ("anomaly", "before_write", "cache", "enabled", "grad", "hooks", "inference", "masks", "refusal", "watched",
                 "within")  # fmt: skip

    def __init__(
        self, enabled: bool = True, inference: bool = False, hooks: Hooks | None = None, refusal: str | None = None,
        before_write: Callable[[Any], None] | None = None, anomaly: bool | None = None, within: Any = None,
        masks: bool = False, cache: Any = None,
    ) -> None:  # fmt: skip
        self.enabled, self.inference, self.hooks, self.refusal = enabled, inference, hooks, refusal
        self.before_write, self.cache = before_write, cache
        self.anomaly, self.within, self.masks = anomaly, within, masks
        self.grad = enabled and not inference
        self.watched = masks or anomaly is not None

    def but(self, **changes: Any) -> Mode:
        """This state with some fields changed."""
        fields = {name: getattr(self, name) for name in _FIELDS} | changes
        for plain in (ON, OFF):
            if all(getattr(plain, name) is value for name, value in fields.items()):
                return plain
        if not unusual:
            unusual.append(True)
        return Mode(**fields)


_FIELDS = tuple(name for name in Mode.__slots__ if name not in ("grad", "watched"))

# The stretch in which tensors carry tangents here, if one has been entered.
level: ContextVar[Any] = ContextVar("chainrule.level", default=None)

ON, OFF = Mode(True), Mode(False)
unusual: list[bool] = []  # not empty once any other mode has been entered: until then lanes need not ask for it
variable: ContextVar[Mode] = ContextVar("chainrule.mode", default=ON)
current, enter = variable.get, variable.set


def change(**fields: Any) -> None:
    """Change fields of the mode here, until they are changed again."""
    enter(current().but(**fields))


def is_grad_enabled() -> bool:
    """Whether operations are being recorded here, in this thread and task."""
    return current().enabled


def is_inference_mode_enabled() -> bool:
    """Whether :class:`inference_mode` is on here, in this thread and task."""
    return current().inference


def is_inference(input: Any) -> bool:
    """Whether a tensor was made in :class:`inference_mode`.

    Source: ``torch.is_inference``.
    """
    found: bool = input.is_inference()
    return found


class Setting:
    """A change of the mode, as a context manager and as a decorator.  Leaving puts back the fields it changed."""

    _changes: dict[str, Any]
    _known: dict[Mode, Mode] = {}  # what it makes of the plain modes, if that is known beforehand

    def __init__(self, **changes: Any) -> None:
        if changes:
            self._changes = changes
        self._before: list[tuple[Mode, Mode]] = []

    def __enter__(self) -> Any:
        mode = current()
        entered = self._known.get(mode) or mode.but(**self._changes)
        self._before.append((mode, entered))
        enter(entered)

    def __exit__(self, *exc: object) -> None:
        before, entered = self._before.pop()
        mode = current()
        enter(before if mode is entered else mode.but(**{name: getattr(before, name) for name in self._changes}))

    def clone(self) -> Setting:
        """Another of the same kind, not entered."""
        fresh = object.__new__(type(self))
        Setting.__init__(fresh, **self._changes)
        return fresh

    def __call__(self, f: F) -> F:
        """``f`` as a function, or a generator, that runs under this setting."""
        if inspect.isclass(f):
            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future versions. You should only decorate "
                "functions or methods. To preserve the current behavior of class decoration, you can directly "
                "decorate the `__init__` method and nothing else.", FutureWarning, stacklevel=2,
            )  # fmt: skip
        if inspect.isgeneratorfunction(f):
            return self._generator(f)  # type: ignore[return-value]

        @functools.wraps(f)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return f(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

    def _generator(self, f: Callable[..., Generator[Any, Any, Any]]) -> Callable[..., Generator[Any, Any, Any]]:
        """Each step runs under the setting; what happens between two steps does not."""

        @functools.wraps(f)
        def wrapped(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            steps = f(*args, **kwargs)
            step: Callable[[], Any] = functools.partial(next, steps)
            while True:
                try:
                    with self.clone():
                        found = step()
                except StopIteration as done:
                    return done.value
                try:
                    step = functools.partial(steps.send, (yield found))
                except GeneratorExit:
                    with self.clone():
                        steps.close()
                    raise
                except BaseException as e:
                    step = functools.partial(steps.throw, e)

        return wrapped


class AtOnce(Setting):
    """A change of the mode that acts when it is made, and so works as a plain call too."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(**changes)
        super().__enter__()

    def __enter__(self) -> None:
        pass

    def clone(self) -> Setting:
        fresh = object.__new__(type(self))
        AtOnce.__init__(fresh, **self._changes)
        return fresh

    def __call__(self, f: F) -> F:
        self.__exit__()  # as a decorator it must not act on the caller
        return super().__call__(f)


class no_grad(Setting):
    """Record nothing inside: ``with no_grad():`` or ``@no_grad()``.

    Source: ``torch.no_grad``.

    >>> import chainrule as torch
    >>> x = torch.tensor(1.0, requires_grad=True)
    >>> with torch.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    _changes, _known = {"enabled": False}, {ON: OFF, OFF: OFF}

    def __new__(cls, f: Any = None) -> Any:  # ``@no_grad`` without parentheses works in PyTorch
        self = object.__new__(cls)
        if f is None:
            return self
        self.__init__()  # type: ignore[misc]
        return self(f)


class enable_grad(no_grad):
    """Record inside, also within :class:`no_grad`.

    Source: ``torch.enable_grad``.
    """

    _changes, _known = {"enabled": True}, {ON: ON, OFF: ON}


class set_grad_enabled(AtOnce):
    """Switch recording on or off: as a call, at once; as a context manager, until its end.

    Source: ``torch.set_grad_enabled``.
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(enabled=bool(mode))

    def __repr__(self) -> str:
        return f"torch.autograd.grad_mode.set_grad_enabled(mode={self._changes['enabled']})"


class inference_mode(Setting):
    """Record nothing inside, and let what is made there never take part in a recorded computation.

    Such inference tensors have no version counter, so a write to one could not be noticed by backward.
    Saving one for backward, or writing to one outside, is an error; ``clone()`` makes a normal tensor of it.

    Source: ``torch.inference_mode``.

    >>> import chainrule as torch
    >>> with torch.inference_mode():
    ...     y = torch.ones(2) * 2
    >>> y.is_inference()
    True
    """

    def __new__(cls, mode: Any = True) -> Any:  # ``@inference_mode`` without parentheses works in PyTorch
        self = object.__new__(cls)
        if isinstance(mode, bool):
            return self
        self.__init__()  # type: ignore[misc]
        return self(mode)

    def __init__(self, mode: bool = True) -> None:
        super().__init__(enabled=not mode, inference=mode)


_multithreading: ContextVar[bool] = ContextVar("chainrule.multithreading", default=True)


class set_multithreading_enabled(Setting):
    """PyTorch's switch for sweeping in other threads than the caller's.

    A sweep runs in the thread that asks for it, whatever this says.

    Source: ``torch.autograd.set_multithreading_enabled``.
    """

    def __init__(self, mode: bool) -> None:
        self.mode, self.prev = mode, _multithreading.get()
        _multithreading.set(mode)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        _multithreading.set(self.prev)

    def clone(self) -> Setting:
        """Another of the same kind."""
        return set_multithreading_enabled(self.mode)

    def __call__(self, f: F) -> F:
        """``f`` as a function that runs under this setting."""
        self.__exit__()
        return super().__call__(f)


def is_multithreading_enabled() -> bool:
    """What :class:`set_multithreading_enabled` said last."""
    return _multithreading.get()

"""Where a nan or an infinity comes from, at little more than the cost of a plain run.  PyTorch has no such mode.

While it is on, each node's number is given out together with a note of the line that asked for it, and nothing else is
done: lanes stay lanes.  A sweep keeps its graph until its results have been looked at.  Only if one of them is not finite
is the graph gone through, value by value, for the first place.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from os.path import dirname
from threading import Lock
from types import CodeType
from typing import Any, TypeVar

import numpy as np

from .. import anomaly
from .. import node as nodes
from ..node import Box, Nowhere
from ..quiet import quietly, reset_errors
from ..random import default_generator
from ..tensor import Tensor
from .applied import Applied

F = TypeVar("F", bound=Callable[..., Any])
Note = tuple[int, CodeType, int]  # a node's number, and the place in the code that it was made for

_HERE = dirname(dirname(__file__))
_LAST = (1 << 18) - 1  # of so many of the last nodes the lines are known
_next = nodes.next_seq
_notes: dict[int, Note] = {}
_lock = Lock()
_getframe = sys._getframe
_here: ContextVar[trace_nan | None] = ContextVar("chainrule.nan_tracer", default=None)


class _Inner(dict[str, bool]):
    """Whether the code of a file is chainrule's own."""

    def __missing__(self, file: str) -> bool:
        found = self[file] = file.startswith((_HERE, "<rule>", "<chainrule"))
        return found


_inner = _Inner()


def _numbered() -> int:
    """The next number, with a note of the user's line."""
    number, frame = _next(), _getframe(2)
    while _inner[(code := frame.f_code).co_filename]:
        if (outer := frame.f_back) is None:
            return number
        frame = outer
    _notes[number & _LAST] = number, code, frame.f_lasti
    return number


def place_of(node: Any) -> tuple[CodeType, int] | None:
    """Where a node was made: a code object and an offset in it; None if nobody noted it."""
    note = _notes.get(node._seq & _LAST)
    return None if note is None or note[0] != node._seq else note[1:]


class trace_nan:
    """Inside, a sweep that starts from, or ends in, something that is not finite is a FloatingPointError.

    It names the first line of yours, and the operation, that made a nan or an infinity of finite numbers, in the forward
    or the backward pass, the numbers it was given, and what to write instead.  No ``.grad`` is changed.  A forward value
    that is not finite and that nothing depends on, as in the branch that ``where`` does not take, is no error.

    It costs far less than :class:`detect_anomaly`, since nothing is looked at before a result is wrong.  As a decorator
    it looks at what the function returns too; if that is not finite and has no history, the function is run once more,
    with the same random numbers, and watched line by line.

    >>> import chainrule as torch
    >>> x = torch.tensor([4.0, 0.0], requires_grad=True)
    >>> with torch.autograd.trace_nan():
    ...     torch.sqrt(x).sum().backward()
    Traceback (most recent call last):
    FloatingPointError: the gradient becomes inf in sqrt: line 2: torch.sqrt(x).sum().backward()
    sqrt(0): the gradient 1 arrives and inf leaves, at [1], 1 of 2 entries.
    The slope of sqrt at 0 is infinite. Add a small number inside, torch.sqrt(x + 1e-12), or choose before: ...
    """

    def __init__(self) -> None:
        self._before: list[Any] = []

    def __enter__(self) -> None:
        self._before.append(_here.set(self))
        with _lock:
            anomaly.tracers.append(self)
            nodes.next_seq = _numbered

    def __exit__(self, *exc: object) -> None:
        _here.reset(self._before.pop())
        with _lock:
            anomaly.tracers.remove(self)
            if not anomaly.tracers:
                nodes.next_seq = _next
                _notes.clear()

    def __call__(self, f: F) -> F:
        """``f`` as a function whose sweeps and results are looked at."""

        @functools.wraps(f)
        def traced(*args: Any, **kwargs: Any) -> Any:
            state = default_generator.get_state()
            with trace_nan():
                found = f(*args, **kwargs)
                wrong = [t for t in _tensors(found) if not is_finite(t)]
                if wrong:
                    from ..explain.nonfinite import of_call, of_values

                    with _off():
                        raise of_values([t for t in wrong if t._node is not None]) or of_call(
                            f, args, kwargs, lambda: default_generator.set_state(state)
                        )
                return found

        return traced  # type: ignore[return-value]

    @staticmethod
    def watch(sweep: Any, outputs: Any, settle: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """``settle``, before which a sweep's results are looked at; the sweep frees its graph after that."""
        if _here.get() is None:
            return settle
        keep, sweep.keep = sweep.keep, True

        def looked_at(sweep: Any, totals: Mapping[Any, Any]) -> Any:
            found = [*totals.values(), *[g for g in sweep.capture.values() if g is not None]]
            if not all(map(is_finite, found)) or not all(map(is_finite, outputs)):
                from ..explain.nonfinite import of_sweep

                with _off():
                    raise of_sweep(outputs, sweep.roots)
            if not keep:
                _release(sweep)
            return settle(sweep, totals)

        return looked_at


class _off:
    """Inside, nothing is traced: who looks for the reason sweeps too."""

    def __enter__(self) -> None:
        self._token = _here.set(None)

    def __exit__(self, *exc: object) -> None:
        _here.reset(self._token)


def _release(sweep: Any) -> None:
    """Free what the sweep went through, as it would have done itself."""
    stack = [edge for edge, _ in sweep.roots] if sweep.wanted is None else list(sweep.wanted)
    seen = set()
    while stack:
        node = stack.pop()
        if node is None or not node._seq or node in seen or type(node) is Nowhere:
            continue
        seen.add(node)
        extra = node.extra
        packed = extra is not None and extra.packed is not None
        if node.tensors is not None or packed or isinstance(node, Applied):
            node.release()
        if sweep.wanted is not None:
            continue
        if node.place is None:
            stack += node.next
        else:
            stack.append(node.next)


def is_finite(a: Any) -> bool:
    """Whether all numbers are finite; what holds none, or stands for several, counts as finite."""
    while isinstance(a, Box):
        if not hasattr(a, "_a"):
            return True
        a = a._a
    if not isinstance(a, (np.ndarray, np.generic)) or a.dtype.kind not in "fc":
        return True
    if a.ndim and a.flags.c_contiguous:  # one pass without another array; a sum of squares may overflow, and then ...
        flat = a.reshape(-1)
        for token in quietly:
            try:
                square = np.dot(flat, flat)
            finally:
                reset_errors(token)
            break
        if np.isfinite(square):
            return True
    return bool(np.isfinite(a).all())


def _tensors(found: Any) -> list[Tensor]:
    if isinstance(found, Tensor):
        return [found]
    inner = found.values() if isinstance(found, dict) else found if isinstance(found, (list, tuple)) else ()
    return [t for v in inner for t in _tensors(v)]

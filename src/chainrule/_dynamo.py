"""What programs say to PyTorch's compiler about sizes and limits, under its names.

>>> import chainrule as torch
>>> x = torch.ones(3, 4)
>>> torch._dynamo.mark_dynamic(x, 0)

Sizes never count as states of a compiled function here, so marks are looked at and need nothing more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from .compiler import dispatch
from .compiler.control import (
    allow_in_graph,
    assume_constant_result,
    disable,
    graph_break,
    is_compiling,
    list_backends,
    reset,
    set_stance,
)  # fmt: skip
from .errors import explained

__all__ = [
    "allow_in_graph", "assume_constant_result", "config", "disable", "graph_break", "is_compiling", "list_backends", "mark_dynamic",
    "mark_static", "mark_static_address", "maybe_mark_dynamic", "reset", "set_stance",
]  # fmt: skip


def _looked_at(index: Any) -> None:
    if not isinstance(index, (int, list, tuple)):
        raise explained(
            AssertionError(
                f"Expected index to be int, list, or tuple, got {type(index)}\nThe number of a dimension, or several."
            )
        )


def mark_dynamic(
    t: Any, index: int | Sequence[int], *, hint_override: int | None = None, min: int | None = None, max: int | None = None,
    specialize_on: list[Any] | None = None,
) -> None:  # fmt: skip
    """Say that a size of ``t`` changes from call to call, as any may.

    Raises AssertionError if ``index`` is no number or sequence.

    Source: ``torch._dynamo.mark_dynamic``.
    """
    _looked_at(index)


def maybe_mark_dynamic(t: Any, index: int | Sequence[int]) -> None:
    """:func:`mark_dynamic`, where that may turn out not to be so.

    Source: ``torch._dynamo.maybe_mark_dynamic``.
    """
    _looked_at(index)


def mark_static(t: Any, index: int | Sequence[int] | None = None) -> None:
    """Say that a size of ``t`` is the same in each call: each program is made for given sizes.

    Source: ``torch._dynamo.mark_static``.
    """
    if index is not None:
        _looked_at(index)


def mark_static_address(t: Any, guard: bool = False) -> None:
    """Say that ``t`` stays where it is in memory, on which no program depends.

    Source: ``torch._dynamo.mark_static_address``.
    """


class _Config:
    """PyTorch's settings: the limit of states that one function is compiled for; the others are accepted."""

    _own = (
        "suppress_errors", "verbose", "assume_static_by_default", "automatic_dynamic_shapes", "capture_scalar_outputs",
        "capture_dynamic_output_shape_ops", "error_on_recompile", "specialize_int", "specialize_float", "optimize_ddp",
        "accumulated_recompile_limit", "inline_inbuilt_nn_modules", "guard_nn_modules", "dynamic_shapes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.__dict__.update(dict.fromkeys(self._own))

    def __getattr__(self, name: str) -> Any:
        if name in ("recompile_limit", "cache_size_limit"):
            return dispatch.LIMIT
        raise AttributeError(f"torch._dynamo.config.{name} does not exist")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("recompile_limit", "cache_size_limit"):
            dispatch.LIMIT = value
        elif name in self._own:
            self.__dict__[name] = value
        else:
            raise AttributeError(f"torch._dynamo.config.{name} does not exist")

    @contextlib.contextmanager
    def patch(self, changes: dict[str, Any] | None = None, **more: Any) -> Iterator[None]:
        """Settings that hold within ``with``."""
        changes = {**(changes or {}), **more}
        before = {name: getattr(self, name) for name in changes}
        try:
            for name, value in changes.items():
                setattr(self, name, value)
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)


config = _Config()

"""What few tensors have, and so is kept apart from what all have."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from . import errors


class Meta:
    """What few tensors have: being a view, views of their own, hooks, retain_grad."""

    base: Any = None  # the tensor this is a view of, never itself a view
    last: Any = None  # the last step on the way from the base: (the step before, operation, parameters)
    created: str | None = None  # a view made in "no_grad" mode or as one of "several": writes are errors
    number = 0
    seen = 0  # what the version counter said when this view's history was noted
    views: list[weakref.ref[Any]] | None = None
    behind: list[weakref.ref[Any]] = []  # those of them whose history is of the past
    cut = False  # a base that was told not to require grad, while views of it may have a history
    retains = False
    grad_dtype: tuple[Any] | None = None  # holds the dtype that a leaf's gradient is to have, if that was said
    hooks: dict[int, Callable[..., Any]] = {}  # a leaf's, by when they are called: on its cotangent,
    pre: dict[int, Callable[..., Any]] = {}  # before it is accumulated (a hook of the node),
    accumulate_hooks: dict[int, Callable[..., Any]] = {}  # when it has been,
    post: dict[int, Callable[..., Any]] = {}  # and last (of the node)
    accumulator: weakref.ref[Any] | None = None

    def own_hooks(self, kind: str) -> dict[int, Callable[..., Any]]:
        found: dict[int, Callable[..., Any]] = self.__dict__.setdefault(kind, {})
        return found

    @property
    def chain(self) -> tuple[tuple[Any, dict[str, Any]], ...]:
        """How to get here from the base, step by step.  A view of a view adds its own, so none repeats the others'."""
        return steps(self.last)

    def live_views(self) -> list[Any]:
        return [] if self.views is None else [v for ref in self.views if (v := ref()) is not None]

    def all_views(self) -> list[Any]:
        """The views whose history is of the past among them."""
        found = self.live_views() + [v for ref in self.behind if (v := ref()) is not None]
        return list({id(v): v for v in found}.values()) if self.behind else found


def steps(last: Any) -> tuple[tuple[Any, dict[str, Any]], ...]:
    """A way of views from its last step: (the step before, operation, parameters)."""
    found = []
    while last is not None:
        last, prim, params = last
        found.append((prim, params))
    return tuple(reversed(found))


class Inference(list[Any]):
    """The version cell of a tensor made in inference mode.  Nobody counts its writes, so nobody may save it."""

    def __getitem__(self, i: Any) -> Any:
        raise RuntimeError(errors.INFERENCE_SAVED)


def meta(t: Any) -> Meta:
    if t._meta is None:
        t._meta = Meta()
    found: Meta = t._meta
    return found

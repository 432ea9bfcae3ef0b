"""Nested containers of tensors: tuple, list, dict, named tuple, dataclass; anything else is a leaf."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

Rebuild = Callable[[list[Any]], Any]


def flatten(tree: Any) -> tuple[list[Any], Rebuild]:
    """The leaves in order, and the function that puts new leaves in their places."""
    leaves: list[Any] = []
    shape = _walk(tree, leaves)

    def rebuild(new: list[Any]) -> Any:
        return _build(shape, iter(new))

    return leaves, rebuild


def _walk(tree: Any, leaves: list[Any]) -> Any:
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return (lambda kids, cls=type(tree): cls(*kids)), [_walk(t, leaves) for t in tree]
    if isinstance(tree, (tuple, list)):
        return type(tree), [_walk(t, leaves) for t in tree]
    if isinstance(tree, dict):
        keys = list(tree)
        return (lambda kids, cls=type(tree): cls(zip(keys, kids, strict=True))), [_walk(tree[k], leaves) for k in keys]
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = [f.name for f in dataclasses.fields(tree)]
        return (lambda kids, t=tree: dataclasses.replace(t, **dict(zip(names, kids, strict=True)))), [
            _walk(getattr(tree, n), leaves) for n in names
        ]
    if tree is None:
        return None
    leaves.append(tree)
    return ...


def _build(shape: Any, leaves: Any) -> Any:
    if shape is None:
        return None
    if shape is ...:
        return next(leaves)
    make, kids = shape
    return make([_build(k, leaves) for k in kids])


def map_(f: Callable[..., Any], tree: Any) -> Any:
    leaves, rebuild = flatten(tree)
    return rebuild([f(x) for x in leaves])


def spread(prefix: Any, tree: Any, what: str) -> list[Any]:
    """One value for each leaf of ``tree``: a scalar stands for all, a matching container for its parts."""
    if not isinstance(prefix, (tuple, list, dict)):
        return [prefix] * len(flatten(tree)[0])
    if isinstance(prefix, dict):
        if not isinstance(tree, dict) or set(prefix) != set(tree):
            raise ValueError(f"{what} does not match the structure of the inputs")
        return [v for k in tree for v in spread(prefix[k], tree[k], what)]
    if not isinstance(tree, (tuple, list)) or len(prefix) != len(tree):
        raise ValueError(f"{what} does not match the structure of the inputs: {prefix!r}")
    return [v for p, t in zip(prefix, tree, strict=True) for v in spread(p, t, what)]

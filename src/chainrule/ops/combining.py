"""Combining what is there with what is written to it: ``scatter_reduce`` and ``index_reduce``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..outputs import EXACT, takes_out
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from .index import put_add
from .kinds import export
from .places import BEYOND, add, along_last, computed, places
from .pointwise import not_of_complex
from .scatter import along_rows, put_added, scattered, shaped
from .whole import whole


class ScatterReduce(Primitive):
    """x combined at ``key`` with ``src``: "prod", "amax" or "amin"; ties share the gradient."""

    def __call__(self, *arrays: Any, **params: Any) -> Any:
        if not computed(key := params["key"]):
            return super().__call__(*arrays, **params)
        x, src = arrays
        at = places(x._shape, key)
        flat = _combine_at(x.reshape(-1), src.expand(at._shape).reshape(-1), at.reshape(-1), reduce=params["reduce"])
        return flat.reshape(x._shape)

    forward = lambda xp, x, src, *, key, reduce: xp.combine_at(x, src, key, reduce)
    vjp_x = lambda xp, g, x, src, out, key, reduce: _shares(xp, x, src, out, reduce, *_at(xp, key, out))[0](g)
    vjp_src = lambda xp, g, x, src, out, key, reduce: _shares(xp, x, src, out, reduce, *_at(xp, key, out))[1](g)
    jvp_x = lambda xp, t, x, src, out, key, reduce: (
        t * _shares(xp, x, src, out, reduce, *_at(xp, key, out))[0](xp.ones_like(out))
    )
    jvp_src = lambda xp, t, x, src, out, key, reduce: put_add(
        xp, t * _shares(xp, x, src, out, reduce, *_at(xp, key, out))[1](xp.ones_like(out)), key, out.shape
    )
    depends = lambda xp, x, src, key: x + put_add(xp, src, key, x.shape)
    formula = False
    real_only = not_of_complex("scatter_reduce")
    samples = [(((4, 2), (3, 2)), {"key": (np.array([2, 0, 2]), ...), "reduce": r}) for r in ("prod", "amax", "amin")]

    def batch_params(self, size: int, params: dict[str, Any]) -> dict[str, Any]:
        return {**params, "key": (slice(None), *params["key"])}


class CombineAt(Primitive):
    """:class:`ScatterReduce` along the last axis, at an ``index`` that is computed."""

    forward = lambda xp, x, src, index, *, reduce: xp.combine_at(x, src, along_last(index), reduce)
    vjp_x = lambda xp, g, x, src, index, out, reduce: _shares(xp, x, src, out, reduce, *_at_index(xp, index, out))[0](g)
    vjp_src = lambda xp, g, x, src, index, out, reduce: _shares(xp, x, src, out, reduce, *_at_index(xp, index, out))[1](
        g
    )
    jvp_x = lambda xp, t, x, src, index, out, reduce: (
        t * _shares(xp, x, src, out, reduce, *_at_index(xp, index, out))[0](xp.ones_like(out))
    )
    jvp_src = lambda xp, t, x, src, index, out, reduce: xp.put_along_axis(
        t * _shares(xp, x, src, out, reduce, *_at_index(xp, index, out))[1](xp.ones_like(out)), index, -1, out.shape[-1]
    )
    depends = lambda xp, x, src, index: x + xp.sum(src, axis=-1, keepdims=True)
    formula = False
    real_only = not_of_complex("scatter_reduce")
    samples = [(((2, 4), (2, 3), [[0, 2, 0], [1, 1, 3]]), {"reduce": r}) for r in ("prod", "amax", "amin")]


def _at(xp: Any, key: Any, out: Any) -> tuple[Any, Any, Any]:
    """How to read at ``key``, to add there, and to combine there."""
    return (
        lambda a: xp.getitem(a, key),
        lambda a: put_add(xp, a, key, out.shape),
        lambda a, b: _combine(a, b, key=key, reduce="prod"),
    )


def _at_index(xp: Any, index: Any, out: Any) -> tuple[Any, Any, Any]:
    return (
        lambda a: xp.take_along_axis(a, index, axis=-1),
        lambda a: xp.put_along_axis(a, index, -1, out.shape[-1]),
        lambda a, b: _combine_at(a, b, index, reduce="prod"),
    )


def _shares(xp: Any, x: Any, src: Any, out: Any, reduce: str, at: Any, added: Any, combined: Any) -> tuple[Any, Any]:
    """The cotangents of x and ``src``, as functions of that of ``out``."""
    if reduce == "prod":
        x0, s0 = x == 0, src == 0
        x1, s1 = xp.where(x0, xp.ones_like(x), x), xp.where(s0, xp.ones_like(src), src)
        zeros = xp.where(x0, xp.ones_like(x), xp.zeros_like(x)) + added(
            xp.where(s0, xp.ones_like(src), xp.zeros_like(src))
        )
        rest = combined(x1, s1)  # the product of what is not 0
        nothing = xp.zeros_like(rest)
        zero = xp.where(x0, x, nothing) + added(xp.where(s0, src, xp.zeros_like(src)))
        alone = xp.where(zeros == 1, rest, nothing)  # for the only zero; of two, each has the other as a factor
        pair = xp.where(zeros == 2, rest, nothing)
        return (
            lambda g: g * xp.where(x0, alone + pair * (zero - x), out / x1),
            lambda g: at(g) * xp.where(s0, at(alone) + at(pair) * (at(zero) - src), at(out) / s1),
        )
    mine, theirs = x == out, src == at(out)
    many = xp.where(mine, xp.ones_like(x), xp.zeros_like(x)) + added(
        xp.where(theirs, xp.ones_like(src), xp.zeros_like(src))
    )
    many = xp.where(many == 0, xp.ones_like(many), many)
    return (
        lambda g: xp.where(mine, g / many, xp.zeros_like(g)),
        lambda g: xp.where(theirs, at(g / many), xp.zeros_like(src)),
    )


_combine: Primitive = ScatterReduce("ScatterReduceBackward0")
_index_reduce = ScatterReduce("IndexReduceBackward0")
_combine_at: Primitive = CombineAt()
ScatterReduce()


def _reduced(prim: Primitive, x: Tensor, src: Tensor, key: Any, reduce: str, include_self: bool) -> Tensor:
    """x with ``src`` combined into the places of ``key``; without ``include_self`` what was there does not count."""
    many = _counted(x._shape, key)
    hit = many > 0
    if not include_self:
        neutral = {"prod": 1, "amax": _least(x._dtype), "amin": _most(x._dtype)}.get(reduce, 0)
        x = x.masked_fill(hit, neutral)
    if reduce in ("sum", "mean"):
        total = x + put_added(src, key=key, shape=x._shape, repeats=True)
        if reduce == "sum":
            return total  # type: ignore[no-any-return]
        counts = (many + include_self).masked_fill(~hit, 1)
        return total / counts if x._dtype.kind in "fc" else total // counts  # type: ignore[no-any-return]
    return prim(x, src, key=key, reduce=reduce)


def _counted(shape: tuple[int, ...], key: Any) -> Tensor:
    """How often ``key`` names each place."""
    if computed(key):
        return add(wrap(np.ones((), np.int64)), key, shape)
    many = np.zeros(shape, np.int64)
    np.add.at(many, key, 1)
    return wrap(many)


def _least(d: Any) -> Any:
    return -np.inf if d.kind == "f" else False if d.kind == "b" else int(np.iinfo(d).min)


def _most(d: Any) -> Any:
    return np.inf if d.kind == "f" else True if d.kind == "b" else int(np.iinfo(d).max)


@whole("ScatterReduceBackward0")
@takes_out(EXACT)
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``input`` with the entries of ``src`` combined into the places that ``index`` names along ``dim``.

    ``reduce`` is "sum", "prod", "mean", "amax" or "amin"; without ``include_self`` the places' own entries do not count.

    Source: ``torch.scatter_reduce``.
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    x, key, what = scattered("scatter", input, dim, index, src)
    if key is None or what is None:
        return input.clone()
    return shaped(_reduced(_combine, x, what, key, reduce, include_self), input)


@whole("IndexReduceBackward0")
@takes_out(EXACT)
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``input`` with the slices of ``source`` combined into the places that ``index`` names along ``dim``.

    ``reduce`` is "prod", "mean", "amax" or "amin"; without ``include_self`` the places' own entries do not count.

    Source: ``torch.index_reduce``.
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either prod, mean, amax or amin, got {reduce}.")
    x, key, _ = along_rows("index_reduce_", input, dim, index, source, *BEYOND)
    source = source if source.ndim else source.reshape(1)
    return shaped(_reduced(_index_reduce, x, source, key, reduce, include_self), input)


export("scatter_reduce", scatter_reduce, in_place=True)
export("index_reduce", index_reduce, in_place=True)

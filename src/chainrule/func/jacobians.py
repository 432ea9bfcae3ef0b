"""Jacobians and Hessians: one sweep, or one pass, for a batch of unit directions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import numpy as np

from ..ops.shape import cat
from ..tensor import Tensor, wrap
from ..transforms import Transform
from . import tree
from .arguments import Argnums, chosen, real_only, replaced
from .forward import push
from .levels import recording
from .reverse import Reverse, _pullback
from .vmap import box, unbox


def _directions(xs: list[Tensor], start: int, stop: int) -> list[Tensor]:
    """Unit directions ``start`` to ``stop`` of several tensors taken together, stacked in front of each shape."""
    found = []
    at = 0
    for x in xs:
        n = x.numel()
        block = np.zeros((stop - start, n), x._dtype)
        first, last = max(start, at), min(stop, at + n)
        if first < last:
            rows = np.arange(first, last)
            block[rows - start, rows - at] = 1
        found.append(wrap(block.reshape(stop - start, *x._shape)))
        at += n
    return found


def _blocks(x: Tensor, sizes: list[int], axis: int) -> Iterator[Tensor]:
    """``x`` cut along its first axis (0) or its last (-1)."""
    for n, stop in zip(sizes, accumulate(sizes), strict=True):
        cut = slice(stop - n, stop)
        yield x if len(sizes) == 1 else x[cut] if axis == 0 else x[..., cut]


def jacrev(
    func: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False, chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:  # fmt: skip
    """The Jacobian by reverse mode: one sweep per output element, done as a batch.

    For an output of shape (m,) and an argument of shape (n,) it has shape (m, n).  Outputs and arguments may be nests
    of tensors: the result is built as the output is, with the argument's structure in the place of each tensor, a
    tuple for a tuple of ``argnums``.  ``chunk_size`` bounds how many rows are computed at once; with 1 there is no
    batch, and the function may do what vmap does not allow.  With ``has_aux`` the result is ``(jacobian, aux)``.

    Raises RuntimeError for complex numbers, and for outputs that are not floating tensors.

    Source: ``torch.func.jacrev``.

    >>> import chainrule as torch
    >>> torch.func.jacrev(lambda x: x**2)(torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def wrapped(*args: Any) -> Any:
        real_only("jacrev", "inputs", args)
        with Reverse() as t, recording():
            primals = chosen(args, argnums)
            shape = tree.tree_structure(primals)
            found = _pullback(t, func(*replaced(args, argnums, t.enter(primals))), shape, has_aux)
        real_only("jacrev", "outputs", found[0])
        ys, spec = tree.tree_flatten(found[0])
        sizes = [y.numel() for y in ys]
        total = sum(sizes)
        step = total if chunk_size is None else min(chunk_size, total)

        def rows(start: int, stop: int) -> list[Tensor]:
            return _rows(found[1], spec, _directions(ys, start, stop), chunk_size == 1)

        parts = [rows(i, min(i + step, total)) for i in range(0, total, step)] if total else [rows(0, 0)]
        xs = tree.tree_leaves(primals)
        whole = parts[0] if len(parts) == 1 else [cat(each) for each in zip(*parts, strict=True)]
        cut = [list(_blocks(r, sizes, 0)) for r in whole]
        jacobian = [
            shape.unflatten([blocks[i].reshape(*y._shape, *x._shape) for blocks, x in zip(cut, xs, strict=True)])
            for i, y in enumerate(ys)
        ]
        return (spec.unflatten(jacobian), found[2]) if has_aux else spec.unflatten(jacobian)

    return wrapped


def _rows(pull: Any, spec: tree.TreeSpec, directions: list[Tensor], single: bool) -> list[Tensor]:
    """The rows of a Jacobian that belong to some unit cotangents, for each primal."""
    if single and len(directions[0]):
        return [g.unsqueeze(0) for g in tree.tree_leaves(pull(spec.unflatten([d[0] for d in directions])))]
    with Transform("vmap", directions[0]._shape[0]) as level:
        found = tree.tree_leaves(pull(spec.unflatten([box(d, 0, level) for d in directions])))
        return [unbox(g, 0, level, pull) for g in found]


def jacfwd(
    func: Callable[..., Any], argnums: Argnums | None = 0, has_aux: bool = False, *, chunk_size: int | None = None,
    randomness: str = "error",
) -> Callable[..., Any]:  # fmt: skip
    """The Jacobian by forward mode: one pass per element of the arguments, done as a batch.

    Arguments and result are those of :func:`jacrev`; ``argnums=None`` stands for all arguments.  ``randomness`` is that
    of :func:`vmap`: the function runs on many unit directions at once.

    Source: ``torch.func.jacfwd``.

    >>> import chainrule as torch
    >>> torch.func.jacfwd(lambda x: x**2)(torch.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError("jacfwd: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def wrapped(*args: Any) -> Any:
        real_only("jacfwd", "inputs", args)
        which = tuple(range(len(args))) if argnums is None else argnums
        xs, shape = tree.tree_flatten(chosen(args, which))
        sizes = [x.numel() for x in xs]
        total = sum(sizes)
        step = total if chunk_size is None else min(chunk_size, total)

        def columns(start: int, stop: int) -> tuple[list[Tensor], tree.TreeSpec, Any]:
            with Transform("vmap", stop - start, randomness) as level:
                tangents = [box(d, 0, level) for d in _directions(xs, start, stop)]
                found = push(
                    func, xs, tangents, lambda duals: replaced(args, which, shape.unflatten(duals)), False, has_aux
                )
                real_only("jacfwd", "outputs", found[0])
                ys, spec = tree.tree_flatten(found[1])
                aux = tree.tree_map(lambda y: unbox(y, 0, level, func)[0], found[2]) if has_aux else None
                return [unbox(y, -1, level, func) for y in ys], spec, aux

        parts = [columns(i, min(i + step, total)) for i in range(0, total, step)] if total else [columns(0, 0)]
        _, spec, aux = parts[0]
        whole = parts[0][0] if len(parts) == 1 else [cat(each, -1) for each in zip(*[p[0] for p in parts], strict=True)]
        jacobian = []
        for c in whole:
            blocks = [b.reshape(*b._shape[:-1], *x._shape) for b, x in zip(_blocks(c, sizes, -1), xs, strict=True)]
            jacobian.append(shape.unflatten(blocks))
        return (spec.unflatten(jacobian), aux) if has_aux else spec.unflatten(jacobian)

    return wrapped


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The matrix of second derivatives: forward mode over reverse mode.

    Source: ``torch.func.hessian``.

    >>> import chainrule as torch
    >>> torch.func.hessian(lambda x: (x**3).sum())(torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)

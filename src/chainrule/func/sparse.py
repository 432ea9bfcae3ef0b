"""Sparse Jacobians and Hessians: the pattern is found, coloured, and the entries of a colour computed together."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays.dependence import Dependence, make
from ..errors import explained
from ..extras import load
from ..ops.shape import cat
from ..tensor import Tensor, wrap
from . import colouring as _colouring
from . import tree
from .forward import jvp
from .levels import as_tensor, inside, level
from .reverse import grad, vjp
from .vmap import vmap

Csr = Any  # scipy.sparse.csr_array
REVERSE = 2  # a reverse sweep costs about as much as this many forward ones


def _sparse() -> Any:
    return load("scipy.sparse", "special", "a sparse derivative")


def sparsity(func: Callable[[Any], Any], x: Any) -> Csr:
    """Where the Jacobian of ``func`` may not be 0, as a ``scipy.sparse.csr_array`` of truth values.

    One run of ``func`` on arrays that carry, in place of numbers, what each entry depends on.  The pattern holds
    for every x of these shapes; where an operation's own pattern is not known it is taken to be full.  Rows are
    the entries of the output, columns those of x, in the order of their tensors, flattened.  A branch on a value is
    an error, since another value might take the other branch: write ``torch.where``.

    >>> import chainrule as torch
    >>> torch.func.sparsity(lambda x: x[1:] * x[:-1], torch.zeros(4)).toarray().astype(int)
    array([[1, 1, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 1, 1]])
    """
    sparse = _sparse()
    xs, rebuild = tree.flatten(x)
    sizes = [as_tensor(a).numel() for a in xs]
    n = sum(sizes)
    every = sparse.eye_array(n, dtype=bool, format="csr")
    ends = np.cumsum([0, *sizes])
    with level() as rank:
        made = [make(inside(a), rank, every[s:e]) for a, s, e in zip(xs, ends[:-1], ends[1:], strict=True)]
        rows = []
        for y in tree.flatten(func(rebuild(made)))[0]:
            found = y.pattern if isinstance(y, Dependence) and y._rank == rank else None
            rows.append(sparse.csr_array((math.prod(y.shape), n), dtype=bool) if found is None else found)
    pattern = sparse.vstack(rows, format="csr", dtype=bool) if rows else sparse.csr_array((0, n), dtype=bool)
    pattern.sort_indices()
    return pattern


class SparseJacobian:
    """The Jacobian of ``func`` as a sparse matrix, prepared once and computed for as many x as you like.

    The pattern is found at ``x`` by :func:`sparsity`, unless it is given.  Columns without a common row get one
    colour, and one forward sweep gives all columns of a colour; or rows are coloured, one reverse sweep for each
    colour, where that takes fewer.  ``mode`` ("forward" or "reverse") decides otherwise.  ``chunk_size`` bounds how
    many sweeps are done at once.

    ``J(x)`` is a ``scipy.sparse.csr_array`` of shape (entries of the output, entries of x); ``J.values(x)`` its
    entries as a tensor, in the order of ``J.pattern.indices``, which can be differentiated and batched.

    >>> import chainrule as torch
    >>> J = torch.func.SparseJacobian(lambda x: x[1:] * x[:-1], torch.zeros(1000))
    >>> J.sweeps, J(torch.arange(1000.0)).shape
    (2, (999, 1000))
    """

    def __init__(
        self, func: Callable[[Any], Any], x: Any, *, pattern: Csr = None, mode: str | None = None,
        chunk_size: int | None = None,
    ) -> None:  # fmt: skip
        if mode not in (None, "forward", "reverse"):
            raise ValueError(f"SparseJacobian: mode must be 'forward' or 'reverse', got {mode!r}")
        self.func, self.chunk_size = func, chunk_size
        self.pattern = sparsity(func, x) if pattern is None else _boolean(pattern)
        self._choose(mode)
        rows = np.repeat(np.arange(self.pattern.shape[0]), np.diff(self.pattern.indptr))
        at = (rows, self.pattern.indices) if self.mode == "forward" else (self.pattern.indices, rows)
        self._places = wrap(self.colours[at[1]].astype(np.int64)), wrap(at[0].astype(np.int64))

    def _choose(self, mode: str | None) -> None:
        if mode != "reverse":
            self.colours, self.mode = _colouring.columns(self.pattern), "forward"
        if mode != "forward":
            most = int(np.diff(self.pattern.tocsc().indptr).max(initial=0))  # as many colours at least
            if mode == "reverse" or REVERSE * most < self.sweeps:
                rows = _colouring.columns(self.pattern.T.tocsr())
                if mode == "reverse" or REVERSE * _colouring.count(rows) < self.sweeps:
                    self.colours, self.mode = rows, "reverse"

    @property
    def sweeps(self) -> int:
        """How many directions one evaluation takes: the number of colours."""
        return _colouring.count(self.colours)

    def __call__(self, x: Any) -> Csr:
        return _filled(self.pattern, self.values(x))

    def values(self, x: Any) -> Tensor:
        """The entries, of shape (entries,), row after row."""
        if self.mode == "forward":
            xs, rebuild = tree.flatten(x)
            seeds = _seeds(self.colours, [as_tensor(a) for a in xs])

            def column(*tangents: Tensor) -> Tensor:
                return flat(jvp(self.func, (x,), (rebuild(list(tangents)),))[1])
        else:
            out, pull = vjp(self.func, x)
            ys, rebuild = tree.flatten(out)
            seeds = _seeds(self.colours, ys)

            def column(*cotangents: Tensor) -> Tensor:
                return flat(pull(rebuild(list(cotangents))))

        if not seeds or not self.sweeps:
            return wrap(np.zeros(0))
        return vmap(column, chunk_size=self.chunk_size)(*seeds)[self._places]  # type: ignore[no-any-return]


class SparseHessian:
    """The Hessian of a scalar function as a sparse symmetric matrix, prepared once, for as many x as you like.

    The pattern is that of the gradient's Jacobian.  A star colouring uses the symmetry: each entry can be read off
    one of the two columns that it stands in, so that fewer products with the Hessian are needed than for a Jacobian
    of the same pattern.  ``H(x)`` and ``H.values(x)`` as for :class:`SparseJacobian`.

    With ``colouring="acyclic"`` about half as many products are needed.  Entries then follow from others by subtraction,
    in as many steps as the longest tree of two colours is deep, and their errors add up on the way: for functions that
    take long, and patterns that do not lie along a line.

    >>> import chainrule as torch
    >>> def f(x):  # x[0] beside every other: dense as a Jacobian, two colours as a Hessian
    ...     return (x[0] * x[1:] ** 2).sum()
    >>> torch.func.SparseHessian(f, torch.zeros(1000)).sweeps
    2
    """

    def __init__(
        self, func: Callable[[Any], Any], x: Any, *, pattern: Csr = None, chunk_size: int | None = None,
        colouring: str = "star",
    ) -> None:  # fmt: skip
        self.func, self.chunk_size = func, chunk_size
        found = sparsity(grad(func), x) if pattern is None else _boolean(pattern)
        self.pattern = _boolean(found + found.T)
        if colouring not in ("star", "acyclic"):
            raise ValueError(f'colouring must be "star" or "acyclic", got {colouring!r}')
        self._steps: list[tuple[Any, Any]] | None = None
        if colouring == "acyclic":
            self.colours = _colouring.acyclic(self.pattern)
            self._prepare_steps()
            return
        self.colours = _colouring.star(self.pattern)
        rows = np.repeat(np.arange(self.pattern.shape[0]), np.diff(self.pattern.indptr))
        columns, c = self.pattern.indices, self.colours
        cell = rows * max(self.sweeps, 1) + c[columns]  # where the product with the colours has this entry
        _, which, times = np.unique(cell, return_inverse=True, return_counts=True)
        alone = times[which] == 1  # else the entry is alone in the other place
        colour, place = np.where(alone, c[columns], c[rows]), np.where(alone, rows, columns)
        self._places: tuple[Tensor, ...] = wrap(colour.astype(np.int64)), wrap(place.astype(np.int64))

    def _prepare_steps(self) -> None:
        """Where entries are in the product with acyclic colours, and in which order they are found there."""
        n, c = self.pattern.shape[0], self.colours

        def at(v: Any, w: Any) -> Any:
            return c[w] * n + v

        steps = _colouring.peeled(self.pattern, c)
        self._steps = [(wrap(at(v, w)), wrap(at(w, v))) for v, w in steps]
        firsts = [v for v, _ in steps] + [np.zeros(0, np.int64)]
        seconds = [w for _, w in steps] + [np.zeros(0, np.int64)]
        v, w = np.concatenate(firsts), np.concatenate(seconds)
        diagonal = np.flatnonzero(self.pattern.diagonal())
        self._diagonal = wrap(at(diagonal, diagonal))
        ends = np.concatenate([v, w, diagonal]), np.concatenate([w, v, diagonal])
        number = np.arange(len(v) + len(diagonal))
        full = _sparse().csr_array((np.concatenate([number[: len(v)], number]), ends), shape=self.pattern.shape)
        full.sort_indices()
        self._places = (wrap(full.data),)

    def _substituted(self, product: Tensor) -> Tensor:
        """The entries in the product with acyclic colours."""
        left = product.reshape(-1)
        diagonal, found = left[self._diagonal], []
        for here, there in self._steps or ():
            found.append(left[here])
            left = left.index_add(0, there, -found[-1])
        return cat([*found, diagonal])[self._places]

    @property
    def sweeps(self) -> int:
        """How many products with the Hessian one evaluation takes: the number of colours."""
        return _colouring.count(self.colours)

    def __call__(self, x: Any) -> Csr:
        return _filled(self.pattern, self.values(x))

    def values(self, x: Any) -> Tensor:
        """The entries, of shape (entries,), row after row."""
        xs, rebuild = tree.flatten(x)
        seeds = _seeds(self.colours, [as_tensor(a) for a in xs])

        def product(*tangents: Tensor) -> Tensor:
            return flat(jvp(grad(self.func), (x,), (rebuild(list(tangents)),))[1])

        if not seeds or not self.sweeps:
            return wrap(np.zeros(0))
        found = vmap(product, chunk_size=self.chunk_size)(*seeds)
        return found[self._places] if self._steps is None else self._substituted(found)


def sparse_jacobian(func: Callable[[Any], Any], x: Any, *, mode: str | None = None) -> Csr:
    """The Jacobian of ``func`` at x as a ``scipy.sparse.csr_array``; for several x prepare a :class:`SparseJacobian`.

    >>> import chainrule as torch
    >>> torch.func.sparse_jacobian(lambda x: x[1:] * x[:-1], torch.tensor([1.0, 2.0, 3.0])).toarray()
    array([[2., 1., 0.],
           [0., 3., 2.]], dtype=float32)
    """
    return SparseJacobian(func, x, mode=mode)(x)


def sparse_hessian(func: Callable[[Any], Any], x: Any) -> Csr:
    """The Hessian of a scalar ``func`` at x as a ``scipy.sparse.csr_array``; for several x: :class:`SparseHessian`.

    >>> import chainrule as torch
    >>> torch.func.sparse_hessian(lambda x: (x[1:] * x[:-1] ** 2).sum(), torch.tensor([1.0, 2.0, 3.0])).toarray()
    array([[4., 2., 0.],
           [2., 6., 4.],
           [0., 4., 0.]], dtype=float32)
    """
    return SparseHessian(func, x)(x)


def flat(found: Any) -> Tensor:
    """All tensors of a nest, one after the other."""
    parts = [a.reshape(-1) for a in tree.flatten(found)[0]]
    return parts[0] if len(parts) == 1 else cat(parts)


def _seeds(colours: np.ndarray[Any, Any], like: list[Tensor]) -> list[Tensor]:
    """For each colour the direction with 1 at its places, for several tensors together: (colours, *shape) each."""
    sizes = [a.numel() for a in like]
    if sum(sizes) != len(colours):
        raise explained(
            RuntimeError(
                f"this was prepared for {len(colours)} entries, and there are {sum(sizes)}"
                "\nThe shapes must be those of the x that it was prepared with; for other shapes prepare another."
            )
        )
    found = []
    for a, mine in zip(like, np.split(colours, np.cumsum(sizes)[:-1]), strict=True):
        seed = np.zeros((_colouring.count(colours), len(mine)), a._dtype)
        coloured = np.flatnonzero(mine >= 0)
        seed[mine[coloured], coloured] = 1
        found.append(wrap(seed.reshape(len(seed), *a.shape)))
    return found


def _boolean(pattern: Any) -> Csr:
    found = _sparse().csr_array(pattern, dtype=bool)
    found.sum_duplicates()
    found.sort_indices()
    return found


def _filled(pattern: Csr, values: Tensor) -> Csr:
    return _sparse().csr_array((values.detach().numpy(), pattern.indices, pattern.indptr), shape=pattern.shape)

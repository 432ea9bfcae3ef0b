"""Sums of products by a formula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..primitive import promote
from ..tensor import Tensor
from .kinds import export, public

bmm = public["bmm"]


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Sums of products by Einstein's convention: a letter for each dimension, summed over where the result lacks it.

    ``...`` stands for dimensions that broadcast.  Without ``->`` the result has the letters that occur once, in
    alphabetical order.  The other form is ``einsum(op1, [0, 1], op2, [1, 2], [0, 2])``.

    Source: ``torch.einsum``.

    >>> import chainrule as torch
    >>> torch.einsum("ij,jk->ik", torch.ones(2, 3), torch.ones(3, 2))
    tensor([[3., 3.],
            [3., 3.]])
    """
    if not isinstance(equation, str):
        equation, operands = _from_lists((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    if not operands:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    terms, result = _parsed(equation.replace(" ", ""), operands)
    pairs = list(zip(promote(operands), terms, strict=True))
    pairs = [_diagonals(x, t) for x, t in pairs]
    while len(pairs) > 1:
        x, y = pairs.pop(0), pairs.pop(0)
        later = set(result).union(*[t for _, t in pairs])
        pairs.insert(0, _contract(x, y, later))
    x, t = pairs[0]
    gone = [i for i, c in enumerate(t) if c not in result]
    if gone:
        x, t = x.sum(gone), [c for c in t if c in result]
    return x.permute(*[t.index(c) for c in result]) if t != result else x  # type: ignore[no-any-return]


def _from_lists(args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    def word(numbers: Any) -> str:
        letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        return "".join("..." if n is Ellipsis else letters[n] for n in numbers)

    operands = args[0 : len(args) - len(args) % 2 : 2]
    equation = ",".join(word(n) for n in args[1 : len(args) - len(args) % 2 : 2])
    return (f"{equation}->{word(args[-1])}" if len(args) % 2 else equation), operands


def _parsed(equation: str, operands: Sequence[Tensor]) -> tuple[list[list[str]], list[str]]:
    """Each operand's dimensions as names, and the result's."""
    left, arrow, right = equation.partition("->")
    words = left.split(",")
    if len(words) != len(operands):
        more = "more" if len(words) < len(operands) else "fewer"
        raise RuntimeError(f"einsum(): {more} operands were provided than specified in the equation")
    most = 0
    for i, (w, x) in enumerate(zip(words, operands, strict=True)):
        letters = len(w.replace("...", ""))
        if not w.replace("...", "").isalpha() and letters:
            raise RuntimeError(
                f"einsum(): invalid subscript given at index 0 in the equation string, subscripts must be in [a-zA-Z]: {w}"
            )
        if letters > x.ndim or ("..." not in w and letters != x.ndim):
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({letters}) does not match the number of dimensions "
                f"({x.ndim}) for operand {i} and no ellipsis was given"
            )
        most = max(most, x.ndim - letters if "..." in w else 0)
    dots = [f"_{i}" for i in range(most)]

    def names(w: str, n: int | None = None) -> list[str]:
        before, there, after = w.partition("...")
        count = most if n is None else n - len(before) - len(after)
        return [*before, *(dots[most - count :] if there else []), *after]

    terms = [names(w, x.ndim) for w, x in zip(words, operands, strict=True)]
    if arrow:
        result = names(right)
        for c in result:
            if result.count(c) > 1:
                raise RuntimeError(f"einsum(): output subscript {c} appears more than once in the output")
            if not any(c in t for t in terms) and not c.startswith("_"):
                raise RuntimeError(
                    f"einsum(): output subscript {c} does not appear in the equation for any input operand"
                )
    else:
        flat = [c for w in words for c in w.replace("...", "")]
        result = dots + sorted(c for c in set(flat) if flat.count(c) == 1)
    sizes: dict[str, int] = {}
    for i, (t, x) in enumerate(zip(terms, operands, strict=True)):
        for c, n in zip(t, x._shape, strict=True):
            if n != sizes.setdefault(c, n) and 1 not in (n, sizes[c]):
                raise RuntimeError(
                    f"einsum(): subscript {c} has size {n} for operand {i} which does not broadcast with previously seen "
                    f"size {sizes[c]}"
                )
            sizes[c] = max(sizes[c], n) if n != 1 else sizes[c]
    return terms, result


def _diagonals(x: Tensor, t: list[str]) -> tuple[Tensor, list[str]]:
    """A letter that an operand has twice, once: its diagonal."""
    for c in dict.fromkeys(t):
        while t.count(c) > 1:
            i = t.index(c)
            j = t.index(c, i + 1)
            x = x.diagonal(0, i, j)
            t = [d for k, d in enumerate(t) if k not in (i, j)] + [c]
    return x, t


def _contract(
    first: tuple[Tensor, list[str]], second: tuple[Tensor, list[str]], later: set[str]
) -> tuple[Tensor, list[str]]:
    """The product of two, summed over what nobody needs later: a batch of matrix products."""
    (x, s), (y, t) = first, second
    x, s = _summed(x, s, later | set(t))
    y, t = _summed(y, t, later | set(s))
    size = {**dict(zip(t, y._shape, strict=True))}
    for c, n in zip(s, x._shape, strict=True):
        size[c] = max(n, size.get(c, 1)) if n != 1 and size.get(c, 1) != 1 else n if n != 1 else size.get(c, 1)
    both = [c for c in s if c in t]
    batch, inner = [c for c in both if c in later], [c for c in both if c not in later]
    rows, columns = [c for c in s if c not in t], [c for c in t if c not in s]
    if not inner:  # nothing to sum: an elementwise product
        order = batch + rows + columns
        return _placed(x, s, order) * _placed(y, t, order), order
    x = _grouped(x, s, [batch, rows, inner], size)
    y = _grouped(y, t, [batch, inner, columns], size)
    out = bmm(x, y)
    order = batch + rows + columns
    return out.reshape([size[c] for c in order]), order


def _summed(x: Tensor, t: list[str], needed: set[str]) -> tuple[Tensor, list[str]]:
    gone = [i for i, c in enumerate(t) if c not in needed]
    return (x.sum(gone), [c for c in t if c in needed]) if gone else (x, t)


def _placed(x: Tensor, t: list[str], order: list[str]) -> Tensor:
    """``x`` with its dimensions in order, and 1 for those it lacks."""
    there = [c for c in order if c in t]
    x = x.permute(*[t.index(c) for c in there]) if there != t else x
    shape = iter(x._shape)
    return x.reshape([next(shape) if c in t else 1 for c in order])


def _grouped(x: Tensor, t: list[str], groups: list[list[str]], size: dict[str, int]) -> Tensor:
    """``x`` as an array of three dimensions, each a group of its own dimensions."""
    order = [c for g in groups for c in g]
    x = x.permute(*[t.index(c) for c in order]) if order != t else x
    full = [size[c] for c in order]
    x = x.expand(*full) if x._shape != tuple(full) else x
    return x.reshape([math.prod([size[c] for c in g]) for g in groups])


export("einsum", einsum, method=False)

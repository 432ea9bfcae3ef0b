"""``rearrange``: dimensions by name, in einops' notation."""

from __future__ import annotations

import keyword
import math
import warnings
from collections.abc import Sequence
from typing import Any

from ..errors import explained
from ..tensor import Tensor

_REST = "..."


def rearrange(tensor: Tensor | Sequence[Tensor], pattern: str, **axes_lengths: int) -> Tensor:
    """``tensor`` with its dimensions permuted, split and joined as the ``pattern`` says.

    The pattern names the dimensions on the left of ``->`` and gives them in their new order on the right; names in
    parentheses are one dimension, ``...`` stands for any others, and 1 for a dimension of that length.  A list of
    tensors is stacked first.  ``axes_lengths`` says how long the parts of a split dimension are, all but one.

    Raises ValueError for a pattern that is not well formed or does not fit the tensor.

    Source: ``torch.func.rearrange``.

    >>> import chainrule as torch
    >>> images = torch.zeros(10, 3, 32, 64)
    >>> torch.func.rearrange(images, "b c (h p) (w q) -> b (h w) (c p q)", p=8, q=8).shape
    torch.Size([10, 32, 192])
    """
    from ..ops.shape import stack

    x = tensor if isinstance(tensor, Tensor) else stack(list(tensor))
    left, right = _parsed(pattern, axes_lengths)
    sizes = _sizes(left, x, axes_lengths)
    order = list(sizes)
    x = x.reshape([n for parts in sizes.values() for n in parts])
    where, start = {}, 0
    for name in order:
        where[name] = range(start, start + len(sizes[name]))
        start += len(sizes[name])
    x = x.permute([i for group in right for name in _names(group) for i in where[name]])
    shape: list[int] = []
    for group in right:
        parts = [n for name in _names(group) for n in sizes[name]]
        shape += parts if group == _REST else [math.prod(parts)]
    return x.reshape(shape)


Side = list[tuple[str, ...] | str]  # for each dimension the names it is made of, none for a 1; "..." for the rest


def _names(group: tuple[str, ...] | str) -> tuple[str, ...]:
    return (group,) if isinstance(group, str) else group


def _parsed(pattern: str, lengths: dict[str, int]) -> tuple[Side, Side]:
    """Both sides of a pattern that is known to be well formed."""
    sides = pattern.split("->")
    if len(sides) != 2:
        raise explained(
            ValueError("Pattern must contain a single '->' separator\nWrite dimensions before and after: 'b c -> c b'.")
        )
    left, right = [_side(text) for text in sides]
    names = [{name for group in side for name in _names(group)} for side in (left, right)]
    if _REST not in left and _REST in names[0]:
        raise ValueError(f"Ellipsis is parenthesis in the left side is not allowed: {pattern}")
    if _REST in names[1] - names[0]:
        raise ValueError(f"Ellipsis found in right side, but not left side of a pattern {pattern}")
    for n in lengths.values():
        if type(n) is not int:
            raise TypeError(f"rearrange axis lengths must be integers, got: {type(n)}")
    if any(name.isdecimal() for side in names for name in side):
        raise ValueError("rearrange only supports unnamed axes of size 1")
    if names[0] != names[1]:
        alone = {"…" if name == _REST else name for name in names[0] ^ names[1]}
        raise ValueError(f"Identifiers only on one side of rearrange expression (should be on both): {alone}")
    if lengths.keys() - names[0]:
        raise ValueError(f"Identifiers not found in rearrange expression: {lengths.keys() - names[0]}")
    return left, right


def _side(text: str) -> Side:
    """One side of a pattern, dimension by dimension."""
    if "." in text.replace(_REST, "", 1):
        only = "" if _REST not in text else "; only one ellipsis for tensor "
        raise ValueError(f"Expression may contain dots only inside ellipsis (...){only}")
    found: Side = []
    group: list[str] | None = None
    seen: set[str] = set()
    spaced = text.replace("(", " ( ").replace(")", " ) ").replace(_REST, f" {_REST} ")
    for word in spaced.split():
        if word == "(":
            if group is not None:
                raise ValueError("Axis composition is one-level (brackets inside brackets not allowed)")
            group = []
        elif word == ")":
            if group is None:
                raise ValueError("Brackets are not balanced")
            found.append(tuple(group))
            group = None
        else:
            _check_name(word, seen)
            seen.add(word)
            if word == "1":
                if group is None:
                    found.append(())
            elif group is None:
                found.append(word if word == _REST else (word,))
            else:
                group.append(word)
    if group is not None:
        raise ValueError(f"Imbalanced parentheses in expression: '{text}'")
    return found


def _check_name(word: str, seen: set[str]) -> None:
    for char in word:
        if not (char.isalnum() or char == "_" or word == _REST):
            raise ValueError(f"Unknown character '{char}'")
    if word in seen and word != "1":
        raise ValueError(f"Indexing expression contains duplicate dimension '{word}'")
    if word == _REST or word.isdecimal():
        return
    if not word.isidentifier():
        raise ValueError(f"Invalid axis identifier: {word}\nnot a valid python identifier")
    if word[0] == "_" or word[-1] == "_":
        raise ValueError(f"Invalid axis identifier: {word}\naxis name should should not start or end with underscore")
    if keyword.iskeyword(word):
        warnings.warn(f"It is discouraged to use axes names that are keywords: {word}", RuntimeWarning, stacklevel=5)


def _sizes(left: Side, x: Tensor, lengths: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """How long each named dimension is, in the order of the left side; the rest's are several."""
    rest = len(x._shape) - (len(left) - 1)
    if _REST in left:
        if rest < 0:
            raise ValueError(
                f"Number of dimensions in pattern ({len(left) - 1}) must be less than or equal to the number of "
                f"dimensions in the tensor ({len(x._shape)})"
            )
    elif len(left) != len(x._shape):
        raise ValueError(
            f"Number of dimensions in pattern ({len(left)}) must be equal to the number of dimensions in the tensor "
            f"({len(x._shape)})"
        )
    sizes: dict[str, tuple[int, ...]] = {}
    dims = iter(x._shape)
    for group in left:
        if isinstance(group, str):
            sizes[_REST] = tuple([next(dims) for _ in range(rest)])
            continue
        n, known = next(dims), [lengths[name] for name in group if name in lengths]
        unknown = [name for name in group if name not in lengths]
        if len(unknown) > 1 or n % max(math.prod(known), 1) or (not unknown and n != math.prod(known)):
            raise explained(_misfit(group, n, lengths))
        sizes.update({name: (lengths.get(name, n // max(math.prod(known), 1)),) for name in group})
    return sizes


def _misfit(group: tuple[str, ...], n: int, lengths: dict[str, int]) -> Any:
    parts = ", ".join(f"{name}={lengths[name]}" if name in lengths else f"{name} unknown" for name in group)
    return ValueError(
        f"a dimension of length {n} cannot be split as ({' '.join(group)}) with {parts or 'length 1'}"
        "\nGive the lengths of all but one of the names in parentheses, so that their product divides the dimension's."
    )

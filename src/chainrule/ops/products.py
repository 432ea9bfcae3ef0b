"""Products of several tensors: ``einsum``, ``tensordot``, products added to something, distances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..primitive import promote
from ..tensor import Tensor
from .extremes import return_type
from .kinds import attach, export, export_all, in_place_of, public

matmul, bmm, where = public["matmul"], public["bmm"], public["where"]


# --- einsum ----------------------------------------------------------------------------------------------------------


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


# --- products of two -------------------------------------------------------------------------------------------------


def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """Summed over ``dims``: so many of the last of ``a`` and the first of ``b``, or the two lists of dimensions.

    Source: ``torch.tensordot``.
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        pair: Any = [range(a.ndim - dims, a.ndim), range(dims)]
    else:
        pair = dims
    of_a, of_b = ([x._dim(d) for d in ([d] if isinstance(d, int) else d)] for x, d in ((a, pair[0]), (b, pair[1])))
    if len(of_a) != len(of_b):
        raise RuntimeError("both dimension lists should have same length")
    for i, j in zip(of_a, of_b, strict=True):
        if a._shape[i] != b._shape[j] and 1 not in (a._shape[i], b._shape[j]):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a._shape[i]} in dim {i} and second has size "
                f"{b._shape[j]} in dim {j}"
            )
    letters = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    s = [next(letters) for _ in range(a.ndim)]
    t = [s[of_a[of_b.index(j)]] if j in of_b else next(letters) for j in range(b.ndim)]
    result = [c for i, c in enumerate(s) if i not in of_a] + [c for j, c in enumerate(t) if j not in of_b]
    return einsum(f"{''.join(s)},{''.join(t)}->{''.join(result)}", a, b)


def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Dot products of the last dimensions; with a number, the product.

    Source: ``torch.inner``.
    """
    if not input.ndim or not other.ndim:
        return input * other
    if input._shape[-1] != other._shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(input.shape)} and "
            f"{list(other.shape)}"
        )
    return tensordot(input, other, [[-1], [-1]])


def vdot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The dot product of two vectors, the first conjugated.

    Source: ``torch.vdot``.
    """
    return input.conj().dot(other) if input._dtype.kind == "c" else input.dot(other)


def chain_matmul(*matrices: Tensor, out: Tensor | None = None) -> Tensor:
    """The product of matrices, in the order of least work.

    Source: ``torch.chain_matmul``.
    """
    return multi_dot(matrices)


def multi_dot(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """The product of matrices, in the order of least work; the first and the last may be vectors.

    Source: ``torch.linalg.multi_dot``.
    """
    xs = list(tensors)
    if len(xs) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(xs)}")
    sizes = [
        1 if xs[0].ndim == 1 else xs[0]._shape[0],
        *[x._shape[0] for x in xs[1:]],
        1 if xs[-1].ndim == 1 else xs[-1]._shape[1],
    ]
    n = len(xs)
    cost = np.zeros((n, n))
    cut = np.zeros((n, n), int)
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            ways = [cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)]
            cost[i, j], cut[i, j] = min(ways), i + int(np.argmin(ways))

    def product(i: int, j: int) -> Tensor:
        return xs[i] if i == j else matmul(product(i, cut[i, j]), product(cut[i, j] + 1, j))

    return product(0, n - 1)


# --- added to something ----------------------------------------------------------------------------------------------


def _scaled(x: Any, factor: Any) -> Any:
    return x if factor == 1 else x * factor


def _plus(input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """``beta * input + alpha * product``; a beta of 0 leaves the input out, nan or not."""
    if beta == 0:
        shape = np.broadcast_shapes(input._shape, product._shape)
        product = _scaled(product, alpha)
        return product if product._shape == shape else product.expand(*shape)
    return _scaled(input, beta) + _scaled(product, alpha)  # type: ignore[no-any-return]


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (mat @ vec)``.

    Source: ``torch.addmv``.
    """
    return _plus(input, public["mv"](mat, vec), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha`` times the outer product.

    Source: ``torch.addr``.
    """
    if vec1.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(f"addr: Expected 1-D argument vec1, but got {vec1.ndim}-D" if vec1.ndim != 1 else
                           f"addr: Expected 1-D argument vec2, but got {vec2.ndim}-D")  # fmt: skip
    return _plus(input, vec1.unsqueeze(1) * vec2, beta, alpha)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha`` times the batch of matrix products.

    Source: ``torch.baddbmm``.
    """
    return _plus(input, bmm(batch1, batch2), beta, alpha)


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha`` times the sum of a batch of matrix products.

    Source: ``torch.addbmm``.
    """
    return _plus(input, bmm(batch1, batch2).sum(0), beta, alpha)


# --- statistics of several -------------------------------------------------------------------------------------------

_Aminmax = return_type("aminmax", "min", "max")


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest entry, of all or along ``dim``; ties share the gradient.

    Source: ``torch.aminmax``.
    """
    if not input.numel() and dim is None:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    over = () if dim is None else dim
    return _Aminmax(input.amin(over, keepdim), input.amax(over, keepdim))


def var_mean(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """The variance and the mean.

    Source: ``torch.var_mean``.
    """
    over = None if isinstance(dim, bool) else dim
    return input.var(dim, unbiased, keepdim, correction=correction), input.mean(over, keepdim)


def std_mean(
    input: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """The standard deviation and the mean.

    Source: ``torch.std_mean``.
    """
    over = None if isinstance(dim, bool) else dim
    return input.std(dim, unbiased, keepdim, correction=correction), input.mean(over, keepdim)


def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum of the entries that are numbers.

    Source: ``torch.nansum``.
    """
    if input._dtype.kind == "c":
        raise RuntimeError("nansum does not support complex inputs")
    x = input if dtype is None else input.to(dtype)
    return x.masked_fill(x != x, 0).sum(dim, keepdim)


def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of the entries that are numbers.

    Source: ``torch.nanmean``.
    """
    if input._dtype.kind not in "fc":
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got " + str(input.dtype)
        )
    many = (input.detach() == input.detach()).sum(dim, keepdim=keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / many


def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariance matrix of rows of observations; weighted by how often (``fweights``) or how much each counts.

    Source: ``torch.cov``.
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    x = input if input.ndim == 2 else input.reshape(1, -1)
    w = None
    if fweights is not None:
        w = fweights
    if aweights is not None:
        w = aweights if w is None else w * aweights
    n = x._shape[1]
    total: Any = n if w is None else w.sum()
    mean = x.sum(1, keepdim=True) / total if w is None else (x * w).sum(1, keepdim=True) / total
    if w is not None and aweights is not None and correction != 0:
        norm = total - correction * (w * aweights).sum() / total
    else:
        norm = total - correction
    norm = norm.clamp(min=0) if isinstance(norm, Tensor) else max(norm, 0)
    c = x - mean
    right = (c if w is None else c * w).mT
    right = right.conj() if x._dtype.kind == "c" else right
    out = matmul(c, right) / norm if not isinstance(norm, int) or norm else matmul(c, right) * math.inf
    return out if x._shape[0] > 1 or not x._shape[0] else out.reshape(())  # type: ignore[no-any-return]


def corrcoef(input: Tensor) -> Tensor:
    """The correlation coefficients of rows of observations.

    Source: ``torch.corrcoef``.
    """
    if input.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions"
        )
    c = cov(input)
    if not c.ndim:
        return c / c
    d = c.diagonal().sqrt()
    found = c / d.unsqueeze(1) / d.unsqueeze(0)
    if found._dtype.kind == "c":
        return public["complex"](found.real.clamp(-1, 1), found.imag.clamp(-1, 1))  # type: ignore[no-any-return]
    return found.clamp(-1, 1)  # type: ignore[no-any-return]


def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Slices along ``dim`` whose p-norm is above ``maxnorm`` scaled down to it.

    Source: ``torch.renorm``.
    """
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    at = input._dim(dim)
    norm = input.norm(p, [i for i in range(input.ndim) if i != at], keepdim=True)
    return input * where(norm > maxnorm, maxnorm / (norm + 1e-7), norm.detach() * 0 + 1)  # type: ignore[no-any-return]


export("einsum", einsum, method=False)
export_all(tensordot, chain_matmul, var_mean, std_mean, cov, corrcoef, method=False)
export_all(inner, vdot, aminmax, nansum, nanmean)
attach(cov=cov, corrcoef=corrcoef)
for _name, _f in {"addmv": addmv, "addr": addr, "baddbmm": baddbmm}.items():
    export(_name, _f, in_place=True)
export("addbmm", addbmm, in_place=True)
export("renorm", renorm, in_place=True)
attach(addmm_=in_place_of(public["addmm"], "addmm"))

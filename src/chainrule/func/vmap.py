"""``vmap``: a function of one sample, made a function of many at once."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from ..arrays import namespace as ns
from ..arrays.batched import Batched, make
from ..errors import explained
from ..random import default_generator
from ..tensor import Tensor, lower
from ..transforms import Transform
from . import tree
from .levels import outside

_COPIES = "tensor.expand(n, ...) repeats one that has no such dimension"


def vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """``func`` over a dimension of its arguments, without a loop.

    ``in_dims`` says which dimension of each positional argument holds the samples, None for an argument that is the
    same for all; a number stands for a whole nest of tensors, or a nest of numbers says it of each.  Keyword
    arguments are the same for all.  ``out_dims`` says where the samples go in the outputs; None for what is not a
    tensor, or does not depend on them.  Inside, tensors have the shape of one sample.

    ``randomness`` is "different" or "same" if random numbers may be drawn inside, for each sample or once for all;
    else that is an error.  ``chunk_size`` bounds how many samples are computed at once.

    Raises ValueError if there is nothing to map over, or sizes or structures do not fit; RuntimeError inside where
    the program itself would depend on a sample, as ``if x > 0`` does.

    Source: ``torch.func.vmap``.

    >>> import chainrule as torch
    >>> torch.func.vmap(torch.dot)(torch.ones(2, 3), torch.ones(2, 3))
    tensor([3., 3.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not isinstance(out_dims, int):
            _check_out_dims(func, out_dims)
        leaves, spec, dims = _inputs(func, in_dims, args)
        size = _size(leaves, dims)
        call = functools.partial(_at_once, func, kwargs, spec, dims, out_dims, randomness)
        if chunk_size is None or size <= chunk_size:
            return call(leaves, size)
        state = default_generator.get_state() if randomness == "same" else None
        parts = []
        for start in range(0, size, chunk_size):
            if state is not None:
                default_generator.set_state(state)
            n = min(chunk_size, size - start)
            parts.append(call([_cut(x, d, start, n) for x, d in zip(leaves, dims, strict=True)], n))
        return _joined(parts, out_dims)

    return wrapped


def _at_once(
    func: Any, kwargs: Any, spec: tree.TreeSpec, dims: list[Any], out_dims: Any, randomness: str, leaves: Any, size: int
) -> Any:
    with Transform("vmap", size, randomness) as level:
        boxed = [x if d is None else box(x, d, level) for x, d in zip(leaves, dims, strict=True)]
        out = func(*spec.unflatten(boxed), **kwargs)
        if isinstance(out, Tensor) and type(out_dims) is int:
            return unbox(out, out_dims, level, func)
        found, out_spec = tree.tree_flatten(out)
        return out_spec.unflatten(
            [unbox(y, d, level, func) for y, d in zip(found, _spread(func, out_dims, out_spec), strict=True)]
        )


def box(x: Tensor, dim: int, level: Transform) -> Tensor:
    """What is seen inside of a tensor whose samples lie along ``dim``."""
    return make(x.movedim(dim, 0) if dim else x, level)


def unbox(y: Any, dim: int | None, level: Transform, func: Any) -> Any:
    """What is seen outside of a result."""
    y = outside(y, level.rank)
    mine = type(y) is Batched and y.level is level
    if dim is None:
        if mine:
            raise explained(
                ValueError(
                    f"vmap({name(func)}, ...): `{name(func)}` can not return a BatchedTensor when out_dim is None"
                    "\nThe value differs from sample to sample, so it needs a dimension for them: say out_dims=0."
                )
            )
        return y
    if mine:
        out = lower(y._a)
    elif isinstance(y, Tensor):
        out = lower(ns.boxes.broadcast_to(y, (level.size, *y._shape)))
    else:
        raise explained(
            ValueError(
                f"vmap({name(func)}, ...): `{name(func)}` must only return Tensors, got type {type(y)}. Did you mean to "
                "set out_dims= to None for output?"
                "\nA value that is the same for all samples may be returned so, in its place: out_dims=(0, None)."
            )
        )
    return out.movedim(0, dim) if dim else out


# --- what is asked for ---


def name(func: Any) -> str:
    """``func`` as it is called in errors."""
    if hasattr(func, "__name__"):
        return str(func.__name__)
    if isinstance(func, functools.partial):
        return f"functools.partial({name(func.func)}, ...)"
    return repr(func)


def _inputs(func: Any, in_dims: Any, args: tuple[Any, ...]) -> tuple[list[Any], tree.TreeSpec, list[Any]]:
    """The leaves of the arguments, their structure, and for each leaf where its samples lie."""
    leaves, spec = tree.tree_flatten(args)
    if type(in_dims) is int:
        dims: Any = [in_dims] * len(leaves)
    elif isinstance(in_dims, tuple):
        dims = tree.spread(in_dims, spec)
    else:
        raise explained(
            ValueError(
                f"{_call(func, in_dims)}: expected `in_dims` to be int or a (potentially nested) tuple matching the "
                f"structure of inputs, got: {type(in_dims)}."
                "\nWrite a tuple, with an entry for each argument: in_dims=(0, None)."
            )
        )
    if not args:
        raise explained(
            ValueError(
                f"vmap({name(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to "
                "vmap over a function with no inputs. The latter is unsupported."
                "\nKeyword arguments do not count: they are the same for all samples. Pass the samples by position."
            )
        )
    if dims is None:
        raise explained(
            ValueError(
                f"{_call(func, in_dims)}: in_dims is not compatible with the structure of `inputs`. in_dims has "
                f"structure {tree.tree_structure(in_dims)} but inputs has structure {spec}."
                "\nGive in_dims an entry for each argument: a number or None for all of it, or a nest built as it is."
            )
        )
    for i, (x, d) in enumerate(zip(leaves, dims, strict=True)):
        if d is not None and not (isinstance(x, Tensor) and type(d) is int and 0 <= d < len(x._shape)):
            dims[i] = _checked(func, in_dims, x, d)
    return leaves, spec, dims


def _checked(func: Any, in_dims: Any, x: Any, d: Any) -> int:
    """A dimension that is not among ``0 <= d < n``: what it means, or PyTorch's error."""
    call = _call(func, in_dims)
    if not isinstance(d, int):
        raise explained(
            ValueError(
                f"{call}: Got in_dim={d} for an input but in_dim must be either an integer dimension or None."
                "\nWrite the number of the dimension that holds the samples, mostly 0."
            )
        )
    if not isinstance(x, Tensor):
        raise explained(
            ValueError(
                f"{call}: Got in_dim={d} for an input but the input is of type {type(x)}. We cannot vmap over "
                "non-Tensor arguments, please use None as the respective in_dim"
                "\nin_dims has an entry for each argument: in_dims=(0, None) for a tensor of samples and a setting."
            )
        )
    n = len(x._shape)
    if not -n <= d < n:
        raise explained(
            ValueError(
                f"{call}: Got in_dim={d} for some input, but that input is a Tensor of dimensionality {n} so expected "
                f"in_dim to satisfy -{n} <= in_dim < {n}."
                f"\nSay None for an argument that is the same for all samples, as in in_dims=(0, None); {_COPIES}."
            )
        )
    return d % n


def _call(func: Any, in_dims: Any) -> str:
    return f"vmap({name(func)}, in_dims={in_dims}, ...)(<inputs>)"


def _size(leaves: list[Any], dims: list[Any]) -> int:
    """How many samples there are."""
    sizes = [x._shape[d] for x, d in zip(leaves, dims, strict=True) if d is not None]
    if not sizes:
        raise explained(
            ValueError(
                "vmap: Expected at least one Tensor to vmap over"
                "\nAll arguments are said to be the same for all samples. Give one of them a dimension in in_dims."
            )
        )
    if any(n != sizes[0] for n in sizes):
        raise explained(
            ValueError(
                "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
                f"{sizes} for the mapped dimension"
                "\nin_dims says of which dimension of each argument that is; None is for an argument without samples."
            )
        )
    return int(sizes[0])


def _check_out_dims(func: Any, out_dims: Any) -> None:
    for d in tree.tree_leaves(out_dims):
        if dataclasses.is_dataclass(d):  # of tensors it is a container, and of where they go too
            for f in dataclasses.fields(d):
                _check_out_dims(func, getattr(d, f.name))
        elif d is not None and not isinstance(d, int):
            raise ValueError(
                f"vmap({name(func)}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python collection "
                "of ints representing where in the outputs the vmapped dimension should appear."
            )


def _spread(func: Any, out_dims: Any, spec: tree.TreeSpec) -> list[Any]:
    if spec is tree.LEAF and isinstance(out_dims, tuple) and len(out_dims) == 1:
        return [out_dims[0]]
    dims = tree.spread(out_dims, spec)
    if dims is None:
        raise explained(
            ValueError(
                f"vmap({name(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure "
                f"of `outputs`. out_dims has structure {tree.tree_structure(out_dims)} but outputs has structure {spec}."
                "\nGive out_dims an entry for each output: a number or None for all of it, or a nest built as it is."
            )
        )
    return dims


# --- in pieces ---


def _cut(x: Any, dim: int | None, start: int, n: int) -> Any:
    return x if dim is None else x[(*(slice(None),) * dim, slice(start, start + n))]


def _joined(parts: list[Any], out_dims: Any) -> Any:
    """What the pieces gave, as one; what does not depend on the samples, as the first gave it."""
    from ..ops.shape import cat

    flat = [tree.tree_leaves(p) for p in parts]
    spec = tree.tree_structure(parts[0])
    where = _spread(None, out_dims, spec)
    return spec.unflatten([each[0] if d is None else cat(each, d) for d, *each in zip(where, *flat, strict=True)])

"""What stands in the brackets of ``x[key]``, brought to one form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import index as index_of
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import allocating, explained
from ..tensor import Tensor
from ..transforms import BY_MASK, batches

Key = tuple[Any, ...]
_UNKNOWN_MASK = (
    "how many entries a mask selects is not known here, where it has no values yet: choose among all entries, "
    "torch.where(mask, x, 0.0), instead of x[mask]"
)


def batch_place(key: Key) -> int:
    """Where the axis of a slice put before ``key`` comes out: first, unless arrays that stand apart go before it."""
    arrays = [i for i, k in enumerate(key) if type(k) in (int, np.ndarray)]
    apart = bool(arrays) and arrays != list(range(arrays[0], arrays[-1] + 1))
    if not apart or not any(type(k) is np.ndarray for k in key):
        return 0
    found = [k.nonzero()[0] if k.dtype.kind == "b" else k for k in key if type(k) is np.ndarray]
    return len(np.broadcast_shapes(*[k.shape for k in found]))


def normal_key(key: Any, shape: tuple[int, ...]) -> tuple[Key, str]:
    """A user's key as ints, slices, None, ... and integer arrays, ending in ``...``; and its node's name.

    PyTorch skips slices of everything: "AliasBackward0" says that nothing else is there.
    """
    parts = key if type(key) is tuple else (key,)
    found: list[Any] = []
    label, dots, dim = "AliasBackward0", False, 0
    for i, k in enumerate(parts):
        if type(k) is int:
            label = label if label == "IndexBackward0" else "SelectBackward0"
            dim += 1
        elif isinstance(k, slice):
            if any(isinstance(v, Tensor) for v in (k.start, k.stop, k.step)):
                k = slice(*(None if v is None else index_of(v) for v in (k.start, k.stop, k.step)))
            if k.step == 0:
                raise ValueError("slice step cannot be zero")
            if k.step is not None and k.step < 0:
                raise explained(
                    ValueError("step must be greater than zero\nReverse with torch.flip(x, [dim]) instead of x[::-1].")
                )
            n = shape[dim] if dim < len(shape) else 0
            if label != "IndexBackward0" and k.indices(n) != (0, n, 1):
                label = "SliceBackward0"
            dim += 1
        elif k is None:
            label = label if label == "IndexBackward0" else "UnsqueezeBackward0"
        elif k is Ellipsis:
            dots = True
            dim = len(shape) - sum(_width(later) for later in parts[i + 1 :])
        else:
            k, advanced = _array_key(k)
            label = "IndexBackward0" if advanced else "SelectBackward0"
            if advanced and k.dtype.kind == "b":
                _check_mask(k, shape, dim)
            dim += _width(k)
        found.append(k)
    if not dots:
        found.append(Ellipsis)
    return tuple(found), label


def _width(k: Any) -> int:
    """How many dimensions a part of a key takes."""
    return 0 if k is None else k.ndim if hasattr(k, "ndim") and k.dtype in (np.bool_, dtypes.bool_) else 1


def hidden(t: Tensor) -> bool:
    """Whether a tensor has no numbers here: a transform stands behind it, or another library."""
    return t._rank != 2 or not isinstance(t._a, (np.ndarray, np.generic))


@allocating("an index")
def _array_key(k: Any) -> tuple[Any, bool]:
    if isinstance(k, Tensor):
        if hidden(k):
            if k._dtype.kind == "b":
                raise explained(RuntimeError(BY_MASK if batches(k) else _UNKNOWN_MASK))
            if k._dtype.kind not in "iu":
                raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
            return k, True
        if k._dtype.kind in "iu" and not k._shape:
            return int(k._a), False
        k = k._a
    elif isinstance(k, np.integer):
        return int(k), False
    elif not isinstance(k, (bool, Sequence, np.ndarray, np.generic)) or isinstance(k, str):
        raise explained(
            IndexError(
                "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got "
                f"{type(k).__name__})\nA place is an integer: int(i), or i // 2 instead of i / 2."
            )
        )
    a = np.asarray(k)
    if a.dtype.kind not in "iub" and a.size:
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return a.astype(np.int64) if a.dtype.kind != "b" else a, True


def _check_mask(mask: Any, shape: tuple[int, ...], dim: int) -> None:
    """PyTorch's error unless a mask fits the dimensions from ``dim`` on that it takes."""
    for i, (n, m) in enumerate(zip(mask.shape, shape[dim:], strict=False)):
        if n != m:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {i} does not match the shape of the indexed tensor "
                f"{list(shape)} at index {dim + i}"
            )


def in_turn(parts: Key) -> tuple[Key, Key]:
    """A key of arrays and numbers as two, numbers and slices first: PyTorch's order, and so its order of axes."""
    basic: list[Any] = []
    rest: list[Any] = []
    for k in parts:
        if isinstance(k, (np.ndarray, Tensor)):
            basic.extend([slice(None)] * _width(k))
            rest.append(k)
        else:
            basic.append(k)
            if type(k) is not int:
                rest.append(k if k is Ellipsis else slice(None))
    return tuple(basic), tuple(rest)


def index_error(e: IndexError, x: Tensor) -> str:
    text = str(e)
    if text.startswith("too many indices"):
        if not x._shape:
            return ("invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to "
                    "convert a 0-dim tensor to a number")  # fmt: skip
        return f"too many indices for tensor of dimension {x.ndim}"
    if text.startswith("shape mismatch"):
        shapes = ", ".join(f"[{s.rstrip(',')}]" for s in re.findall(r"\(([\d,]*)\)", text))
        shapes = shapes.replace(",", ", ").replace(",  ", ", ")
        return f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
    return text.replace("for axis", "for dimension").replace("axis", "dimension")

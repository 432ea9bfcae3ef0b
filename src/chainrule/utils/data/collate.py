"""Batches out of samples: what is alike is stacked, and containers of it become containers of batches."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from ... import dtypes
from ...arrays.namespace import is_numpy
from ...creation import as_tensor, tensor
from ...errors import explained
from ...ops.shape import stack
from ...tensor import Tensor, wrap

Collate = Callable[..., Any]

_NO_NUMBERS = "SUO"  # NumPy's letters for texts and objects


def _mapping(like: Any, values: dict[Any, Any]) -> Any:
    """These values in a mapping of the kind of ``like``, with its attributes where it can be copied."""
    try:
        if isinstance(like, MutableMapping):
            out = copy.copy(like)
            out.update(values)
            return out
        return type(like)(values)
    except TypeError:
        return values


def _sequence(like: Any, values: list[Any]) -> Any:
    """These values in a sequence of the kind of ``like``; in a list for a tuple."""
    if isinstance(like, tuple):
        return values
    try:
        if isinstance(like, MutableSequence):
            out = copy.copy(like)
            for i, value in enumerate(values):
                out[i] = value
            return out
        return type(like)(values)
    except TypeError:
        return values


def default_convert(data: Any) -> Any:
    """A sample with NumPy's arrays and numbers as tensors; containers are gone through, anything else stays.

    What a loader does without batches.

    Source: ``torch.utils.data.default_convert``.

    >>> import numpy as np
    >>> default_convert({"x": np.zeros(2), "name": "a"})
    {'x': tensor([0., 0.], dtype=torch.float64), 'name': 'a'}
    """
    if isinstance(data, Tensor):
        return data
    if isinstance(data, np.ndarray) or (isinstance(data, np.generic) and not isinstance(data, (np.str_, np.bytes_))):
        return data if data.dtype.kind in _NO_NUMBERS else as_tensor(data)
    if isinstance(data, Mapping):
        return _mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(d) for d in data))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _sequence(data, [default_convert(d) for d in data])
    return data


def collate(batch: Any, *, collate_fn_map: dict[Any, Collate] | None = None) -> Any:
    """Samples as one batch; ``collate_fn_map`` says, by type, what batches of it become.

    Each function is called with the list of samples, and with the map as ``collate_fn_map``.  TypeError for
    samples of a type that is not there and is no container, RuntimeError for sequences of several lengths.

    Source: ``torch.utils.data._utils.collate.collate``.

    >>> collate([1, 2], collate_fn_map={int: lambda batch, *, collate_fn_map: sum(batch)})
    3
    """
    first = batch[0]
    functions = collate_fn_map or {}
    if type(first) in functions:
        return functions[type(first)](batch, collate_fn_map=collate_fn_map)
    for kind, function in functions.items():
        if isinstance(first, kind):
            return function(batch, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        return _mapping(first, {k: collate([d[k] for d in batch], collate_fn_map=collate_fn_map) for k in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(collate(c, collate_fn_map=collate_fn_map) for c in zip(*batch, strict=False)))
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise explained(
                RuntimeError(
                    "each element in list of batch should be of equal size"
                    "\nThe samples of a batch are sequences of several lengths. Pad them, or pass a collate_fn."
                )
            )
        columns = zip(*batch, strict=True)
        return _sequence(first, [collate(column, collate_fn_map=collate_fn_map) for column in columns])
    raise _cannot(type(first))


def _cannot(kind: Any) -> TypeError:
    return explained(
        TypeError(
            f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {kind}"
            "\nConvert it in the data set's __getitem__, or pass a collate_fn to the DataLoader."
        )
    )


def _tensors(batch: Any, *, collate_fn_map: Any = None) -> Tensor:
    first = batch[0]
    like = first._dtype, first._shape
    if all(type(t) is Tensor and not t._rg and (t._dtype, t._shape) == like for t in batch) and is_numpy(first._a):
        return wrap(np.stack([t._a for t in batch]))  # nothing to record or to convert: several times quicker
    return stack(batch, 0)


def _arrays(batch: Any, *, collate_fn_map: Any = None) -> Any:
    if batch[0].dtype.kind in _NO_NUMBERS:
        raise _cannot(batch[0].dtype)
    return collate([as_tensor(a) for a in batch], collate_fn_map=collate_fn_map)


def _scalars(batch: Any, *, collate_fn_map: Any = None) -> Tensor:
    return as_tensor(batch)


def _floats(batch: Any, *, collate_fn_map: Any = None) -> Tensor:
    return tensor(batch, dtype=dtypes.float64)


def _integers(batch: Any, *, collate_fn_map: Any = None) -> Tensor:
    return tensor(batch)


def _texts(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return batch


default_collate_fn_map: dict[Any, Collate] = {
    Tensor: _tensors,
    np.ndarray: _arrays,
    (np.bool_, np.number, np.object_): _scalars,
    float: _floats,
    int: _integers,
    str: _texts,
    bytes: _texts,
}


def default_collate(batch: Any) -> Any:
    """Samples as one batch: tensors, arrays and numbers stacked along a new first dimension.

    Dicts, lists and tuples of those become dicts and lists of batches; strings stay a list.

    Source: ``torch.utils.data.default_collate``.

    >>> default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ('a', 'b')]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)

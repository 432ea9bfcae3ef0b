"""``x[key] = value``: written in place; and what a write through a view makes of its base."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes, errors
from ..arrays.namespace import is_numpy
from ..errors import allocating, explained
from ..modes import current
from ..node import Box
from ..primitive import Primitive, bind, table
from ..recording import edges, make_node
from ..tensor import Tensor, wrap
from ..views import follow_chain, unrecorded
from ..writes import assign, check_writable, overlap, store, written
from .index import GetItem, Put, by_name, getitem, saves_index
from .keys import in_turn, index_error, normal_key
from .kinds import attach
from .places import computed, write
from .shape import Reshape

CHAIN = ((GetItem(), {"key": (slice(None), 1, ...)}), (Reshape(), {"shape": (2,)}))


class CopySlices(Primitive):
    """``base`` with ``value`` where a chain of views leads: what a write through a view makes of its base."""

    forward = lambda xp, base, value, *, chain: put_back(base, value, chain)
    vjp_base = lambda xp, g, chain: put_back(g, xp.zeros_like(follow_chain(g, chain)), chain)
    vjp_value = lambda xp, g, chain: follow_chain(g, chain)
    broadcasts = composite = jointly_linear = True
    samples = [(((2, 3), (2,)), {"chain": CHAIN})]

    def batch_params(self, size: int, params: dict[str, Any]) -> dict[str, Any]:
        return {"chain": tuple([(prim, prim.batch_params(size, p)) for prim, p in params["chain"]])}


class AsStrided(Primitive):
    """Where a chain of views leads from ``base``: what a view is, once its base was written to."""

    forward = lambda xp, base, *, chain: follow_chain(base, chain)
    vjp_base = lambda xp, g, base_shape, chain: pull_back(xp, xp.zeros(base_shape, dtype=g.dtype), g, chain)
    linear = ("base",)
    composite = True
    samples = [(((2, 3),), {"chain": CHAIN})]

    def batch(self, size: int, arrays: Any, batched: Any, params: dict[str, Any]) -> Any:
        for prim, p in params["chain"]:
            arrays = (prim.batch(size, arrays, (True,), p),)
        return arrays[0]


def pull_back(xp: Any, x: Any, g: Any, chain: Any) -> Any:
    """The cotangent of ``x``, whose value does not matter, for that of where the chain leads."""
    for at, (prim, params) in backwards(x, chain):
        g = prim.pulls[0](xp, g, (None, at), {**params, "x_shape": at.shape})
    return g


def put_back(x: Any, value: Any, chain: Any) -> Any:
    """``x`` with ``value`` where the chain leads."""
    if not all(hasattr(prim, "unview") for prim, _ in chain):  # several entries may be in one place: ask where
        shape = tuple(x.shape)
        at = follow_chain(np.arange(math.prod(shape)).reshape(shape), chain)
        x = bind(table["Reshape"], (x,), {"shape": (math.prod(shape),)})
        return bind(table["Reshape"], (bind(table["Put"], (x, value), {"key": (at, ...)}),), {"shape": shape})
    for at, (prim, params) in backwards(x, chain):
        value = prim.unview(at, value, params)
    return value


def backwards(x: Any, chain: Any) -> list[tuple[Any, Any]]:
    """The steps of a chain that starts at ``x``, the last first, each with what it is taken from."""
    places = [x]
    for prim, params in chain[:-1]:
        places.append(bind(prim, (places[-1],), params))
    return list(zip(reversed(places), reversed(chain), strict=True))


_index_put, _copy_slices = Put("IndexPutBackward0"), CopySlices("torch::autograd::CopySlices")
table["CopySlices"] = _copy_slices
AsStrided()


def setitem(self: Tensor, key: Any, value: Any) -> None:
    """``x[key] = value``: written in place, and recorded."""
    parts, label = normal_key(key, self._shape)
    if label == "IndexBackward0" and int in map(type, parts):
        basic, rest = in_turn(parts)
        return setitem(getitem(self, basic), rest, value)
    if not isinstance(value, Box):
        value = as_value(value, self)
    if computed(parts):
        assign(self, write(self, value if value._dtype == self._dtype else value.to(self.dtype), parts))
        return None
    plain = self._rank == value._rank == 2 and is_numpy(self._own()) and is_numpy(value._a)
    if plain and label != "IndexBackward0":
        return write_part(self if label == "AliasBackward0" else getitem(self, key), value)
    recording = current().grad and (self._rg or value._rg)
    check_writable(self, value._rg, uniform=not recording)  # PyTorch lets expanded tensors be written to by index
    masked = not any(type(k) is np.ndarray and k.dtype.kind != "b" for k in parts)
    if plain and (value is self or value._v is self._v is not None) and not (masked and value.numel() == 1):
        if overlap(self._a, value._a) != "none":
            raise RuntimeError(errors.OVERLAPS)
    if value._dtype != self._dtype and not masked:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{errors.scalar_type(self._dtype)} for the destination and {errors.scalar_type(value._dtype)} for the source."
        )
    if value._dtype != self._dtype:
        value = table["Cast"](value, dtype=self._dtype)
    prim = _index_put if label == "IndexBackward0" else _copy_slices
    view_prim = by_name[label]
    params: dict[str, Any] = {"key": parts} if prim is _index_put else {"chain": ((view_prim, {"key": parts}),)}
    result = None
    if recording:
        if prim is not _index_put:
            target = self[key].shape
            if target != value.shape:
                value = value.expand(*target) if len(value.shape) <= len(target) else value.reshape(target)
        rank = max(self._rank, value._rank)  # written to with a transform's value, this becomes one of its kind
        wanted = tuple([t._rg and t._rank == rank for t in (self, value)])
        inner = tuple([t._a if t._rank == rank else t for t in (self, value)])
        result = wrap(self._a, rank)
        ahead = edges((self, value), wanted)
        result._node = make_node(prim, rank, (self, value), inner, params, inner[0], wanted, ahead, result)
        result._rg = True
        if prim is _index_put:
            saves_index(result)
    try:
        if plain:
            self._a[parts] = value._a
            if self._first or value._first:
                self._carry(value, (view_prim, {"key": parts}))
        else:
            store(self, unrecorded(table["Put"], (self, value), {"key": parts}))
    except IndexError as e:
        raise IndexError(index_error(e, self)) from None
    except MemoryError as e:
        raise errors.no_memory("the indices of an assignment", e) from None
    except ValueError as e:
        raise RuntimeError(f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing "
                           f"result of shape {list(self.detach()[key].shape)}") from e  # fmt: skip
    written(self, result)


@allocating("what is assigned")
def as_value(value: Any, like: Tensor) -> Tensor:
    """A number as a tensor of ``like``'s dtype."""
    if not isinstance(value, (bool, int, float, complex, np.generic)):
        raise explained(
            TypeError(
                f"can't assign a {type(value).__name__} to a torch.{errors.scalar_type(like._dtype)}Tensor"
                "\nAssign a number or a tensor: x[key] = torch.tensor(value)."
            )
        )
    return wrap(np.asarray(dtypes.number_as(value, like._dtype), like._dtype))


def write_part(target: Tensor, value: Tensor) -> None:
    """``value`` written into a view, or into a whole tensor, as ``x[key] = value`` does."""
    have, want = value._shape, target._shape
    if not have and want:
        target.fill_(value)
        return
    while len(have) > len(want) and have[0] == 1:
        have = have[1:]
    value = value if have == value._shape else value.view(have)
    target.copy_(value if have == want else value.expand(*want))


attach(__setitem__=setitem)

"""Batched arrays: many values that one program treats as one.  The batch axis of what they hold comes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from ..errors import explained
from ..primitive import Primitive
from ..tensor import Tensor, lower
from ..transforms import ESCAPED, OF_MANY, Transform, show
from ..views import note_view
from . import namespace as ns


class Batched(Tensor):
    """The arrays of all samples of a vmap, ``level``, stacked along the first axis of ``_a``."""

    __slots__ = ()
    level: Transform

    @property
    def _shape(self) -> tuple[int, ...]:
        a = self._a
        return tuple((a._shape if isinstance(a, Tensor) else a.shape)[1:])

    def _value(self, asked: str) -> NoReturn:
        raise explained(RuntimeError(OF_MANY[asked]))

    def _constant(self) -> Tensor:
        a = self._a
        return make(a._constant() if isinstance(a, Tensor) else a, self.level)

    def _interpret(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        level = self.level
        if level.over:
            raise explained(RuntimeError(ESCAPED))
        inner, batched = [], []
        for a in args:
            mine = type(a) is Batched and a._rank == level.rank
            if mine:
                if a.level is not level:
                    raise explained(RuntimeError(ESCAPED))
                a = a._a
            if type(a) is Tensor and not a._rg:  # nothing outside needs to see what is done to it
                a = a._a
            inner.append(a)
            batched.append(mine)
        found = prim.batch(level.size, inner, batched, params)
        if prim.outputs is not None:
            return tuple([make(a, level) for a in found])
        out = make(found, level)
        if prim.view:
            note_view(prim, args[0], out, params, True)
        return out

    def _hold(self, result: Tensor) -> bool:
        if result._rank < self._rank:  # the same for all samples
            result = make(ns.boxes.broadcast_to(result, (self.level.size, *result._shape)), self.level)
        return super()._hold(result)

    def __repr__(self) -> str:
        return show("BatchedTensor", self._rank, "bdim=0, ", repr(lower(self._a)))


_new = object.__new__


def make(a: Any, level: Transform) -> Batched:
    """What a running vmap, ``level``, sees of ``a``, whose first axis is that of the samples."""
    b = _new(Batched)
    b._a = a
    b._rg = False
    b._node = b._grad = b._v = b._meta = None
    b._rank, b.level = level.rank, level
    return b


def nest(a: Any, levels: Sequence[Transform]) -> Any:
    """``a``, whose first axes are those of ``levels``, outermost first, as what is seen inside them all."""
    for level in levels:
        a = make(a, level)
    return a

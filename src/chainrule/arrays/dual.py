"""Dual arrays: a value and its tangent, carried forward together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..engine import Box
from ..primitive import Primitive, bind
from ..tensor import Tensor, init
from ..views import noting
from . import namespace as ns


class Dual(Tensor):
    """A value ``_a`` and its ``tangent`` (None: zero) at one forward-mode level."""

    __slots__ = ()
    tangent: Any

    @noting
    def _interpret(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        rank = self._rank
        primals, tangents = [], []
        for a in args:
            mine = isinstance(a, Dual) and a._rank == rank
            primals.append(a._a if mine else a)
            tangents.append(a.tangent if mine else None)
        moving = [t is not None for t in tangents]
        if prim.composite and not prim.pushes_through(moving):
            return prim.forward(ns.boxes, *args, **params)
        out = bind(prim, tuple(primals), params)
        if not prim.differentiable or True not in moving:
            return make(out, None, rank)
        xp = ns.namespace([*primals, *[t for t in tangents if t is not None]])
        return make(out, prim.jvp(xp, tangents, out, primals, params), rank)

    def _hold(self, result: Tensor) -> None:
        super()._hold(result)
        self.tangent = result.tangent if isinstance(result, Dual) and result._rank == self._rank else None


def make(primal: Any, tangent: Any, rank: int) -> Dual:
    d: Dual = init(object.__new__(Dual), primal)
    d._rank, d.tangent = rank, tangent
    return d


_ = Box

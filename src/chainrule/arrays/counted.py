"""Arrays that count what is done to them: how much a computation costs, without a clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..primitive import Elementwise, Primitive, bind
from ..tensor import Tensor, init
from ..views import noting
from .namespace import dtype_of


@dataclass
class Tally:
    """``operations`` applied, ``work`` in entries computed (multiplications, for a product), ``bytes`` of results."""

    operations: int = 0
    work: int = 0
    bytes: int = 0

    def add(self, prim: Primitive, args: Sequence[Any], outs: Sequence[Any]) -> None:
        self.operations += 1
        if prim.view:  # it only says where the entries are
            return
        sizes = [math.prod(a.shape) for a in args if hasattr(a, "shape")]
        made = sum(math.prod(o.shape) for o in outs)
        if len(prim.linear) > 1 and len(sizes) > 1 and not isinstance(prim, Elementwise):
            self.work += math.isqrt(sizes[0] * sizes[1] * made)  # of (m, k) and (k, n): m k n
        else:
            self.work += max([made, *sizes])
        self.bytes += sum(math.prod(o.shape) * dtype_of(o).itemsize for o in outs)


class Counted(Tensor):
    """An array whose operations are added to ``tally``."""

    __slots__ = ()
    tally: Tally

    @noting
    def _interpret(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        rank = self._rank
        inner = tuple([a._a if isinstance(a, Counted) and a._rank == rank else a for a in args])
        found = bind(prim, inner, params)
        outs = (found,) if prim.outputs is None else tuple(found)
        self.tally.add(prim, inner, outs)
        made = tuple([make(o, self.tally, rank) for o in outs])
        return made[0] if prim.outputs is None else made


def make(a: Any, tally: Tally, rank: int) -> Counted:
    c: Counted = init(object.__new__(Counted), a)
    c._rank, c.tally = rank, tally
    return c

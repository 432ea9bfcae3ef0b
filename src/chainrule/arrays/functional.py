"""Arrays that are never written to: a write makes the tensor stand for another value, and so its views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..primitive import Primitive, bind, table
from ..tensor import Tensor, init
from ..views import noting


class Functional(Tensor):
    """An array of a function whose writes are to be none.  With ``copies``, views are copies too."""

    __slots__ = ()
    copies: bool

    def _interpret(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        found = self._computed(prim, args, params)
        if prim.view and self.copies:
            found._a = bind(table["Clone"], (found._a,), {})
        return found

    @noting
    def _computed(self, prim: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        rank = self._rank
        found = bind(prim, tuple([a._a if isinstance(a, Functional) and a._rank == rank else a for a in args]), params)
        if prim.outputs is None:
            return make(found, rank, self.copies)
        return tuple([make(a, rank, self.copies) for a in found])

    def _hold(self, result: Tensor) -> bool:
        self._a = result._a if result._rank == self._rank else result
        return False


def make(a: Any, rank: int, copies: bool) -> Functional:
    f: Functional = init(object.__new__(Functional), a)
    f._rank, f.copies = rank, copies
    return f

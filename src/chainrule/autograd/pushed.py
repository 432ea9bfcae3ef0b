"""Forward mode through a call of a user's Function: its ``jvp``, and tensors with the tangents that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..arrays import namespace as ns
from ..arrays.dual import Dual, Slot, _own, dress, plain
from ..errors import explained
from ..tensor import Tensor


class Push:
    """The tangents of a call's arguments, which ``forward`` gets without them."""

    def __init__(self, rank: int, args: Sequence[Any]) -> None:
        self.rank = rank
        self.duals = [a if isinstance(a, Dual) and a._rank == rank else None for a in args]

    def taken(self, a: Any) -> Any:
        """An argument without its tangent."""
        return plain(a) if isinstance(a, Dual) and a._rank == self.rank else a

    def through(self, ctx: Any, saved: Any, args: Sequence[Any], result: Any) -> Any:
        """``result``, with the tangents that the user's ``jvp`` gives."""
        if ctx._wrote:
            raise NotImplementedError(
                f"{ctx._forward_cls.__name__} writes to an argument in place, which has no forward mode here: compute out "
                "of place, or call it on a copy."
            )
        outputs = result if isinstance(result, tuple) else (result,)
        tangents: list[Any] = []
        for a, d in zip(args, self.duals, strict=True):
            zero = d is None and ctx._materializes and isinstance(a, Tensor) and a._dtype.kind in "fc"
            tangents.append(ns.boxes.zeros_like(a) if zero else None if d is None else d.tangent)
        ctx.saved_for_forward = () if saved is None else saved
        found = ctx._forward_cls.jvp(ctx, *tangents)
        ctx.saved_for_forward = None
        found = found if isinstance(found, tuple) else (found,)
        if len(found) != len(outputs):
            raise explained(
                RuntimeError(
                    f"Function's jvp returned an invalid number of forward gradients (expected {len(outputs)} but got "
                    f"{len(found)})\n{ctx._forward_cls.__name__}.jvp returns one tangent for each output of forward, or "
                    "None."
                )
            )
        level = next(d for d in self.duals if d is not None)._slot.level
        for i, (out, t) in enumerate(zip(outputs, found, strict=True)):
            if t is None or not isinstance(out, Tensor) or out._dtype.kind not in "fc":
                continue
            if not isinstance(t, Tensor):
                raise RuntimeError(f"expected Variable or None (got {type(t).__name__}) for grad output {i}.")
            if t._shape != out._shape:
                raise RuntimeError(
                    "Trying to set a forward gradient that has a different size than that of the original Tensor, this is "
                    f"not supported. Tensor is of size {list(out._shape)} while the given forward gradient is of size "
                    f"{list(t._shape)}."
                )
            dress(out, Slot(_own(t, tangents), level))
        carrying = {id(a): d for a, d in zip(args, self.duals, strict=True) if d is not None}
        for kept in ctx._saved or ():
            if kept is not None:
                kept.with_tangents(carrying, outputs)
        return result

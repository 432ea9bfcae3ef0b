"""What transforms make of their arguments, and what they leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Self

from .. import modes
from ..errors import explained
from ..node import next_seq
from ..tensor import Tensor, lower, wrap
from ..transforms import Transform, depth
from ..writes import lead_out

__all__ = ["Differentiation", "as_tensor", "depth", "inside", "level", "lower", "outside", "recording", "wrap"]


class Differentiation(Transform):
    """A transform that follows how values depend on each other: "grad", "jvp" or "taylor"."""

    __slots__ = ()

    def __enter__(self) -> Self:
        self.start = next_seq()
        super().__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        if self.guests:
            lead_out(self, self.tracked)

    def tracked(self, x: Tensor) -> bool:
        """Whether something outside this transform tracks ``x``."""
        return False


@contextmanager
def level() -> Iterator[int]:
    """A transform with arrays of its own; yields their rank."""
    with Differentiation("taylor") as t:
        yield t.rank


def recording() -> AbstractContextManager[Any]:
    """Operations are recorded: what a transform gives does not depend on the mode around it, only on those inside."""
    return nullcontext() if modes.current().grad else modes.Setting(enabled=True, inference=False)


def inside(x: Tensor) -> Any:
    """What a transform's array should hold for ``x``: the bare array if nothing outside tracks it."""
    return x if x._rank != 2 or x._rg or x._first else x._a


def outside(y: Any, rank: int) -> Any:
    """A result without what levels that ended inside, of higher rank than this one, put around it."""
    while isinstance(y, Tensor) and y._rank > rank:
        y = lower(y._a)
    return y


def as_tensor(x: Any) -> Tensor:
    if isinstance(x, Tensor):
        return x
    if isinstance(x, (bool, int, float, complex)):
        raise explained(
            TypeError(
                f"expected a Tensor as the argument to differentiate or map over, got {type(x).__name__}"
                f"\nWrite torch.tensor({float(x) if not isinstance(x, complex) else x})."
            )
        )
    raise TypeError(f"expected Tensors (in any nesting of tuple, list, dict), got {type(x).__name__}")

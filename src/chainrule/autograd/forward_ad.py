"""Forward mode by hand: inside a level, tensors carry tangents through whatever is computed with them.

>>> import chainrule as torch
>>> import chainrule.autograd.forward_ad as fwAD
>>> with fwAD.dual_level():
...     x = fwAD.make_dual(torch.tensor(3.0), torch.tensor(1.0))
...     fwAD.unpack_dual(x * x)
UnpackedDualTensor(primal=tensor(9.), tangent=tensor(6.))
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from .. import modes
from ..arrays.batched import Batched
from ..arrays.batched import make as make_batched
from ..arrays.dual import Dual, Level, Slot, barriers, dress
from ..errors import explained
from ..func.levels import depth
from ..ops import namespace as boxes
from ..ops.index import GetItem
from ..ops.shape import Reshape
from ..recording import interpret
from ..tensor import Tensor, wrap

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]

F = TypeVar("F", bound=Callable[..., Any])
_MADE, _PRIMAL = Reshape("ViewBackward0"), GetItem("torch::autograd::Identity")
barriers.update((_MADE, _PRIMAL))


class UnpackedDualTensor(NamedTuple):
    """A dual tensor's value, and its tangent, or None if it has none."""

    primal: Tensor
    tangent: Tensor | None


def enter_dual_level() -> int:
    """Begin a level, and return its number, 0; ``exit_dual_level`` ends it.  A ``with dual_level():`` does both.

    A level belongs to the thread, or the async task, that entered it.  RuntimeError inside another level.

    Source: ``torch.autograd.forward_ad.enter_dual_level``.
    """
    if modes.level.get() is not None:
        raise explained(
            RuntimeError(
                "Nested forward mode AD is not supported at the moment"
                "\nFor a tangent of a tangent use torch.func.jvp, which nests, inside this level too."
            )
        )
    modes.level.set(Level(2 * depth() + 2))
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """End the level: from here on, what was dual is a tensor without a tangent.

    RuntimeError if there is no level, or another one.

    Source: ``torch.autograd.forward_ad.exit_dual_level``.
    """
    open_level = modes.level.get()
    if level not in (None, 0 if open_level is not None else -1):
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is not supported."
        )
    if open_level is None:
        raise RuntimeError("Dual level must be a positive number.")
    modes.level.set(None)
    open_level.close()


class dual_level:
    """A level as a context manager, and as a decorator: ``with dual_level():`` or ``@dual_level()``.

    Source: ``torch.autograd.forward_ad.dual_level``.
    """

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exc: object) -> None:
        exit_dual_level()

    def __call__(self, f: F) -> F:
        @functools.wraps(f)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self:
                return f(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A view of ``tensor`` that carries ``tangent``, which has its shape.

    What is computed from it carries the derivative in this direction.  ``tangent`` is kept as it is, and may
    itself require grad.  ``tensor`` goes without.

    RuntimeError outside a level, for tensors that already carry a tangent, and for different shapes; ValueError
    for other than floating point and complex numbers.

    Source: ``torch.autograd.forward_ad.make_dual``.

    >>> import chainrule as torch
    >>> import chainrule.autograd.forward_ad as fwAD
    >>> with fwAD.dual_level():
    ...     fwAD.make_dual(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])).exp()
    tensor([2.7183, 7.3891], tangent=tensor([0.0000, 7.3891]))
    """
    open_level = _open(level)
    if open_level is None:
        raise explained(
            RuntimeError(
                "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() "
                "first.\nWrite `with torch.autograd.forward_ad.dual_level():` around it, and around what is "
                "computed with it."
            )
        )
    for what, t in ("primal", tensor), ("tangent", tangent):
        if not (t.is_floating_point() or t.is_complex()):
            raise explained(
                ValueError(
                    f"Expected {what} to be floating point or complex, but got: {t.dtype}"
                    "\nThere is no derivative along integers: convert it, x.float()."
                )
            )
    if level not in (None, 0):
        raise RuntimeError("Invalid level given to _make_dual")
    return _make(tensor, tangent, open_level)


def _open(level: int | None) -> Level | None:
    return modes.level.get() if level is None or level >= 0 else None


def _make(x: Tensor, t: Tensor, level: Level) -> Tensor:
    if max(x._rank, t._rank) > level.rank:
        return _in_batch(x, t, level)
    if x.shape != t.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
            f"supported. Tensor is of size {list(x.shape)} while the given forward gradient is of size {list(t.shape)}."
        )
    if isinstance(x, Dual) and x._rank == level.rank:
        raise explained(
            RuntimeError(
                "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level 0 is "
                "not supported.\nTake it without its tangent: unpack_dual(x).primal."
            )
        )
    if isinstance(t, Dual) and t._rank == level.rank:
        raise explained(
            RuntimeError(
                "Setting a forward grad that itself has a forward gradient at the same level0 is not supported."
                "\nTake it without its tangent: unpack_dual(tangent).primal."
            )
        )
    out = interpret(x, _MADE, (x,), {"shape": x._shape}) if x._rank == level.rank else wrap(x, level.rank)
    if modes.current().inference:
        return out
    return dress(out, Slot(t if t._rank == level.rank else wrap(t, level.rank), level))


def _in_batch(x: Tensor, t: Tensor, level: Level) -> Tensor:
    """Inside a ``vmap`` within the level: a batch of duals."""
    batch = x if x._rank >= t._rank else t
    if not isinstance(batch, Batched):
        raise _misplaced("make_dual", batch)
    rank, size = batch._rank, batch.level.size
    inner = [a._a if a._rank == rank else boxes.broadcast_to(a, (size, *a.shape)) for a in (x, t)]
    pair = [a if isinstance(a, Tensor) else wrap(a, level.rank) for a in inner]
    return make_batched(_make(pair[0], pair[1], level), batch.level)


def _misplaced(name: str, t: Tensor) -> RuntimeError:
    return RuntimeError(
        f"{name}: this tensor belongs to a transform that runs inside the level ({type(t).__name__}, of rank {t._rank}). "
        "Enter the level inside the function that is transformed."
    )


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value and the tangent of a tensor; the tangent is None if it carries none, and outside a level.

    The value is a view of the tensor's memory and stays in its graph.

    Source: ``torch.autograd.forward_ad.unpack_dual``.
    """
    open_level = _open(level)
    if open_level is None:
        return UnpackedDualTensor(tensor, None)
    if level not in (None, 0):
        raise RuntimeError("Invalid level given to _fw_primal")
    if not isinstance(tensor, Tensor):
        raise TypeError(f"_unpack_dual(): argument 'dual' (position 1) must be Tensor, not {type(tensor).__name__}")
    return UnpackedDualTensor(_primal(tensor, open_level), _tangent(tensor, open_level))


def _primal(x: Tensor, level: Level) -> Tensor:
    if isinstance(x, Dual) and x._rank == level.rank:
        return _lower(interpret(x, _PRIMAL, (x,), {"key": (...,)}), level)
    if _around(x, level):
        return make_batched(_primal(x._a, level), x.level)  # type: ignore[attr-defined]
    return _PRIMAL(x, key=(...,))


def _tangent(x: Tensor, level: Level) -> Tensor | None:
    if isinstance(x, Dual) and x._rank == level.rank:
        return _lower(x.tangent, level)
    if _around(x, level):
        inner = _tangent(x._a, level)
        return None if inner is None else make_batched(inner, x.level)  # type: ignore[attr-defined]
    return None


def _around(x: Tensor, level: Level) -> bool:
    """Whether ``x`` is a batch of what carries tangents of the level."""
    inner: Any = x
    while isinstance(inner, Tensor) and inner._rank > level.rank:
        inner = inner._a
    if inner is x or not isinstance(inner, Dual) or inner._rank != level.rank:
        return False
    if not isinstance(x, Batched):
        raise _misplaced("unpack_dual", x)
    return True


def _lower(t: Tensor, level: Level) -> Tensor:
    """Without the wrapper of a level that was entered inside a transform, where it holds nothing."""
    return t._a if t._rank == level.rank > 2 and not t._rg and isinstance(t._a, Tensor) else t

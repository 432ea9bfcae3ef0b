"""Random numbers inside vmap: for each sample anew, or once for all, as its ``randomness`` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays.namespace import is_numpy
from .errors import explained
from .tensor import Tensor, wrap
from .transforms import Transform, batches, drawing_anew, running


def fresh(shape: tuple[int, ...], draw: Callable[[tuple[int, ...]], Any]) -> Tensor:
    """What ``draw(shape)`` gives, drawn for each sample anew if a running vmap says so: its axis then comes first."""
    levels = drawing_anew()
    return nested(draw((*[t.size for t in levels], *shape)), levels)


def nested(numbers: Any, levels: list[Transform]) -> Tensor:
    """An array, whose first axes are those of ``levels``, as what is seen inside them."""
    if not levels:
        return wrap(numbers)
    from .arrays.batched import nest

    return nest(numbers, levels)  # type: ignore[no-any-return]


def at(x: Tensor, function: str) -> tuple[Any, list[Transform]]:
    """The numbers that say how to draw, in the shape of what is to be drawn: with a first axis for each level returned."""
    levels = drawing_anew()
    if x._rank == 2 and is_numpy(x._a) and not levels:
        return x._own(), []
    have = batches(x)
    if any(t.randomness == "same" for t in have):
        raise explained(
            RuntimeError(
                "Vmap does not currently support same randomness with a batched tensor input. Please file an issue with "
                "functorch\nWhat is drawn depends on the sample: say randomness='different'."
            )
        )
    a = ground(x, function)
    every = [t for t in running() if t in have or t in levels]
    shape = x._shape
    a = a.reshape(*[t.size if t in have else 1 for t in every], *shape)
    return np.broadcast_to(a, (*[t.size for t in every], *shape)), every


def ground(x: Tensor, function: str) -> Any:
    """The NumPy array at the bottom; RuntimeError where another library's array is, or a trace."""
    a: Any = x._own()
    while isinstance(a, Tensor):
        a = a._own()
    if not is_numpy(a):
        raise RuntimeError(
            f"{function}: random numbers can only be drawn for plain tensors, not inside compile, nor over another "
            "library's arrays. Draw them outside and pass them in."
        )
    return a


def check_own_room(x: Tensor) -> None:
    """PyTorch's error for numbers drawn anew for each sample into a tensor that is the same for all."""
    have = batches(x)
    if any(t not in have for t in drawing_anew()):
        raise explained(
            RuntimeError(
                "vmap: Cannot ask for different inplace randomness on an unbatched tensor. This will appear like same "
                "randomness. If this is necessary for your usage, please file an issue with functorch."
                "\nMake the tensor of an input, torch.empty_like(x), which has room for each sample; or draw a new one, "
                "torch.randn(shape)."
            )
        )

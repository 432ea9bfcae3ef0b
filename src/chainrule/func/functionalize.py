"""``functionalize``: a function without its writes; and ``debug_unwrap``, to look inside transforms."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..arrays.functional import Functional, make
from ..errors import explained
from ..tensor import Tensor, lower
from . import tree
from .levels import Differentiation, inside, outside


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """``func`` with the same results, computed without writing to memory.

    In place of a write, a new value is made of the tensor and of what shares its memory; an argument that would have
    been written to gets its last value when the function is over, as one ``copy_``.  With
    ``remove="mutations_and_views"`` nothing shares memory either.  So functions that write run on arrays that cannot
    be written to, such as JAX's.

    Raises RuntimeError for any other ``remove``.

    Source: ``torch.func.functionalize``.

    >>> import chainrule as torch
    >>> def f(x):
    ...     y = x + 1
    ...     y.view(-1).mul_(2)
    ...     return y
    >>> torch.func.functionalize(f)(torch.ones(2))
    tensor([4., 4.])
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise explained(
            RuntimeError(
                f"functionalize(f, remove='mutations'): received invalid argument for remove={remove}."
                "\nSay 'mutations' to be rid of writes, 'mutations_and_views' to be rid of shared memory as well."
            )
        )

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        leaves, spec = tree.tree_flatten((args, kwargs))
        with Differentiation("functionalize") as level:
            held = [inside(x) if isinstance(x, Tensor) else x for x in leaves]
            given = [
                make(a, level.rank, remove != "mutations") if isinstance(x, Tensor) else x
                for x, a in zip(leaves, held, strict=True)
            ]
            their_args, their_kwargs = spec.unflatten(given)
            out = tree.tree_map(lambda y: _found(y, level), func(*their_args, **their_kwargs))
        for x, now, a in zip(leaves, given, held, strict=True):
            if isinstance(x, Tensor) and now._a is not a:
                x.copy_(lower(now._a))
        return out

    return wrapped


def _found(y: Any, level: Differentiation) -> Any:
    y = outside(y, level.rank)
    return lower(y._a) if isinstance(y, Functional) and y._rank == level.rank else y


def debug_unwrap(tensor: Tensor, *, recurse: bool = True) -> Tensor:
    """What a transform's tensor holds: inside ``vmap``, the values of all samples.

    For looking at values while searching for a mistake; computing with them in the function gives wrong results.
    Without ``recurse`` only the innermost transform is looked through.

    Source: ``torch.func.debug_unwrap``.

    >>> import chainrule as torch
    >>> def f(x):
    ...     print(torch.func.debug_unwrap(x))
    ...     return 2 * x
    >>> _ = torch.func.vmap(f)(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    while tensor._rank > 2 or getattr(tensor, "level", None) is not None:
        tensor = lower(tensor._a) if tensor._rank > 2 else tensor.detach()
        if not recurse:
            break
    return tensor

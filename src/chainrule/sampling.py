"""New tensors of random numbers: PyTorch's for the same seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arrays.layout import empty_like
from .creation import _float, made
from .dtypes import from_numpy, sizes, to_numpy
from .errors import allocating, explained
from .modes import no_grad
from .ops.random import drawn, fresh, ground, in_order, is_dense
from .outputs import fill as hand_over
from .random import Generator, drawing, fill
from .random.generator import recorder
from .tensor import Tensor, wrap
from .transforms import running

__all__ = ["normal", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm"]


@allocating("rand")
def rand(
    *size: Any, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Random numbers of shape ``size``, uniform in [0, 1).

    Source: ``torch.rand``.

    >>> import chainrule as torch
    >>> torch.rand(2, generator=torch.Generator().manual_seed(0))
    tensor([0.4963, 0.7682])
    """
    d = _float(dtype, out)
    g = drawing(generator)
    return made(fresh(sizes("rand", size), lambda shape: g.uniform(shape, d)), device, requires_grad, out)


@allocating("randn")
def randn(
    *size: Any, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Random numbers of shape ``size``, normal with mean 0 and deviation 1.

    Source: ``torch.randn``.

    >>> import chainrule as torch
    >>> torch.randn(2, generator=torch.Generator().manual_seed(0))
    tensor([ 1.5410, -0.2934])
    """
    d = _float(dtype, out)
    g = drawing(generator)
    return made(fresh(sizes("randn", size), lambda shape: g.normal(shape, d)), device, requires_grad, out)


@allocating("randint")
def randint(
    *args: Any, low: int | None = None, high: int | None = None, size: Any = None, generator: Generator | None = None,
    out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Random integers of shape ``size``, ``low`` (0 unless given) included and ``high`` not.

    Called as ``randint(high, size)`` or ``randint(low, high, size)``.  int64 unless ``dtype`` says otherwise.

    Source: ``torch.randint``.

    >>> import chainrule as torch
    >>> torch.randint(1, 7, (4,), generator=torch.Generator().manual_seed(0))
    tensor([3, 4, 6, 1])
    """
    given = {k: v for k, v in (("low", low), ("high", high), ("size", size)) if v is not None}
    names = ("high", "size") if len(args) + len(given) == 2 else ("low", "high", "size")
    call = dict(zip([n for n in names if n not in given], args, strict=False)) | given
    if set(call) != set(names) or len(args) + len(given) != len(names):
        raise explained(
            TypeError(
                "randint() received an invalid combination of arguments"
                "\nWrite torch.randint(high, size) or torch.randint(low, high, size)."
            )
        )
    first, last = _integer("randint", call.get("low", 0), "low", 1), _integer("randint", call["high"], "high", 1)
    if not isinstance(call["size"], (tuple, list)):
        raise explained(
            TypeError(
                f"randint(): argument 'size' (position {len(names)}) must be tuple of ints, "
                f"not {type(call['size']).__name__}\nFor a single dimension: torch.randint({last}, ({call['size']},))."
            )
        )
    g, to = drawing(generator), np.dtype(np.int64) if dtype is None and out is None else _float(dtype, out)
    found = fresh(sizes("randint", (call["size"],)), lambda shape: g.randint(first, last, shape, to))
    return made(found, device, requires_grad, out)


def _integer(function: str, value: Any, name: str, position: int) -> int:
    if isinstance(value, Tensor):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(
            f"{function}(): argument '{name}' (position {position}) must be int, not {type(value).__name__}"
        )
    return int(value)


@allocating("randperm")
def randperm(
    n: int, *, generator: Generator | None = None, out: Tensor | None = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The numbers from 0 to ``n - 1`` in random order.

    Source: ``torch.randperm``.

    >>> import chainrule as torch
    >>> torch.randperm(5, generator=torch.Generator().manual_seed(0))
    tensor([4, 0, 1, 3, 2])
    """
    n = _integer("randperm", n, "n", 1)
    g, to = drawing(generator), np.dtype(np.int64) if dtype is None and out is None else _float(dtype, out)

    def orders(shape: tuple[int, ...]) -> Any:
        """One for each sample: first those of the outermost vmap, as in PyTorch."""
        drawn = np.array([g.randperm(n, to) for _ in range(math.prod(shape[:-1]))], to)
        return np.moveaxis(drawn.reshape(*shape[-2::-1], n).T, 0, -1)

    return made(fresh((n,), orders), device, requires_grad, out)


@allocating("normal")
def normal(
    mean: Tensor | float, std: Tensor | float | None = None, size: Any = None, *, generator: Generator | None = None,
    out: Tensor | None = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normal random numbers: of one mean and deviation and shape ``size``, or of a mean or deviation per element.

    ``mean`` and ``std`` broadcast.  RuntimeError for a negative deviation.

    Source: ``torch.normal``.

    >>> import chainrule as torch
    >>> torch.normal(torch.tensor([10.0, 20.0]), 0.1, generator=torch.Generator().manual_seed(0))
    tensor([10.1541, 19.9707])
    """
    g = drawing(generator)
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        if std is None or size is None:
            raise explained(
                TypeError(
                    "normal() received an invalid combination of arguments"
                    "\nOf two numbers the result needs a shape: torch.normal(0.0, 1.0, (3,))."
                )
            )
        d = _float(dtype, out)
        wanted = sizes("normal", (size,))
        return made(fresh(wanted, lambda shape: g.normal(shape, d, mean, std)), device, requires_grad, out)
    return _normal_around(mean, 1.0 if std is None else std, g, out)


def _normal_around(mean: Any, std: Any, g: Generator, out: Tensor | None) -> Tensor:
    shape = np.broadcast_shapes(*(t._shape for t in (mean, std) if isinstance(t, Tensor)))
    d = (mean if isinstance(mean, Tensor) else std)._dtype if out is None else out._dtype
    with no_grad():
        if isinstance(std, Tensor):
            if std._dtype.kind == "c":
                raise RuntimeError("normal expects standard deviation to be non-complex")
            if std.numel() and not bool((ground(std, "normal") >= 0).all()):
                raise RuntimeError("normal expects all elements of std >= 0.0")
            found = (fresh(shape, lambda shape: g.normal(shape, d)) * std).to(from_numpy(d))
        else:
            found = fresh(shape, lambda shape: g.normal(shape, d, 0.0, std))
        found = (found + mean).to(from_numpy(d))
    for t, name in ((std, "normal(std)"), (mean, "normal(mean)")):
        if isinstance(t, Tensor) and t._rg:
            found = drawn(t.expand(shape), found, name)
    return found if out is None else hand_over(out, found, convert=True)


def _like(input: Tensor, draw: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """Numbers from ``draw(shape, dtype, contiguous)``, lying in memory as input does."""
    d = input._dtype if dtype is None else to_numpy(dtype)
    if running() or input._rank > 2:
        return made(fresh(input._shape, lambda shape: draw(shape, d, True)), device, requires_grad)
    if recorder.get() is not None:
        return made(in_order(input, lambda shape: draw(shape, d, is_dense(input))), device, requires_grad)
    a = empty_like(ground(input, "rand_like"), d)
    return made(wrap(fill(a, lambda shape: draw(shape, d, a.flags.c_contiguous))), device, requires_grad)


@allocating("rand_like")
def rand_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Uniform random numbers in [0, 1) of input's shape and dtype.

    Source: ``torch.rand_like``.

    >>> import chainrule as torch
    >>> torch.rand_like(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    g = drawing(generator)
    return _like(input, lambda shape, d, dense: g.uniform(shape, d), dtype, device, requires_grad)


@allocating("randn_like")
def randn_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Normal random numbers of input's shape and dtype.

    Source: ``torch.randn_like``.

    >>> import chainrule as torch
    >>> torch.randn_like(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    g = drawing(generator)
    return _like(input, lambda shape, d, dense: g.normal(shape, d, serial=not dense), dtype, device, requires_grad)


@allocating("randint_like")
def randint_like(
    input: Tensor, *bounds: Any, low: int | None = None, high: int | None = None, generator: Generator | None = None,
    dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Random integers of input's shape and dtype: ``randint_like(x, high)`` or ``randint_like(x, low, high)``.

    Source: ``torch.randint_like``.

    >>> import chainrule as torch
    >>> torch.randint_like(torch.zeros(2), 5, 6)
    tensor([5., 5.])
    """
    given = [*bounds, *(v for v in (low, high) if v is not None)]
    if not 1 <= len(given) <= 2:
        raise explained(
            TypeError(
                "randint_like() received an invalid combination of arguments"
                "\nWrite torch.randint_like(x, high) or torch.randint_like(x, low, high)."
            )
        )
    first, last = (_integer("randint_like", v, "high", 2) for v in (given if len(given) == 2 else (0, *given)))
    g = drawing(generator)
    return _like(input, lambda shape, d, dense: g.randint(first, last, shape, d), dtype, device, requires_grad)

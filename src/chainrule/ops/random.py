"""Random numbers written into tensors, and drawn at what a tensor says: PyTorch's streams, draw for draw.

A draw depends on nothing that could be differentiated: where a gradient is asked for, it is 0, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import modes
from ..arrays.layout import empty_like, slowest_first
from ..arrays.namespace import is_numpy
from ..errors import explained, scalar_type
from ..outputs import ANY, takes_out
from ..primitive import Primitive, table
from ..random import Generator, drawing, fill
from ..random.generator import recorder
from ..tensor import Tensor, wrap
from ..transforms import Transform, batches, drawing_anew, running
from ..writes import assign, check_writable, written
from .filling import Copy
from .joining import broadcast_tensors
from .kinds import attach, export

Draw = Callable[..., Any]


def in_order(like: Tensor, draw: Draw) -> Tensor:
    """Numbers for the entries of ``like``, drawn in the order of its memory, while draws are written down."""
    writer = recorder.get()
    order = slowest_first(empty_like(writer.layout(like._a) if writer else like._a))
    found = wrap(draw(tuple(like._shape[i] for i in order)))
    return found if order == sorted(order) else table["Permute"](found, axes=tuple(np.argsort(order) - len(order)))


def is_dense(x: Tensor) -> bool:
    """Whether ``x`` lies in memory in the order of its axes, or would, while draws are written down."""
    writer = recorder.get()
    return bool(writer.layout(x._a).flags.c_contiguous) if writer else x.is_contiguous()


# Inside vmap: for each sample anew, or once for all, as its ``randomness`` says.


def fresh(shape: tuple[int, ...], draw: Callable[[tuple[int, ...]], Any]) -> Tensor:
    """What ``draw(shape)`` gives, drawn for each sample anew if a running vmap says so: its axis then comes first."""
    levels = drawing_anew()
    return nested(draw((*[t.size for t in levels], *shape)), levels)


def nested(numbers: Any, levels: list[Transform]) -> Tensor:
    """An array, whose first axes are those of ``levels``, as what is seen inside them."""
    if not levels:
        return wrap(numbers)
    from ..arrays.batched import nest

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
    a = a.reshape((*[t.size if t in have else 1 for t in every], *shape))
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


_nodes = {
    name: Copy(f"{label}Backward{number}")
    for name, label, number in (
        ("uniform_", "Uniform", 0), ("normal_", "Normal", 0), ("exponential_", "Exponential", 0),
        ("cauchy_", "Cauchy", 0), ("log_normal_", "LogNormal", 0), ("geometric_", "Geometric", 0),
        ("random_", "Random", 2), ("random_(to)", "Random", 1), ("random_(from, to)", "Random", 0),
        ("bernoulli_", "Bernoulli", 2), ("bernoulli_(p)", "Bernoulli", 1), ("bernoulli", "Bernoulli", 0),
        ("poisson", "Poisson", 0), ("normal(mean)", "Normal", 1), ("normal(std)", "Normal", 2),
    )
}  # fmt: skip


def drawn(x: Tensor, found: Tensor, name: str) -> Tensor:
    """Numbers drawn at what ``x`` says, of its shape, as a tensor in whose history ``x`` stands."""
    if x._rg and modes.is_grad_enabled():
        return _nodes[name](x, found)
    return found


def _fill(self: Tensor, name: str, draw: Draw, *beside: Any) -> Tensor:
    check_writable(self, False)
    if running() or self._rank > 2:
        check_own_room(self)
        ground(self, name)
        return assign(self, drawn(self, fresh(self._shape, draw), name))
    if recorder.get() is not None and not beside:
        return assign(self, drawn(self, in_order(self, draw), name))
    a = ground(self, name)
    if self._rg and modes.is_grad_enabled():
        return assign(self, _nodes[name](self, wrap(fill(empty_like(a), draw, *beside))))
    fill(a, draw, *beside)
    if self._first:
        self._carry(self.detach())
    written(self, None)
    return self


def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Filled with random numbers, uniform from ``a`` to ``b``."""
    g = drawing(generator)
    return _fill(self, "uniform_", lambda shape: g.uniform(shape, self._dtype, a, b))


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Filled with random numbers, normal with the given mean and deviation."""
    g, serial = drawing(generator), not is_dense(self)
    return _fill(self, "normal_", lambda shape: g.normal(shape, self._dtype, mean, std, serial))


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Filled with exponential random numbers of rate ``lambd``."""
    g = drawing(generator)
    return _fill(self, "exponential_", lambda shape: g.exponential(shape, self._dtype, lambd))


def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Filled with random numbers of a Cauchy distribution; ``sigma`` is half the width at half the height."""
    g = drawing(generator)
    return _fill(self, "cauchy_", lambda shape: g.cauchy(shape, self._dtype, median, sigma))


def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Filled with random numbers whose logarithms are normal with the given mean and deviation."""
    g = drawing(generator)
    return _fill(self, "log_normal_", lambda shape: g.log_normal(shape, self._dtype, mean, std))


def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Filled with how many trials of probability ``p`` it took to succeed."""
    g = drawing(generator)
    return _fill(self, "geometric_", lambda shape: g.geometric(shape, self._dtype, p))


def random_(self: Tensor, *bounds: Any, generator: Generator | None = None, **named: Any) -> Tensor:
    """Filled with random integers: ``random_(to)`` from 0 to ``to - 1``, ``random_(from, to)`` from ``from``.

    Without bounds, or with None for ``to``, up to the largest that the dtype counts exactly.
    """
    g = drawing(generator)
    names = ("to",) if len(bounds) + len(named) == 1 else ("from", "to")
    given = dict(zip(names, bounds, strict=False)) | named
    if not given:
        return _fill(self, "random_", lambda shape: g.integers(shape, self._dtype))
    if set(given) != set(names) or not all(isinstance(v, int) or (v is None and k == "to") for k, v in given.items()):
        raise explained(
            TypeError(
                "random_() received an invalid combination of arguments"
                "\nWrite x.random_(), x.random_(to) or x.random_(from, to), with Python integers."
            )
        )
    low, high = given.get("from", 0), given["to"]
    name = "random_(from, to)" if "from" in given else "random_(to)"
    return _fill(self, name, lambda shape: g.randint(low, high, shape, self._dtype))


def bernoulli_(self: Tensor, p: Tensor | float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Filled with ones of probability ``p``, and else with zeros; a tensor ``p`` is broadcast to this one's shape."""
    g = drawing(generator)
    if not isinstance(p, Tensor):
        return _fill(self, "bernoulli_", lambda shape: g.bernoulli(p, shape, self._dtype))
    each, levels = at(p.detach().expand(self._shape), "bernoulli_")
    if running():
        check_own_room(self)
        return assign(self, drawn(self, nested(g.bernoulli(each, dtype=self._dtype), levels), "bernoulli_(p)"))
    return _fill(self, "bernoulli_(p)", lambda shape, at: g.bernoulli(at, shape, self._dtype), each)


attach(
    uniform_=uniform_, normal_=normal_, exponential_=exponential_, cauchy_=cauchy_, log_normal_=log_normal_,
    geometric_=geometric_, random_=random_, bernoulli_=bernoulli_,
)  # fmt: skip


@takes_out(ANY)
def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None, out: Tensor | None = None
) -> Tensor:
    """Ones with the probabilities that ``input`` holds, or with probability ``p``; else zeros.

    The result has input's shape and dtype.  RuntimeError for a probability outside [0, 1].

    Source: ``torch.bernoulli``.

    >>> import chainrule as torch
    >>> torch.bernoulli(torch.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    g, (a, levels) = drawing(generator), at(input, "bernoulli")
    numbers = g.bernoulli(np.ascontiguousarray(a)) if p is None else g.bernoulli(p, a.shape, a.dtype)
    return drawn(input, nested(numbers.reshape(a.shape), levels), "bernoulli")


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Random counts of events at the rates that ``input`` holds, in its shape and dtype.

    RuntimeError for a negative rate.

    Source: ``torch.poisson``.

    >>> import chainrule as torch
    >>> torch.poisson(torch.tensor([3.0, 0.0, 100.0]), torch.Generator().manual_seed(0))
    tensor([ 6.,  0., 96.])
    """
    g, (a, levels) = drawing(generator), at(input, "poisson")
    return drawn(input, nested(g.poisson(np.ascontiguousarray(a)).reshape(a.shape), levels), "poisson")


class Binomial(Primitive):
    """Counts drawn at what ``count`` and ``prob`` say: no gradient is known."""

    differentiable = True
    forward = lambda xp, count, prob, found: found
    samples = [(((3,), (3,), (3,)), {})]


_binomial = Binomial("NotImplemented")


def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """Of ``count`` trials, how many succeed, each with probability ``prob``; the two broadcast.

    The result has their dtype.  ValueError for integers, RuntimeError for two dtypes.  It has no derivative, and a gradient
    that is asked for is an error.

    Source: ``torch.binomial``.

    >>> import chainrule as torch
    >>> trials, chances = torch.tensor([10.0, 1000.0]), torch.tensor([0.5, 0.1])
    >>> torch.binomial(trials, chances, torch.Generator().manual_seed(0))
    tensor([  7., 102.])
    """
    for name, t in (("count", count), ("prob", prob)):
        if t._dtype.kind != "f":
            raise ValueError(f"binomial only supports floating-point dtypes for {name}, got: {scalar_type(t._dtype)}")
    if prob._dtype != count._dtype:
        raise RuntimeError(f"Found dtype {scalar_type(prob._dtype)} but expected {scalar_type(count._dtype)}")
    given = broadcast_tensors(count, prob)
    g, (n, levels), (p, others) = drawing(generator), at(given[0], "binomial"), at(given[1], "binomial")
    if len(others) > len(levels):
        n, levels = np.broadcast_to(n, p.shape), others
    found = nested(g.binomial(n, np.broadcast_to(p, n.shape)), levels)
    return _binomial(count, prob, found) if (count._rg or prob._rg) and modes.is_grad_enabled() else found


@takes_out("multinomial expects {result} tensor out, got: {out}")
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``num_samples`` indices, each as likely as ``input`` is large there; per row, for a matrix of weights.

    The weights need not add up to 1.  Without ``replacement`` no index comes twice.  Raises RuntimeError for
    weights that are negative, not finite or all 0, and for more samples than there are weights.

    Source: ``torch.multinomial``.

    >>> import chainrule as torch
    >>> torch.multinomial(torch.tensor([0.0, 3.0, 0.0, 1.0]), 2, generator=torch.Generator().manual_seed(0))
    tensor([1, 3])
    """
    g, (a, levels) = drawing(generator), at(input, "multinomial")
    if not 1 <= input.ndim <= 2:
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if a.dtype.kind != "f":
        raise RuntimeError(f"multinomial only supports floating-point dtypes for input, got: {scalar_type(a.dtype)}")
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > a.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if a.shape[-1] > 2**24:
        raise RuntimeError("number of categories cannot exceed 2^24")
    if a.shape[-1] == 0 and len(a):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    if a.size:
        finite = bool(np.isfinite(a).all())
        if not finite or bool((a < 0).any()):
            raise RuntimeError(
                "probability tensor contains either `inf`, `nan` or element < 0" if not replacement or num_samples == 1
                else "invalid multinomial distribution (encountering probability entry "
                + ("< 0)" if finite else "= infinity or NaN)")
            )  # fmt: skip
        if not bool((a.sum(-1) > 0).all()):
            raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    return nested(g.multinomial(a, num_samples, replacement), levels)


def dropout_mask(input: Tensor, p: float, generator: Generator | None = None) -> Tensor:
    """What PyTorch's dropout of probability ``p`` multiplies ``input`` by: 0 where it drops, else ``1 / (1 - p)``.

    A constant of input's shape and dtype, drawn in input's order of memory; ``p`` is below 1.
    """
    kept = 1 - p
    if running() or input._rank > 2:
        found: Tensor = (
            fresh(input._shape, lambda shape: drawing(generator).bernoulli(kept, shape, input._dtype)) / kept
        )
        return found
    if recorder.get() is not None:
        return in_order(input, lambda shape: drawing(generator).bernoulli(kept, shape, input._dtype)) / kept
    mask = empty_like(input._a, input._dtype) if is_numpy(input._a) else np.empty(input._shape, input._dtype)
    fill(mask, lambda shape: drawing(generator).bernoulli(kept, shape, input._dtype))
    mask /= kept
    return wrap(mask)


export("bernoulli", bernoulli)
export("binomial", binomial, method=False)
export("multinomial", multinomial)
export("poisson", poisson, method=False)

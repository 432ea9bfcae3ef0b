"""First values of parameters, drawn as PyTorch draws them: the same seed gives the same numbers.

Each function fills its tensor in place, outside of any graph, and returns it.  ``generator`` is the stream to
draw from, the default one unless given.  Source: ``torch.nn.init``.

>>> import chainrule as torch
>>> torch.nn.init.constant_(torch.empty(2), 3.0)
tensor([3., 3.])
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

from .. import linalg
from ..creation import empty_like
from ..creation import eye as identity
from ..errors import explained
from ..modes import no_grad
from ..ops import public
from ..random import Generator
from ..sampling import randperm
from ..tensor import Tensor

_where = public["where"]


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much the weights before this function should be larger, so that values keep their spread.

    ``param`` is the slope below 0 of "leaky_relu", 0.01 unless given.  ValueError for an unknown function.

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity in _GAINS:
        return _GAINS[nonlinearity]
    raise explained(
        ValueError(f"Unsupported nonlinearity {nonlinearity}\nKnown are: {', '.join([*_GAINS, 'leaky_relu'])}.")
    )


_GAINS = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d"), 1.0),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid"), 1.0),
    "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4,
}  # fmt: skip


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Numbers uniform in [``a``, ``b``)."""
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal numbers of the given mean and standard deviation."""
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """``val`` everywhere."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    with no_grad():
        return tensor.zero_()


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix, of any height and width; ValueError for other than two dimensions."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with no_grad():
        return tensor.copy_(identity(*tensor.shape, dtype=tensor.dtype))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Weights of a convolution that hands its channels on unchanged, as far as it has as many: (out, in, ...).

    ``groups`` are as the convolution's.  ValueError for other than three to five dimensions, or for an out that
    ``groups`` do not divide.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    out, into, *window = tensor._shape
    if out % groups:
        raise ValueError("dim 0 must be divisible by groups")
    middle = [n // 2 for n in window]
    with no_grad():
        tensor.zero_()
        for first in range(0, out, out // groups) if out else ():
            for channel in range(min(out // groups, into)):
                tensor[(first + channel, channel, *middle)] = 1
    return tensor


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Normal numbers, none of them outside [``a``, ``b``]: what is outside is drawn again."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be incorrect.",
            stacklevel=2,
        )
    low, high = ((1 + math.erf((end - mean) / std / math.sqrt(2))) / 2 for end in (a, b))
    draw = _normal_within if high - low > 0.3 else _uniform_thinned
    with no_grad():
        return tensor.copy_(draw(tensor, mean, std, a, b, generator))


def _normal_within(t: Tensor, mean: float, std: float, a: float, b: float, generator: Generator | None) -> Tensor:
    """Normal numbers; all are drawn again for the sake of those outside, as long as there are any."""
    low, high = (t._dtype.type(end).item() for end in (a, b))
    found = t.normal_(mean, std, generator=generator)
    while (outside := (found < low) | (found > high)).any():
        found = _where(outside, empty_like(found).normal_(mean, std, generator=generator), found)
    return found


def _uniform_thinned(t: Tensor, mean: float, std: float, a: float, b: float, generator: Generator | None) -> Tensor:
    """Uniform numbers between the ends, kept as often as the density there is of the largest between the ends."""
    peak = ((max(a, min(mean, b)) - mean) / std) ** 2 / -2
    found: Tensor = t
    pending = None
    while pending is None or pending.any():
        drawn = empty_like(t).uniform_(a, b, generator=generator)
        found = drawn if pending is None else _where(pending, drawn, found)
        density = ((drawn - mean) / std).pow(2) * -0.5 - peak
        refused = empty_like(t).uniform_(generator=generator).log() > density
        pending = refused if pending is None else pending & refused
    return found


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A random orthogonal matrix times ``gain``: rows or columns, whichever are fewer, are orthonormal.

    Dimensions behind the first count as one (Saxe et al., 2013).  ValueError for fewer than two dimensions.
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if not tensor.numel():
        return tensor
    rows = tensor._shape[0]
    with no_grad():
        drawn = tensor.new_empty((rows, tensor.numel() // rows)).normal_(0, 1, generator=generator)
        wide = drawn._shape[0] < drawn._shape[1]
        q, r = linalg.qr(drawn.t() if wide else drawn)
        q = q * r.diagonal().sign()  # so that no orthogonal matrix is likelier than another
        return tensor.copy_((q.t() if wide else q).reshape(tensor.shape)).mul_(gain)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Normal numbers, a share of ``sparsity`` of each column 0 (Martens, 2010); ValueError for other than two dimensions.

    As in PyTorch, the places of the zeros come from the default generator.
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor._shape
    zeros = math.ceil(sparsity * rows)
    with no_grad():
        tensor.normal_(0, std, generator=generator)
        for column in range(columns):
            tensor[randperm(rows)[:zeros], column] = 0
    return tensor


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform, with a spread that keeps values and gradients alike across layers (Glorot and Bengio, 2010)."""
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal, with a spread that keeps values and gradients alike across layers (Glorot and Bengio, 2010)."""
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Uniform, with a spread that suits rectifiers (He et al., 2015); ``a`` is the slope below 0.

    ``mode`` "fan_in" keeps the spread of values, "fan_out" that of gradients.
    """
    if _empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Normal, with a spread that suits rectifiers (He et al., 2015); arguments as :func:`kaiming_uniform_`."""
    if _empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _empty(tensor: Tensor) -> bool:
    if 0 in tensor._shape:
        warnings.warn("Initializing zero-element tensors is a no-op", UserWarning, stacklevel=3)
        return True
    return False


def _xavier_std(tensor: Tensor, gain: float) -> float:
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return gain * math.sqrt(2.0 / float(fan_in + fan_out))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan = _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs feed one output of a layer with these weights, (out, in, ...), and the other way round."""
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    out, into, *window = tensor._shape
    return into * math.prod(window), out * math.prod(window)


def _old(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``function`` under its old name, without the underscore; a FutureWarning says so."""
    name = function.__name__[:-1]

    @functools.wraps(function)
    def renamed(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    renamed.__name__, renamed.__doc__ = name, f"The old name of :func:`{name}_`; a FutureWarning says so."
    return renamed


uniform, normal, constant = _old(uniform_), _old(normal_), _old(constant_)
eye, dirac = _old(eye_), _old(dirac_)
xavier_uniform, xavier_normal = _old(xavier_uniform_), _old(xavier_normal_)
kaiming_uniform, kaiming_normal = _old(kaiming_uniform_), _old(kaiming_normal_)
orthogonal, sparse = _old(orthogonal_), _old(sparse_)

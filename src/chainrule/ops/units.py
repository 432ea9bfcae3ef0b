"""Activation functions of networks: each with its slope, and PyTorch's values where the slope breaks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..lanes import general
from ..outputs import CASTS, EXACT, FOUND, SCALAR, takes_out
from ..primitive import Elementwise, Primitive
from ..random import drawing
from ..tensor import Tensor
from ..writes import compute_into
from .choice import clamped
from .joining import broadcast_tensors
from .kinds import export, no_kernel, public
from .random import at, nested
from .whole import whole

AWAY: Any = (([[0.7, -1.25, 2.2], [-0.4, 3.6, -3.4]],), {})
ROOT_2 = math.sqrt(2)


def sample(**params: Any) -> Any:
    return [(AWAY[0], params), ((0.3,), params)]


class Unit(Elementwise):
    """A function of each entry, of real numbers."""

    floats = True


def filled(xp: Any, like: Any, value: float) -> Any:
    """A number in every entry; of NumPy's ``where`` one number will do."""
    return like.dtype.type(value) if hasattr(xp, "between") else xp.ones_like(like) * value


def times(x: Any, factor: float) -> Any:
    return x if factor == 1 else x * factor


class Elu(Unit):
    """``scale * x`` above 0, ``scale * alpha * (exp(input_scale x) - 1)`` below."""

    forward = lambda xp, x, *, alpha, scale, input_scale: xp.where(
        x > 0, times(x, scale), times(xp.expm1(times(x, input_scale)), alpha * scale)
    )
    d_x = lambda xp, x, alpha, scale, input_scale: xp.where(
        x > 0, filled(xp, x, scale), times(xp.exp(times(x, input_scale)), alpha * scale * input_scale)
    )
    real_only = no_kernel("elu_cpu")
    samples = sample(alpha=1.2, scale=1.5, input_scale=0.8)


class LeakyRelu(Unit):
    """x above 0, ``slope * x`` below."""

    forward = lambda xp, x, *, slope: xp.leaky(x, slope) if hasattr(xp, "leaky") else xp.where(x > 0, x, x * slope)
    d_x = lambda xp, x, slope: xp.where(x > 0, filled(xp, x, 1.0), filled(xp, x, slope))
    real_only = no_kernel("leaky_relu_cpu")
    samples = sample(slope=0.1)


class Prelu(Unit):
    """x above 0, ``weight * x`` below."""

    forward = lambda xp, x, weight: xp.where(x > 0, x, x * weight)
    d_x = lambda xp, x, weight: xp.where(x > 0, filled(xp, x, 1.0), weight)
    d_weight, flat_weight = lambda x: x, lambda x: x > 0
    real_only = no_kernel("prelu_cpu")
    samples = [(([[0.7, -1.25], [-2.2, 0.4]], [0.1, 0.3]), {})]


class Silu(Unit):
    """``x * sigmoid(x)``."""

    forward = lambda xp, x: x * xp.sigmoid(x)
    d_x = lambda xp, x: silu_slope(xp, x)
    samples = sample()


def silu_slope(xp: Any, x: Any) -> Any:
    s = xp.sigmoid(x)
    return s * (1 + x * (1 - s))


class Mish(Unit):
    """``x * tanh(softplus(x))``."""

    forward = lambda xp, x: x * xp.tanh(xp.softplus(x))
    d_x = lambda xp, x: mish_slope(xp, x)
    real_only = no_kernel("mish_cpu")
    samples = sample()


def mish_slope(xp: Any, x: Any) -> Any:
    t = xp.tanh(xp.softplus(x))
    return t + x * xp.sigmoid(x) * (1 - t * t)


class Gelu(Unit):
    """``x`` times the normal distribution's probability of a value below x."""

    forward = lambda xp, x: xp.gelu(x) if hasattr(xp, "gelu") else x * below(xp, x)
    d_x = lambda xp, x: xp.gelu_slope(x) if hasattr(xp, "gelu_slope") else below(xp, x) + x * density(xp, x)
    real_only = no_kernel("GeluKernelImpl")
    samples = sample()


def below(xp: Any, x: Any) -> Any:
    """The normal distribution's probability of a value below x."""
    return 0.5 * (1 + xp.erf(x * (1 / ROOT_2)))


def density(xp: Any, x: Any) -> Any:
    return xp.exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))


class GeluTanh(Unit):
    """:class:`Gelu` by an approximation with ``tanh``."""

    forward = lambda xp, x: 0.5 * x * (1 + xp.tanh(gelu_inner(x)))
    d_x = lambda xp, x: gelu_tanh_slope(xp, x)
    real_only = no_kernel("GeluKernelImpl")
    samples = sample()


def gelu_inner(x: Any) -> Any:
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)


def gelu_tanh_slope(xp: Any, x: Any) -> Any:
    t = xp.tanh(gelu_inner(x))
    inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner


class Hardtanh(Unit):
    """x kept between ``low`` and ``high``; at the bounds the slope is 0."""

    forward = lambda xp, x, *, low, high: of_dtype(xp, clamped(xp, x, low, high), x.dtype)
    flat_x = lambda x, low, high: ~((x > low) & (x < high))
    floats = False
    real_only = no_kernel("hardtanh_cpu")
    samples = sample(low=-1.0, high=1.5)


def of_dtype(xp: Any, x: Any, dtype: Any) -> Any:
    return x if x.dtype == dtype else xp.astype(x, dtype)


class Hardsigmoid(Unit):
    """``x / 6 + 1/2`` kept between 0 and 1."""

    forward = lambda xp, x: clamped(xp, x + 3, 0, 6) / 6
    d_x, flat_x = 1 / 6, lambda x: ~((x > -3) & (x < 3))
    real_only = no_kernel("hardsigmoid")
    samples = sample()


class Hardswish(Unit):
    """``x * hardsigmoid(x)``."""

    forward = lambda xp, x: x * clamped(xp, x + 3, 0, 6) / 6
    d_x = lambda xp, x: xp.where(x >= 3, filled(xp, x, 1.0), x * (1 / 3) + 0.5)
    flat_x = lambda x: x <= -3
    real_only = no_kernel("hardswish")
    samples = sample()


class Hardshrink(Unit):
    """x outside of ``[-lambd, lambd]``, 0 inside."""

    forward = lambda xp, x, *, lambd: xp.where((x >= -lambd) & (x <= lambd), filled(xp, x, 0.0), x)
    flat_x = lambda x, lambd: ~((x < -lambd) | (x > lambd))
    real_only = no_kernel("hardshrink_cpu")
    samples = sample(lambd=0.5)


class Softshrink(Unit):
    """x moved towards 0 by ``lambd``, 0 within that."""

    forward = lambda xp, x, *, lambd: x - clamped(xp, x, -lambd, lambd)
    flat_x = lambda x, lambd: ~((x < -lambd) | (x > lambd))
    real_only = no_kernel("softshrink_cpu")
    samples = sample(lambd=0.5)


class Threshold(Unit):
    """x above ``threshold``, else ``value``."""

    forward = lambda xp, x, *, threshold, value: xp.where(x <= threshold, value, x)
    flat_x = lambda x, threshold: x <= threshold
    floats = False
    real_only = no_kernel("threshold_cpu")
    samples = sample(threshold=0.1, value=2.0)


class LogSigmoid(Unit):
    """``log(sigmoid(x))`` without overflow."""

    forward = lambda xp, x: -xp.softplus(-x)
    d_x = lambda xp, x: xp.sigmoid(-x)
    real_only = no_kernel("log_sigmoid_cpu")
    samples = sample()


_elu, _celu = Elu("EluBackward0"), Elu("CeluBackward0")
_leaky, _prelu, _silu, _mish = LeakyRelu(), Prelu("PreluKernelBackward0"), Silu(), Mish()
_gelu, _gelu_tanh = Gelu(), GeluTanh("GeluBackward0")
_hardtanh, _hardsigmoid, _hardswish = Hardtanh(), Hardsigmoid(), Hardswish()
_hardshrink, _softshrink, _threshold, _logsigmoid = Hardshrink(), Softshrink(), Threshold(), LogSigmoid()
_rrelu = LeakyRelu("RreluWithNoiseBackward0")
Elu(), Prelu(), GeluTanh()


def _of(prim: Primitive, x: Tensor, inplace: bool, **params: Any) -> Tensor:
    def f(x: Tensor) -> Tensor:
        return general(prim, (x,), None, params)

    return compute_into(x, f, (), {}) if inplace else f(x)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x above 0, ``alpha * (exp(x) - 1)`` below.  Source: ``torch.nn.functional.elu``."""
    return _of(_elu, input, inplace, alpha=alpha, scale=1.0, input_scale=1.0)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """``elu`` scaled so that means and variances settle (Klambauer et al., 2017).  Source: ``torch.nn.functional.selu``."""
    scale = 1.0507009873554804934193349852946
    return _of(_elu, input, inplace, alpha=1.6732632423543772848170429916717, scale=scale, input_scale=1.0)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x above 0, ``alpha * (exp(x / alpha) - 1)`` below.  Source: ``torch.nn.functional.celu``."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _of(_celu, input, inplace, alpha=alpha, scale=1.0, input_scale=1.0 / alpha)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x above 0, ``negative_slope * x`` below.  Source: ``torch.nn.functional.leaky_relu``."""
    return _of(_leaky, input, inplace, slope=negative_slope)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x above 0, ``weight * x`` below; one weight, or one for each channel.  Source: ``torch.nn.functional.prelu``."""
    n = weight.numel()
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    if n != 1:
        channels = input._shape[1] if input.ndim > 1 else 1
        if not input.ndim:
            raise RuntimeError("Not allow zero-dim input tensor.")
        if channels != n:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {n} and channel size = "
                f"{channels}."
            )
    w = (
        weight.reshape(-1, *(1,) * (input.ndim - 2))
        if n != 1 and input.ndim > 1
        else weight.reshape(())
        if n == 1
        else weight
    )
    return general(_prelu, (input, w))


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """``leaky_relu`` whose slope is drawn from [lower, upper] in training, their mean otherwise.

    Source: ``torch.nn.functional.rrelu``.
    """
    if not training:
        return _of(_rrelu, input, inplace, slope=(lower + upper) / 2)
    a, levels = at(input.detach(), "rrelu")
    low = a <= 0  # a number is drawn for these alone, in double precision
    noise = np.ones(low.shape, input._dtype)
    noise[low] = drawing(None).uniform((int(low.sum()),), np.float64, lower, upper)
    slopes = nested(noise, levels)

    @whole("RreluWithNoiseBackward0")
    def f(x: Tensor) -> Tensor:
        return public["where"](x <= 0, x * slopes, x)

    return compute_into(input, f, (), {}) if inplace else f(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * sigmoid(x)``.  Source: ``torch.nn.functional.silu``."""
    return _of(_silu, input, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * tanh(softplus(x))``.  Source: ``torch.nn.functional.mish``."""
    return _of(_mish, input, inplace)


@takes_out(FOUND)
def gelu(input: Tensor, approximate: str = "none", *, out: Tensor | None = None) -> Tensor:
    """x times the normal distribution's probability of a value below x; "tanh" approximates it.

    Source: ``torch.nn.functional.gelu``.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return _of(_gelu if approximate == "none" else _gelu_tanh, input, False)


@whole("GluBackward0")
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along ``dim`` times the sigmoid of the second.  Source: ``torch.nn.functional.glu``."""
    if not input.ndim:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    at = input._dim(dim)
    n = input._shape[at]
    if n % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {at} is size {n}")
    return input.narrow(at, 0, n // 2) * input.narrow(at, n // 2, n // 2).sigmoid()  # type: ignore[no-any-return]


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x kept between ``min_val`` and ``max_val``.  Source: ``torch.nn.functional.hardtanh``."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _of(_hardtanh, input, inplace, low=min_val, high=max_val)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """x kept between 0 and 6.  Source: ``torch.nn.functional.relu6``."""
    return hardtanh(input, 0, 6, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``x / 6 + 1/2`` kept between 0 and 1.  Source: ``torch.nn.functional.hardsigmoid``."""
    return _of(_hardsigmoid, input, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * hardsigmoid(x)``.  Source: ``torch.nn.functional.hardswish``."""
    return _of(_hardswish, input, inplace)


@takes_out(FOUND)
def hardshrink(input: Tensor, lambd: float = 0.5, *, out: Tensor | None = None) -> Tensor:
    """x outside of ``[-lambd, lambd]``, 0 inside.  Source: ``torch.nn.functional.hardshrink``."""
    return _of(_hardshrink, input, False, lambd=lambd)


@takes_out(FOUND)
def softshrink(input: Tensor, lambd: float = 0.5, *, out: Tensor | None = None) -> Tensor:
    """x moved towards 0 by ``lambd``.  Source: ``torch.nn.functional.softshrink``."""
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return _of(_softshrink, input, False, lambd=lambd)


@takes_out(EXACT)
def threshold(
    input: Tensor, threshold: float, value: float, inplace: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """x above ``threshold``, else ``value``.  Source: ``torch.nn.functional.threshold``."""
    if input._dtype.kind in "iu":
        threshold, value = int(threshold), int(value)
    return _of(_threshold, input, inplace, threshold=threshold, value=value)


@takes_out(SCALAR)
def logsigmoid(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``log(sigmoid(x))`` without overflow.  Source: ``torch.nn.functional.logsigmoid``."""
    return _of(_logsigmoid, input, False)


def softsign(input: Tensor) -> Tensor:
    """``x / (1 + |x|)``.  Source: ``torch.nn.functional.softsign``."""
    return input / (input.abs() + 1)  # type: ignore[no-any-return]


def tanhshrink(input: Tensor) -> Tensor:
    """``x - tanh(x)``.  Source: ``torch.nn.functional.tanhshrink``."""
    return input - input.tanh()  # type: ignore[no-any-return]


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """``softmax(-x)``.  Source: ``torch.nn.functional.softmin``."""
    return public["softmax"](-input, dim, dtype)


@takes_out(CASTS)
def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """Divided by the p-norm along ``dim``, or by ``eps`` if that is larger.  Source: ``torch.nn.functional.normalize``."""
    norm = input.norm(p, dim, keepdim=True).clamp(min=eps)
    return input / norm.expand(*input._shape)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along ``dim``, no norm counting less than ``eps``.

    Source: ``torch.nn.functional.cosine_similarity``.
    """
    a, b = broadcast_tensors(x1, x2)

    def unit(x: Tensor) -> Tensor:
        return x / x.norm(2, dim, keepdim=True).clamp(min=eps)

    return (unit(a) * unit(b)).sum(dim)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of ``x1 - x2 + eps`` along the last dimension.  Source: ``torch.nn.functional.pairwise_distance``."""
    return whole("NormBackward1")(Tensor.norm)(x1 - x2 + eps, p, -1, keepdim)


for _name, _f in {"celu": celu, "selu": selu, "threshold": threshold, "rrelu": rrelu}.items():
    export(_name, _f, method=False)
export("prelu", prelu)
export("hardshrink", hardshrink)
export("cosine_similarity", cosine_similarity, method=False)
export("pairwise_distance", pairwise_distance, method=False)

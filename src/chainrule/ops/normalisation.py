"""Normalisation: entries shifted to mean 0 and scaled to variance 1, over a batch, a layer, groups or instances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import namespace as ns
from ..errors import explained, not_tensor
from ..modes import no_grad
from ..primitive import Primitive, align, bind
from ..tensor import Tensor
from ..transforms import batches
from .kinds import export, no_kernel, only_floats
from .padding import pad
from .whole import whole


class Standardise(Primitive):
    """``(x - mean) / sqrt(variance + eps)``, both over ``axis``."""

    composite = True
    real_only = no_kernel("batch_norm")
    forward = lambda xp, x, *, axis, eps: xp.standardise(x, axis=axis, eps=eps)
    vjp_x = lambda xp, g, x, axis, eps: xp.standardise(x, g, axis=axis, eps=eps)
    jvp_x = lambda xp, t, x, axis, eps: xp.standardise(x, t, axis=axis, eps=eps)
    samples = [
        (((3, 4),), {"axis": (-1,), "eps": 1e-5}), (((2, 3, 2),), {"axis": (-3, -1), "eps": 0.25}),
    ]  # fmt: skip


class LayerNorm(Primitive):
    """:class:`Standardise` over the last axes, those of ``weight`` and ``bias``, times the one plus the other."""

    composite = True
    broadcasts = True
    real_only = no_kernel("LayerNormKernelImpl")
    forward = lambda xp, x, weight, bias, *, axis, eps: xp.affine(xp.standardise(x, axis=axis, eps=eps), weight, bias)
    vjp_x = lambda xp, g, x, weight, axis, eps: xp.standardise(x, g * weight, axis=axis, eps=eps)
    vjp_weight = lambda xp, g, x, axis, eps: g * xp.standardise(x, axis=axis, eps=eps)
    vjp_bias = lambda g: g
    jvp_x = lambda xp, t, x, weight, axis, eps: xp.standardise(x, t, axis=axis, eps=eps) * weight
    jvp_weight = lambda xp, t, x, axis, eps: t * xp.standardise(x, axis=axis, eps=eps)
    jvp_bias = lambda xp, t, x_shape: xp.broadcast_to(t, x_shape)
    samples = [
        (((2, 3), (3,), (3,)), {"axis": (-1,), "eps": 0.25}),
        (((2, 2, 2), (2, 2), (2, 2)), {"axis": (-2, -1), "eps": 1e-5}),
    ]

    def batch(self, size: int, arrays: Sequence[Any], batched: Sequence[bool], params: dict[str, Any]) -> Any:
        arrays = align(arrays, batched)
        if not batched[0]:
            arrays[0] = ns.boxes.broadcast_to(arrays[0], (size, *arrays[0].shape))
        return bind(self, tuple(arrays), params)


_standardise: Primitive = Standardise("NativeBatchNormBackward0")
_layer_norm: Primitive = LayerNorm("NativeLayerNormBackward0")


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None, shape: tuple[int, ...]) -> Tensor:
    if weight is not None:
        x = x * weight.reshape(*shape)
    return x if bias is None else x + bias.reshape(*shape)


def _of_one_dtype(input: Tensor, *others: Tensor | None) -> None:
    half = input._dtype == np.float16
    for t in others:
        if t is not None and t._dtype != input._dtype and not (half and t._dtype == np.float32):
            raise explained(
                RuntimeError(
                    "mixed dtype (CPU): all inputs must share same datatype."
                    f"\nThe input is {input.dtype}, the layer {t.dtype}: input.to({t.dtype}) or layer.to({input.dtype})."
                )
            )


def _counted(size: Sequence[int]) -> None:
    if math.prod(size[2:]) * size[0] == 1:
        raise explained(
            ValueError(
                f"Expected more than 1 value per channel when training, got input size {size}"
                "\nOf one value the variance is 0; give a larger batch, or use training=False."
            )
        )


# --- over the last axes ---


def _last(input: Tensor, shape: Sequence[int], star: str, **given: Tensor | None) -> tuple[int, ...]:
    """The axes that ``shape`` is the length of."""
    shape = tuple(shape)
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            "normalized_shape = []"
        )
    for name, t in given.items():
        if t is not None and tuple(t._shape) != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(t.shape)} and "
                f"normalized_shape = {list(shape)}"
            )
    if tuple(input._shape[max(input.ndim - len(shape), 0) :]) != shape:
        wanted = ", ".join(map(str, shape))
        raise explained(
            RuntimeError(
                f"Given normalized_shape=[{wanted}], expected input with shape [*{star}{wanted}], but got input of "
                f"size{list(input.shape)}\nIts last axes are what is normalised: normalized_shape names their lengths."
            )
        )
    return tuple(range(-len(shape), 0))


@whole("NativeLayerNormBackward0")
def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """``(x - mean) / sqrt(variance + eps) * weight + bias``, over the last axes.

    ``normalized_shape`` is their lengths, and the shape of ``weight`` and ``bias``.  RuntimeError if it is not.

    Source: ``torch.nn.functional.layer_norm``.

    >>> import chainrule as torch
    >>> layer_norm(torch.tensor([[1.0, 3.0], [5.0, 5.0]]), (2,))
    tensor([[-1.0000,  1.0000],
            [ 0.0000,  0.0000]])
    """
    if not isinstance(input, Tensor):
        raise not_tensor("layer_norm", input=input)
    axis = _last(input, normalized_shape, ", ", weight=weight, bias=bias)
    _of_one_dtype(input, weight, bias)
    only_floats("LayerNormKernelImpl", input)
    if weight is not None and bias is not None:
        return _layer_norm(input, weight, bias, axis=axis, eps=eps)
    x = _standardise(input, axis=axis, eps=eps)
    return _affine(x, weight, bias, tuple(normalized_shape))


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """``x / sqrt(mean of x² + eps) * weight``, over the last axes, whose lengths ``normalized_shape`` is.

    ``eps`` is the dtype's own unless given.  RuntimeError for another shape of ``input`` or ``weight``.

    Source: ``torch.nn.functional.rms_norm``.

    >>> import chainrule as torch
    >>> rms_norm(torch.tensor([1.0, 7.0]), (2,))
    tensor([0.2000, 1.4000])
    """
    axis = _last(input, normalized_shape, "", weight=weight)
    if eps is None:
        eps = float(np.finfo(input._dtype).eps)
    x: Tensor = input * ((input * input).mean(axis, keepdim=True) + eps).rsqrt()
    return x if weight is None else x * weight


# --- by channel ---


@whole("NativeGroupNormBackward0")
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Each sample's channels in ``num_groups`` groups, each shifted to mean 0 and scaled to variance 1.

    ``input`` is (n, channels, ...), ``weight`` and ``bias`` (channels,).  RuntimeError if the channels do not
    divide.

    Source: ``torch.nn.functional.group_norm``.

    >>> import chainrule as torch
    >>> group_norm(torch.tensor([[1.0, 3.0, 0.0, 8.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    if input.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    n, channels = input._shape[:2]
    _counted([n * channels // num_groups, num_groups, *input._shape[2:]])
    if channels % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(input.shape)} and num_groups={num_groups}"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and tuple(t._shape) != (channels,):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of "
                f"shape {list(t.shape)} and input of shape {list(input.shape)}"
            )
    _of_one_dtype(input, weight, bias)
    only_floats("GroupNormKernelImpl", input)
    size = math.prod(input._shape[1:]) // num_groups
    x: Tensor = _standardise(input.reshape(n, num_groups, size), axis=(-1,), eps=eps)
    x = x.reshape(*input._shape)
    return _affine(x, weight, bias, (channels, *(1,) * (input.ndim - 2)))


def _update(running: Tensor | None, value: Tensor, momentum: float) -> None:
    if running is not None:
        running.copy_(running * (1 - momentum) + value * momentum)


@whole("NativeBatchNormBackward0")
def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """``(x - mean) / sqrt(variance + eps) * weight + bias`` for each channel, over the batch and all other axes.

    ``input`` is (n, channels, ...), the others (channels,).  When ``training`` mean and variance are the batch's,
    and the running ones move towards them by ``momentum``; otherwise they are the running ones.

    Source: ``torch.nn.functional.batch_norm``.

    >>> import chainrule as torch
    >>> mean, var = torch.zeros(1), torch.ones(1)
    >>> batch_norm(torch.tensor([[1.0], [3.0]]), mean, var, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    >>> mean
    tensor([0.2000])
    """
    if training:
        _counted(input.size())
    if training and eps <= 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    if eps < 0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    if not input.numel():
        return _affine(input.clone(), None if weight is None else weight[0], None if bias is None else bias[0], ())
    _sized(input._shape[1], running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    only_floats("batch_norm", input)
    _of_one_dtype(input, weight, bias, running_mean, running_var)
    shape = (input._shape[1], *(1,) * (input.ndim - 2))
    if not training:
        if running_mean is None or running_var is None:
            missing = "running_mean" if running_mean is None else "running_var"
            raise explained(
                RuntimeError(
                    f"{missing} must be defined in evaluation mode"
                    "\nWithout training, mean and variance are those that training left; pass them, or training=True."
                )
            )
        factor = (running_var + eps).rsqrt()
        factor = factor if weight is None else factor * weight
        shift = -running_mean * factor
        return _affine(input, factor, shift if bias is None else shift + bias, shape)
    axis = (-input.ndim, *range(2 - input.ndim, 0))
    if running_mean is not None or running_var is not None:
        _follow(input, axis, running_mean, running_var, momentum)
    return _affine(_standardise(input, axis=axis, eps=eps), weight, bias, shape)


def _sized(channels: int, **given: Tensor | None) -> None:
    for name, t in given.items():
        if t is not None and t.numel() != channels:
            raise explained(
                RuntimeError(
                    f"{name} should contain {channels} elements not {t.numel()}"
                    "\nIt needs one for each channel, which is the input's axis 1."
                )
            )


def _follow(
    x: Tensor, axis: tuple[int, ...], running_mean: Tensor | None, running_var: Tensor | None, momentum: float
) -> None:
    """Move the running mean and variance towards those over ``axis``, averaged over samples that keep their own."""
    if any(set(batches(x)) - set(batches(r)) for r in (running_mean, running_var) if r is not None):
        raise explained(
            RuntimeError(
                "Batch norm got a batched tensor as input while the running_mean or running_var, which will be updated in "
                "place, were not batched."
                "\nEach sample of the vmap would write its own; do without them, track_running_stats=False, or batch them."
            )
        )
    with no_grad():
        x = x.detach()
        mean, var = x.mean(axis), x.var(axis)
        if mean.ndim == 2:
            mean, var = mean.mean(0), var.mean(0)
        _update(running_mean, mean, momentum)
        _update(running_var, var, momentum)


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
    weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """:func:`batch_norm` of each sample alone: mean and variance over all axes but the first two.

    With ``use_input_stats`` off they are the running ones.

    Source: ``torch.nn.functional.instance_norm``.

    >>> import chainrule as torch
    >>> instance_norm(torch.tensor([[[1.0, 3.0]], [[0.0, 8.0]]]))
    tensor([[[-1.0000,  1.0000]],
    <BLANKLINE>
            [[-1.0000,  1.0000]]])
    """
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if math.prod(input._shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.size()}")
    _sized(input._shape[1], running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    only_floats("batch_norm", input)
    axis = tuple(range(2 - input.ndim, 0))
    if running_mean is not None or running_var is not None:
        _follow(input, axis, running_mean, running_var, momentum)
    x = _standardise(input, axis=axis, eps=eps)
    return _affine(x, weight, bias, (input._shape[1], *(1,) * (input.ndim - 2)))


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """``x / (k + alpha * m)**beta``, m the mean of x² over ``size`` neighbouring channels.

    ``input`` is (n, channels, ...), with three axes or more (ValueError otherwise).  Beyond the ends x is 0.

    Source: ``torch.nn.functional.local_response_norm``.

    >>> import chainrule as torch
    >>> local_response_norm(torch.tensor([[[2.0], [4.0]]]), 2, alpha=1.0, beta=1.0)
    tensor([[[0.6667],
             [0.3636]]])
    """
    if input.ndim < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality                          input (got {input.ndim} dimensions)"
        )
    if not input.numel():
        return input
    squares = pad(input * input, [0, 0] * (input.ndim - 2) + [size // 2, (size - 1) // 2])
    total = squares.unfold(1, size, 1).sum(-1)
    mean = total / size if total.is_floating_point() else total // size
    return input / (mean * alpha + k) ** beta


export("rms_norm", rms_norm, method=False)

"""Dropout: entries, or whole channels, set to zero at random, with PyTorch's random stream."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from ..errors import explained, not_tensor, scalar_type
from ..tensor import Tensor, wrap
from ..writes import compute_into
from .kinds import export, export_all
from .random import dropout_mask
from .whole import whole

_ALPHA = 1.7580993408473766  # minus what SELU tends to on the left


def _probability(p: float, error: type[Exception] = ValueError) -> None:
    if not 0 <= p <= 1:
        raise explained(
            error(f"dropout probability has to be between 0 and 1, but got {p}\nIt is the part that is dropped: p=0.5.")
        )


Room = Callable[[Tensor], tuple[int, ...]]  # from a tensor the shape of what is drawn for it, which broadcasts to its


def _drop(x: Tensor, p: float, room: Room | None = None) -> Tensor:
    """x times random zeros and ``1 / (1 - p)``."""
    if p == 1:
        return x * wrap(np.zeros((), x._dtype))
    if x._dtype.kind in "iub":
        raise explained(
            RuntimeError(
                f"result type Float can't be cast to the desired output type {scalar_type(x._dtype)}"
                "\nWhat is kept is divided by 1 - p; convert the tensor first: x.float()."
            )
        )
    return x * dropout_mask(x if room is None else wrap(np.empty(room(x), x._dtype)), p)


def _drop_alpha(x: Tensor, p: float, room: Room | None = None) -> Tensor:
    """SELU's limit in place of the dropped entries, and all scaled and shifted to the mean and variance of before."""
    if p == 1:
        return x * wrap(np.zeros((), x._dtype))
    a = 1 / math.sqrt((_ALPHA**2 * p + 1) * (1 - p))
    kept = dropout_mask(x if room is None else wrap(np.empty(room(x), x._dtype)), p) * (1 - p)
    return x * (kept * a) + ((kept - 1) * (_ALPHA * a) + _ALPHA * a * p)


def _channels(x: Tensor) -> tuple[int, ...]:
    """x's shape with length 1 but for the batch and the channels."""
    if x.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return (*x._shape[:2], *(1,) * (x.ndim - 2))


def _apply(
    rule: Callable[..., Tensor], x: Tensor, p: float, training: bool, inplace: bool, room: Room | None = None
) -> Tensor:
    if not training or p == 0 or not x.numel():
        return x
    return compute_into(x, rule, (p, room), {}) if inplace else rule(x, p, room)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """``input`` with each entry set to 0 with probability ``p``, and the others divided by ``1 - p``.

    Any shape, floats; unless ``training`` nothing is changed.  ValueError for a ``p`` outside [0, 1].

    Source: ``torch.nn.functional.dropout``.

    >>> import chainrule as torch
    >>> _ = torch.manual_seed(0)
    >>> dropout(torch.ones(5))
    tensor([0., 0., 2., 0., 0.])
    """
    _probability(p)
    if not isinstance(input, Tensor):
        raise not_tensor("dropout", input=input)
    return _apply(_drop, input, p, training, inplace)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout for networks of SELU: mean 0 and variance 1 stay what they are.

    Source: ``torch.nn.functional.alpha_dropout``.

    >>> import chainrule as torch
    >>> alpha_dropout(torch.ones(3))
    tensor([1., 1., 1.])
    """
    _probability(p)
    return _apply(_drop_alpha, input, p, training, inplace)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """:func:`alpha_dropout` of whole channels of ``input`` (n, channels, ...).

    Source: ``torch.nn.functional.feature_alpha_dropout``.
    """
    _probability(p)
    return _apply(_drop_alpha, input, p, training, inplace, _channels)


def _of_channels(input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    return _apply(_drop, input, p, training, inplace, _channels)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of ``input`` (n, channels, length); the batch axis may be left out.

    Source: ``torch.nn.functional.dropout1d``.
    """
    _probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that dropout1d exists to "
            "provide channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch "
            "dimension (i.e. 2D or 3D inputs)."
        )
    return _with_batch(input, p, training, inplace, 2)


def _with_batch(x: Tensor, p: float, training: bool, inplace: bool, unbatched: int) -> Tensor:
    """Dropout of channels, which come first where there is no batch axis."""
    alone = x.ndim == unbatched
    return _apply(
        _drop, x, p, training, inplace, (lambda x: (x._shape[0], *(1,) * (x.ndim - 1))) if alone else _channels
    )


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of ``input`` (n, channels, height, width).

    Three axes are taken for (n, channels, length), with a warning, as in PyTorch.

    Source: ``torch.nn.functional.dropout2d``.
    """
    _probability(p)
    if input.ndim not in (3, 4):
        _unfit("dropout2d", input.ndim, "2", "3D or 4D")
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - "
            "input is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a future "
            "release to interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain the 1D "
            "channel-wise dropout behavior, please switch to using dropout1d instead.",
            stacklevel=2,
        )
    return _of_channels(input, p, training, inplace)


def _unfit(name: str, given: int, axes: str, wanted: str) -> None:
    warnings.warn(
        f"{name}: Received a {given}-D input to {name}, which is deprecated and will result in an error in a future "
        f"release. To retain the behavior and silence this warning, please use dropout instead. Note that {name} exists "
        f"to provide channel-wise dropout on inputs with {axes} spatial dimensions, a channel dimension, and an optional "
        f"batch dimension (i.e. {wanted} inputs).",
        stacklevel=3,
    )


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of ``input`` (n, channels, depth, height, width); the batch axis may be left out.

    Source: ``torch.nn.functional.dropout3d``.
    """
    _probability(p)
    if input.ndim not in (4, 5):
        _unfit("dropout3d", input.ndim, "3", "4D or 5D")
    return _with_batch(input, p, training, inplace, 4)


# --- the names of torch itself ---


def plain_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """``input`` with each entry set to 0 with probability ``p``, in training.  Source: ``torch.dropout``."""
    _probability(p, RuntimeError)
    return _apply(_drop, input, p, train, False)


def plain_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """:func:`dropout` written into ``input``.  Source: ``torch.dropout_``."""
    _probability(p, RuntimeError)
    return _apply(_drop, input, p, train, True)


def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Dropout of whole channels of ``input`` (n, channels, ...).  Source: ``torch.feature_dropout``."""
    _probability(p, RuntimeError)
    return _of_channels(input, p, train, False)


def native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """``input`` after :func:`dropout`, and a bool tensor of what was kept.

    Source: ``torch.native_dropout``.

    >>> import chainrule as torch
    >>> torch.native_dropout(torch.ones(2), 0.0, True)
    (tensor([1., 1.]), tensor([True, True]))
    """
    if not train or p == 0:
        return input.clone(), wrap(np.ones(input._shape, bool))
    if p == 1:
        return _drop(input, p), wrap(np.zeros(input._shape, bool))
    mask = dropout_mask(input, p)
    return input * mask, mask != 0


@whole("NativeDropoutBackwardBackward0")
def native_dropout_backward(grad_output: Tensor, mask: Tensor, scale: float) -> Tensor:
    """``grad_output * mask * scale``.  Source: ``torch.native_dropout_backward``."""
    found: Tensor = grad_output * (mask.type(grad_output.dtype) * scale)
    return found


export("dropout", plain_dropout, method=False)
export("dropout_", plain_dropout_, method=False)
export_all(alpha_dropout, feature_alpha_dropout, feature_dropout, native_dropout, native_dropout_backward, method=False)

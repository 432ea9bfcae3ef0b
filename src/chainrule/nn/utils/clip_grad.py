"""Gradients kept within bounds: of their norm, or each element by itself."""

from __future__ import annotations

import math
import types
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...arrays.namespace import dtype_of, is_numpy, namespace
from ...creation import tensor
from ...modes import no_grad
from ...ops import public
from ...tensor import Tensor, wrap

Tensors = Tensor | Iterable[Tensor]

_stack = public["stack"]


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [p._grad for p in parameters if p._grad is not None]


def _norm(a: Any, order: float) -> Any:
    """The norm of an array's elements, of whatever shape."""
    xp = namespace((a,))
    kind = dtype_of(a)
    x = xp.reshape(xp.abs(a) if kind.kind == "c" else a, (-1,))
    if order == 2:
        if kind == np.float16:  # whose squares soon overflow
            return xp.astype(_norm(xp.astype(x, np.dtype(np.float32)), 2), kind)
        return xp.sqrt(xp.matmul(x, x))
    if math.isinf(order):
        if not x.shape[0]:
            raise RuntimeError(
                "_foreach_norm cannot compute the infinity norm on an empty tensor because the operation does not have an "
                "identity"
            )
        return (xp.max if order > 0 else xp.min)(xp.abs(x))
    if order == 0:
        return xp.sum(xp.astype(x != 0, dtype_of(x)))
    return xp.sum(xp.abs(x) ** order) ** (1 / order)


def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """The norm of order ``norm_type`` of several tensors, as if they were one vector; 0-d.

    ``tensors`` is one or several of any shape, ``norm_type`` a number or ``inf``; ``foreach`` changes nothing here.
    RuntimeError for a norm that is nan or infinite, if ``error_if_nonfinite``.

    Source: ``torch.nn.utils.get_total_norm``.

    >>> import chainrule as torch
    >>> torch.nn.utils.get_total_norm([torch.tensor([3.0]), torch.tensor([[4.0]])])
    tensor(5.)
    """
    found, order = _listed(tensors), float(norm_type)
    if not found:
        return tensor(0.0)
    with no_grad(), np.errstate(all="ignore"):
        norms = [_norm(t._a, order) for t in found]
        if all(map(is_numpy, norms)):
            total = wrap(_norm(np.array(norms), order))
        else:
            each = _stack([t._wrap(x) for t, x in zip(found, norms, strict=True)])
            total = each._wrap(_norm(each._a, order))
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {order} for gradients from `parameters` is non-finite, so it cannot be clipped. To "
            "disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale the gradients of ``parameters`` down, in place, if ``total_norm`` is above ``max_norm``.

    Source: ``torch.nn.utils.clip_grads_with_norm_``.

    >>> import chainrule as torch
    >>> w = torch.ones(2, requires_grad=True)
    >>> (w * torch.tensor([3.0, 4.0])).sum().backward()
    >>> torch.nn.utils.clip_grads_with_norm_([w], 1.0, torch.tensor(5.0))
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    with no_grad(), np.errstate(all="ignore"):
        scale = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        number = scale.item() if is_numpy(scale._a) else None
        for g in _gradients(_listed(parameters)):
            if number is not None and _is_plain(g):
                g._cell()[0] += 1
                np.multiply(g._a, number, out=g._a)
            else:
                g.mul_(scale)


def _is_plain(g: Tensor) -> bool:
    return type(g._a) is np.ndarray and g._a.dtype.kind == "f"


def clip_grad_norm_(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """Scale the gradients of ``parameters`` down, in place, so that their norm is ``max_norm`` at most.

    The norm, of order ``norm_type``, is that of all gradients as one vector; it is returned as it was.  ``foreach``
    changes nothing here.  RuntimeError for a norm that is nan or infinite, if ``error_if_nonfinite``.

    Source: ``torch.nn.utils.clip_grad_norm_``.

    >>> import chainrule as torch
    >>> w = torch.ones(2, requires_grad=True)
    >>> (w * torch.tensor([3.0, 4.0])).sum().backward()
    >>> torch.nn.utils.clip_grad_norm_([w], max_norm=1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    found = _listed(parameters)
    if not found and isinstance(parameters, types.GeneratorType):
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2)
    total = get_total_norm(_gradients(found), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(found, max_norm, total, foreach)
    return total


def clip_grad_norm(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """The old name of :func:`clip_grad_norm_`; a FutureWarning says so.

    Source: ``torch.nn.utils.clip_grad_norm``.

    >>> import warnings
    >>> import chainrule as torch
    >>> with warnings.catch_warnings(action="ignore"):
    ...     torch.nn.utils.clip_grad_norm([torch.ones(1, requires_grad=True)], 1.0)
    tensor(0.)
    """
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning, stacklevel=2,
    )  # fmt: skip
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Bring each element of the gradients of ``parameters``, in place, between -clip_value and clip_value.

    Source: ``torch.nn.utils.clip_grad_value_``.

    >>> import chainrule as torch
    >>> w = torch.ones(2, requires_grad=True)
    >>> (w * torch.tensor([3.0, -4.0])).sum().backward()
    >>> torch.nn.utils.clip_grad_value_([w], 3.5)
    >>> w.grad
    tensor([ 3.0000, -3.5000])
    """
    bound = float(clip_value)
    with no_grad():
        for g in _gradients(_listed(parameters)):
            if _is_plain(g):
                g._cell()[0] += 1
                np.clip(g._a, -bound, bound, out=g._a)
            else:
                g.clamp_(min=-bound, max=bound)

"""Where the entries of Fourier transforms stand: their frequencies, and the order that has 0 in the middle."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..outputs import EXACT, takes_out
from ..tensor import Tensor, wrap
from .rearrange import roll


@takes_out(EXACT)
def fftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The frequencies of :func:`fft`'s entries, in cycles per unit, for samples that are ``d`` apart.

    Source: ``torch.fft.fftfreq``.

    >>> import chainrule as torch
    >>> torch.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    return _frequencies(np.fft.fftfreq(n, d), dtype, requires_grad)


@takes_out(EXACT)
def rfftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The frequencies of :func:`rfft`'s entries.

    Source: ``torch.fft.rfftfreq``.
    """
    return _frequencies(np.fft.rfftfreq(n, d), dtype, requires_grad)


def _frequencies(values: Any, dtype: Any, requires_grad: bool) -> Tensor:
    d = dtypes.default_float() if dtype is None else dtypes.to_numpy(dtype)
    found = wrap(values.astype(d))
    found._rg = requires_grad
    return found


def fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The frequency 0 moved from the first place to the middle.

    Source: ``torch.fft.fftshift``.
    """
    return _shift(input, dim, 0)


def ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The inverse of :func:`fftshift`.

    Source: ``torch.fft.ifftshift``.
    """
    return _shift(input, dim, 1)


def _shift(x: Tensor, dim: Any, more: int) -> Tensor:
    dims = tuple(range(x.ndim)) if dim is None else (dim,) if isinstance(dim, int) else dim
    return roll(x, [(x._shape[d] + more) // 2 for d in dims], dims) if dims else x.clone()

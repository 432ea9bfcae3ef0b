"""Window functions: weights that fade towards the ends of a piece of signal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import dtypes, errors
from ..device import layout as memory_layout
from ..device import strided
from ..tensor import Tensor, wrap
from .kinds import export_all


def _made(
    name: str, M: int, N: float, weights: Callable[[Any], Any], dtype: Any, layout: Any, requires_grad: bool
) -> Tensor:
    """``weights`` at 0, 1 / N, 2 / N, ..., M numbers; a single number is 1."""
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    d = dtypes.default_float() if dtype is None else dtypes.to_numpy(dtype)
    if d not in (np.float32, np.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtypes.from_numpy(d)}")
    return _weighted(M, N, weights, d, requires_grad)


def _weighted(M: int, N: float, weights: Callable[[Any], Any], d: np.dtype[Any], requires_grad: bool) -> Tensor:
    found = wrap((np.ones(M) if M < 2 else np.asarray(weights(np.arange(M) / N))).astype(d))
    return found.requires_grad_() if requires_grad else found


def cosines(a: Sequence[float]) -> Callable[[Any], Any]:
    """a₀ - a₁ cos 2πx + a₂ cos 4πx - ..."""
    return lambda x: sum((-1) ** i * float(c) * np.cos(2 * math.pi * i * x) for i, c in enumerate(a))


def triangle(x: Any) -> Any:
    return 1 - np.abs(2 * x - 1)


def bessel(beta: float) -> Callable[[Any], Any]:
    return lambda x: np.i0(beta * np.sqrt(np.maximum(1 - (2 * x - 1) ** 2, 0))) / np.i0(beta)


# --- torch.signal.windows ---


def bartlett(
    M: int, *, sym: bool = True, dtype: Any = None, layout: memory_layout = strided, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A triangle: ``M`` weights from 0 up to 1 and back.

    ``sym`` makes it symmetric, to weigh with; without, the first M of M + 1 weights, to analyse with.

    Source: ``torch.signal.windows.bartlett``.

    >>> bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _made("bartlett", M, M - sym, triangle, dtype, layout, requires_grad)


def general_cosine(
    M: int, *, a: Sequence[float], sym: bool = True, dtype: Any = None, layout: memory_layout = strided,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A sum of cosines with the weights ``a``, of alternating sign.

    Source: ``torch.signal.windows.general_cosine``.

    >>> general_cosine(5, a=[0.5, 0.5])
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    if not isinstance(a, (list, tuple)):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    return _made("general_cosine", M, M - sym, cosines(a), dtype, layout, requires_grad)


def general_hamming(
    M: int, *, alpha: float = 0.54, sym: bool = True, dtype: Any = None, layout: memory_layout = strided,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``alpha - (1 - alpha) cos 2πx``.

    Source: ``torch.signal.windows.general_hamming``.

    >>> general_hamming(3, alpha=0.75)
    tensor([0.5000, 1.0000, 0.5000])
    """
    return general_cosine(M, a=[alpha, 1 - alpha], sym=sym, dtype=dtype, layout=layout, requires_grad=requires_grad)


def hamming(
    M: int, *, sym: bool = True, dtype: Any = None, layout: memory_layout = strided, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``0.54 - 0.46 cos 2πx``.

    Source: ``torch.signal.windows.hamming``.

    >>> hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    return general_hamming(M, sym=sym, dtype=dtype, layout=layout, requires_grad=requires_grad)


def hann(
    M: int, *, sym: bool = True, dtype: Any = None, layout: memory_layout = strided, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``0.5 - 0.5 cos 2πx``.

    Source: ``torch.signal.windows.hann``.

    >>> hann(4, sym=False)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return general_hamming(M, alpha=0.5, sym=sym, dtype=dtype, layout=layout, requires_grad=requires_grad)


def blackman(
    M: int, *, sym: bool = True, dtype: Any = None, layout: memory_layout = strided, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``0.42 - 0.5 cos 2πx + 0.08 cos 4πx``.

    Source: ``torch.signal.windows.blackman``.

    >>> blackman(4, sym=False)[1:]
    tensor([0.3400, 1.0000, 0.3400])
    """
    return general_cosine(M, a=[0.42, 0.5, 0.08], sym=sym, dtype=dtype, layout=layout, requires_grad=requires_grad)


def nuttall(
    M: int, *, sym: bool = True, dtype: Any = None, layout: memory_layout = strided, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Nuttall's four cosines, smallest at the side: 0.3635819, 0.4891775, 0.1365995 and 0.0106411.

    Source: ``torch.signal.windows.nuttall``.

    >>> nuttall(3)
    tensor([3.6280e-04, 1.0000e+00, 3.6280e-04])
    """
    a = [0.3635819, 0.4891775, 0.1365995, 0.0106411]
    return general_cosine(M, a=a, sym=sym, dtype=dtype, layout=layout, requires_grad=requires_grad)


def cosine(
    M: int, *, sym: bool = True, dtype: Any = None, layout: memory_layout = strided, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Half a wave: ``sin π(k + ½) / M``.

    Source: ``torch.signal.windows.cosine``.

    >>> cosine(3)
    tensor([0.5000, 1.0000, 0.5000])
    """
    n = M + (not sym)
    return _made("cosine", M, 1, lambda k: np.sin(math.pi * (k + 0.5) / n), dtype, layout, requires_grad)


def exponential(
    M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, dtype: Any = None,
    layout: memory_layout = strided, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``exp(-|k - center| / tau)``; the ``center`` can be chosen only without ``sym``.

    Source: ``torch.signal.windows.exponential``.

    >>> exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    middle = (M - sym) / 2 if center is None else center
    return _made("exponential", M, 1, lambda k: np.exp(-np.abs(k - middle) / tau), dtype, layout, requires_grad)


def gaussian(
    M: int, *, std: float = 1.0, sym: bool = True, dtype: Any = None, layout: memory_layout = strided,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The bell curve of standard deviation ``std``.

    Source: ``torch.signal.windows.gaussian``.

    >>> gaussian(3)
    tensor([0.6065, 1.0000, 0.6065])
    """
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    middle = (M - sym) / 2
    return _made("gaussian", M, 1, lambda k: np.exp(-(((k - middle) / std) ** 2) / 2), dtype, layout, requires_grad)


def kaiser(
    M: int, *, beta: float = 12.0, sym: bool = True, dtype: Any = None, layout: memory_layout = strided,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Kaiser's, by the Bessel function I₀: the larger ``beta``, the narrower.

    Source: ``torch.signal.windows.kaiser``.

    >>> kaiser(3, beta=2.0)
    tensor([0.4387, 1.0000, 0.4387])
    """
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    return _made("kaiser", M, M - sym, bessel(beta), dtype, layout, requires_grad)


# --- under their older names ---


def _window(
    name: str, n: int, periodic: bool, weights: Callable[[Any], Any], dtype: Any, requires_grad: bool
) -> Tensor:
    d = dtypes.default_float() if dtype is None else dtypes.to_numpy(dtype)
    if d.kind not in "fc":
        raise RuntimeError(f"{name} expects floating point dtypes, got: {errors.scalar_type(d)}")
    if n < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={n}")
    return _weighted(n, n if periodic else n - 1, weights, d, requires_grad)


def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A triangle; ``periodic`` leaves out the last of one weight more.

    Source: ``torch.bartlett_window``.

    >>> import chainrule as torch
    >>> torch.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _window("bartlett_window", window_length, periodic, triangle, dtype, requires_grad)


def hann_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``0.5 - 0.5 cos 2πx``; ``periodic`` leaves out the last of one weight more.

    Source: ``torch.hann_window``.

    >>> import chainrule as torch
    >>> torch.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _window("hann_window", window_length, periodic, cosines([0.5, 0.5]), dtype, requires_grad)


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``alpha - beta cos 2πx``; ``periodic`` leaves out the last of one weight more.

    Source: ``torch.hamming_window``.

    >>> import chainrule as torch
    >>> torch.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    return _window("hamming_window", window_length, periodic, cosines([alpha, beta]), dtype, requires_grad)


def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``0.42 - 0.5 cos 2πx + 0.08 cos 4πx``; ``periodic`` leaves out the last of one weight more.

    Source: ``torch.blackman_window``.

    >>> import chainrule as torch
    >>> torch.blackman_window(3, periodic=False)[1]
    tensor(1.)
    """
    return _window("blackman_window", window_length, periodic, cosines([0.42, 0.5, 0.08]), dtype, requires_grad)


def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Kaiser's, by the Bessel function I₀; ``periodic`` leaves out the last of one weight more.

    Source: ``torch.kaiser_window``.

    >>> import chainrule as torch
    >>> torch.kaiser_window(3, False, 2.0)
    tensor([0.4387, 1.0000, 0.4387])
    """
    return _window("kaiser_window", window_length, periodic, bessel(beta), dtype, requires_grad)


export_all(bartlett_window, hann_window, hamming_window, blackman_window, kaiser_window, method=False)

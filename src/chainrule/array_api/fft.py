"""The standard's ``fft`` extension."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import fft as _ours
from ..dtypes import dtype as kind_of_number
from ..tensor import Tensor


def _along(name: str) -> Callable[..., Tensor]:
    function = getattr(_ours, name)

    def called(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
        return function(x, n, axis, norm)  # type: ignore[no-any-return]

    called.__name__ = called.__qualname__ = name
    called.__doc__ = f":func:`chainrule.fft.{name}` along an axis."
    return called


def _over(name: str) -> Callable[..., Tensor]:
    function = getattr(_ours, name)

    def called(x: Tensor, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Tensor:
        return function(x, s, axes, norm)  # type: ignore[no-any-return]

    called.__name__ = called.__qualname__ = name
    called.__doc__ = f":func:`chainrule.fft.{name}` along several axes."
    return called


fft, ifft, rfft, irfft, hfft, ihfft = (_along(name) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"))
fftn, ifftn, rfftn, irfftn = (_over(name) for name in ("fftn", "ifftn", "rfftn", "irfftn"))


def fftfreq(n: int, /, *, d: float = 1.0, dtype: kind_of_number | None = None, device: Any = None) -> Tensor:
    """The frequencies of a transform of ``n`` samples that are ``d`` apart."""
    return _ours.fftfreq(n, d, dtype=dtype, device=device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: kind_of_number | None = None, device: Any = None) -> Tensor:
    """The frequencies of a transform of ``n`` real samples that are ``d`` apart."""
    return _ours.rfftfreq(n, d, dtype=dtype, device=device)


def fftshift(x: Tensor, /, *, axes: Any = None) -> Tensor:
    """The frequency 0 in the middle."""
    return _ours.fftshift(x, axes)


def ifftshift(x: Tensor, /, *, axes: Any = None) -> Tensor:
    """The frequency 0 in front again."""
    return _ours.ifftshift(x, axes)


__all__ = [
    "fft", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifftn", "ifftshift", "ihfft", "irfft", "irfftn", "rfft",
    "rfftfreq", "rfftn",
]  # fmt: skip

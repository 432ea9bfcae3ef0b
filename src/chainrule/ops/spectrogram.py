"""Spectra of short pieces of a signal, and the signal from them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import errors
from ..arrays.namespace import is_numpy
from ..errors import explained
from ..tensor import Tensor, wrap
from .fft import fft, ifft, irfft, rfft
from .index import PutAdd
from .kinds import export, public
from .padding import constant_pad_nd, pad

_overlap_add = PutAdd("UnfoldBackwardBackward0")
view_as_real = public["view_as_real"]
RECTANGULAR = "A window was not provided. A rectangular window will be applied,"


def stft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
    window: Tensor | None = None, center: bool = True, pad_mode: str = "reflect", normalized: bool = False,
    onesided: bool | None = None, return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Tensor:  # fmt: skip
    """The Fourier transforms of overlapping pieces of a signal, one every ``hop_length`` (``n_fft // 4`` unless given).

    ``input`` is (L,) or (batch, L); the result (frequencies, frames) or with the batch in front.  Each piece has
    ``n_fft`` entries, weighed by the ``window`` of ``win_length``, which zeros make as long.  ``center`` puts the middle
    of the first piece at the first entry, with ends made up in ``pad_mode``; without it, ``align_to_window`` lets the
    first window start there.  ``onesided`` leaves out the frequencies that a real signal repeats.

    Source: ``torch.stft``.

    >>> import chainrule as torch
    >>> x = torch.arange(16.0)
    >>> torch.stft(x, 8, window=torch.hann_window(8), return_complex=True).shape
    torch.Size([5, 9])
    """
    hop, length = n_fft // 4 if hop_length is None else hop_length, n_fft if win_length is None else win_length
    if center:
        if align_to_window is not None:
            raise RuntimeError("stft align_to_window should only be set when center = false")
        shape = input._shape
        x = input.view(*(1,) * (3 - len(shape)), *shape)
        input = pad(x, (n_fft // 2, n_fft // 2), pad_mode)
        input = input.view(*input._shape[-len(shape) :])
    kind = errors.scalar_type(input._dtype)

    def refuse(why: str) -> RuntimeError:
        return RuntimeError(
            f"stft(torch.{kind}Tensor{list(input.shape)}, n_fft={n_fft}, hop_length={hop}, win_length={length}, "
            f"window={_named(window)}, normalized={normalized:d}, onesided={_shown(onesided)}, "
            f"return_complex={_shown(return_complex)}, align_to_window={_shown(align_to_window)}) : {why}"
        )

    if input._dtype.kind not in "fc":
        raise refuse("expected a tensor of floating point or complex values")
    if not 1 <= input.ndim <= 2:
        raise refuse("expected a 1D or 2D tensor")
    shape = input._shape
    x = input.unsqueeze(0) if input.ndim == 1 else input
    n = x._shape[1]
    complex_ = input._dtype.kind == "c" or (window is not None and window._dtype.kind == "c")
    if return_complex is None and not complex_:
        raise explained(RuntimeError(
            "stft requires the return_complex parameter be given for real inputs, and will further require that "
            "return_complex=True in a future PyTorch release.\nWrite return_complex=True, and torch.view_as_real(...) "
            "around it for pairs of real numbers."
        ))  # fmt: skip
    if return_complex is False:
        warnings.warn(
            "stft with return_complex=False is deprecated. In a future pytorch release, stft will return complex tensors "
            "for all inputs, and return_complex=False will raise an error.",
            UserWarning, stacklevel=2,
        )  # fmt: skip
    if align_to_window:
        left = (n_fft - length) // 2
        x = constant_pad_nd(x, (left, n_fft - length - left))
        n = x._shape[1]
    if not 0 < n_fft <= n:
        raise refuse(f"expected 0 < n_fft < {n}, but got n_fft={n_fft}")
    if hop <= 0:
        raise refuse(f"expected hop_length > 0, but got hop_length={hop}")
    if not 0 < length <= n_fft:
        raise refuse(f"expected 0 < win_length <= n_fft, but got win_length={length}")
    if window is not None and window._shape != (length,):
        raise refuse(
            f"expected a 1D window tensor of size equal to win_length={length}, but got window with size {list(window.shape)}"
        )
    if window is None:
        warnings.warn(
            f"{RECTANGULAR}which is known to cause spectral leakage. Give a window, such as torch.hann_window.",
            UserWarning, stacklevel=2,
        )  # fmt: skip
    pieces = x.unfold(-1, n_fft, hop)
    weights = _weights(window, n_fft, length, x._dtype)
    if weights is not None:
        pieces = pieces * weights
    onesided = not complex_ if onesided is None else onesided
    if onesided and complex_:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    found = (rfft if onesided else fft)(pieces, norm="ortho" if normalized else None).transpose(1, 2)
    found = found.squeeze(0) if len(shape) == 1 else found
    return view_as_real(found) if return_complex is False else found


def _named(window: Tensor | None) -> str:
    return "None" if window is None else f"torch.{errors.scalar_type(window._dtype)}Tensor{{{list(window.shape)}}}"


def _shown(flag: bool | None) -> str:
    return "None" if flag is None else f"{flag:d}"


def _weights(window: Tensor | None, n_fft: int, length: int, dtype: np.dtype[Any]) -> Tensor | None:
    """The window with zeros around it, ``n_fft`` long; None if it is all ones."""
    if window is None:
        if length == n_fft:
            return None
        window = wrap(np.ones(length, np.empty(0, dtype).real.dtype))
    left = (n_fft - length) // 2
    return window if length == n_fft else constant_pad_nd(window, (left, n_fft - length - left))


def istft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
    window: Tensor | None = None, center: bool = True, normalized: bool = False, onesided: bool | None = None,
    length: int | None = None, return_complex: bool = False,
) -> Tensor:  # fmt: skip
    """The signal whose :func:`stft` is ``input``, or that comes nearest to it: pieces weighed again, and added.

    ``input`` is complex, (frequencies, frames) or with a batch in front; the other arguments are those of ``stft``.
    The signal is cut, or lengthened with zeros, to ``length`` if that is given.

    Source: ``torch.istft``.

    >>> import chainrule as torch
    >>> x, w = torch.arange(8.0), torch.hann_window(4)
    >>> torch.istft(torch.stft(x, 4, window=w, return_complex=True), 4, window=w).round()
    tensor([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    hop, width = n_fft // 4 if hop_length is None else hop_length, n_fft if win_length is None else win_length
    if input._dtype.kind != "c":
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with return_complex=True."
        )

    def refuse(why: str) -> RuntimeError:
        return RuntimeError(
            f"istft(CPU{errors.scalar_type(input._dtype)}Type{list(input.shape)}, n_fft={n_fft}, hop_length={hop}, "
            f"win_length={width}, window={_named(window)}, center={center:d}, normalized={normalized:d}, "
            f"onesided={_shown(onesided)}, length={length}, return_complex={return_complex:d}) {why}"
        )

    if not 2 <= input.ndim <= 3:
        raise refuse(f": expected a tensor with 3 or 4 dimensions, but got {input.ndim + 1}")
    if not input.numel():
        raise refuse(": input tensor cannot be empty.")
    x = input.unsqueeze(0) if input.ndim == 2 else input
    frequencies, frames = x._shape[1:]
    one = frequencies != n_fft if onesided is None else onesided
    half = n_fft // 2 + 1
    if one and frequencies != half:
        raise refuse(
            ": expected the frequency dimension (3rd to the last) of the input tensor to match n_fft / 2 + 1 when "
            f"onesided=True, but got {frequencies}"
        )
    if not one and frequencies != n_fft:
        raise refuse(
            ": expected the frequency dimension (3rd to the last) of the input tensor to match n_fft when onesided=False, "
            f"but got {frequencies}"
        )
    if not 0 < hop <= width:
        raise refuse(": expected 0 < hop_length <= win_length")
    if not 0 < width <= n_fft:
        raise refuse(": expected 0 < win_length <= n_fft")
    if window is None:
        warnings.warn(
            f"{RECTANGULAR}Please provide the same window used by stft to make the inversion lossless.",
            UserWarning, stacklevel=2,
        )  # fmt: skip
    elif window._shape != (width,):
        raise refuse(": Invalid window shape. window has to be 1D and length of `win_length`")
    if return_complex and one:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if not return_complex and window is not None and window._dtype.kind == "c":
        raise RuntimeError("Complex windows are incompatible with return_complex=False")
    x, norm = x.transpose(1, 2), "ortho" if normalized else None
    pieces = ifft(x, norm=norm) if return_complex else irfft(x[..., :half], n_fft, norm=norm)
    weights = _weights(window, n_fft, width, input._dtype)
    if weights is None:
        weights = wrap(np.ones(n_fft, pieces._dtype))
    end = n_fft + hop * (frames - 1)
    at = hop * np.arange(frames)[:, None] + np.arange(n_fft)
    signal = _added(pieces * weights, at, (x._shape[0], end))
    envelope = _added((weights * weights).expand(frames, n_fft), at, (end,))
    start = n_fft // 2 if center else 0
    stop = start + length if length is not None else end - start if center else end
    signal, envelope = signal[:, start:stop], envelope[start:stop]
    weights_seen: Any = envelope
    while isinstance(weights_seen, Tensor):  # the numbers below transforms, if there are any
        weights_seen = weights_seen._a
    if is_numpy(weights_seen) and (abs(weights_seen) < 1e-11).any():
        raise explained(RuntimeError(str(refuse(
            "window overlap add min: 1\nSome entries of the signal have no weight in any piece: choose a smaller "
            "hop_length, a window without zeros, or center=True, which cuts the ends off."
        ))))  # fmt: skip
    signal = signal / envelope
    if stop > end:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail. "
            "Please check your center and hop_length settings.",
            UserWarning, stacklevel=2,
        )  # fmt: skip
        signal = constant_pad_nd(signal, (0, stop - end))
    return signal.squeeze(0) if input.ndim == 2 else signal


def _added(pieces: Tensor, at: Any, shape: tuple[int, ...]) -> Tensor:
    """A line of zeros with pieces added where they belong: the transpose of ``unfold``."""
    return _overlap_add(pieces, key=(..., at), shape=shape, repeats=True)  # type: ignore[no-any-return]


export("stft", stft)
export("istft", istft)

"""Discrete Fourier transforms.  ``axes`` are negative; ``norm`` says where the factor 1/n goes, as in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes, errors
from ..arrays import namespace as ns
from ..arrays.namespace import dtype_of
from ..outputs import FOUND, takes_out
from ..primitive import Primitive, table
from ..tensor import Tensor

_COMPLEX = "{name} expects a complex output tensor, but got {out}"
_FLOATING = "{name} expects a floating point output tensor, but got {out}"

# The transform in the other direction with this norm is the adjoint.
ADJOINT = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


class FftC2C(Primitive):
    """The transform of complex numbers, or with ``inverse`` its inverse."""

    forward = lambda xp, x, *, axes, inverse, norm: (xp.fft.ifftn if inverse else xp.fft.fftn)(x, axes=axes, norm=norm)
    vjp_x = lambda g, axes, inverse, norm: c2c(g, axes=axes, inverse=not inverse, norm=ADJOINT[norm])
    linear = ("x",)
    depends = lambda xp, x, axes, out_shape: xp.broadcast_to(xp.sum(x, axis=axes, keepdims=True), out_shape)
    formula = False
    samples = [
        (([[1 + 2j, 3 - 1j, 0.5j], [0.2 + 0j, 1j, -1 + 1j]],), {"axes": (-1,), "inverse": False, "norm": "backward"}),
        (([[1 + 2j, 3 - 1j, 0.5j], [0.2 + 0j, 1j, -1 + 1j]],), {"axes": (-1, -2), "inverse": True, "norm": "ortho"}),
    ]


class FftR2C(Primitive):
    """The transform of real numbers: all of it, or ``onesided`` without the half that conjugation gives."""

    real_only = RuntimeError("rfft expects a real input tensor, but got {}")
    forward = lambda xp, x, *, axes, norm, onesided: (
        xp.fft.rfftn(x, axes=axes, norm=norm) if onesided else xp.fft.fftn(x, axes=axes, norm=norm)
    )
    vjp_x = lambda xp, g, x_shape, axes, norm: xp.real(
        c2c(resized(xp, g, axes[-1:], x_shape[axes[-1] :][:1]), axes=axes, inverse=True, norm=ADJOINT[norm])
    )
    linear = ("x",)
    depends = lambda xp, x, axes, out_shape: xp.broadcast_to(xp.sum(x, axis=axes, keepdims=True), out_shape)
    formula = False
    samples = [
        (((2, 5),), {"axes": (-1,), "norm": "backward", "onesided": True}),
        (((3, 4),), {"axes": (-1, -2), "norm": "ortho", "onesided": True}),
        (((2, 3),), {"axes": (-2,), "norm": "forward", "onesided": False}),
    ]


class FftC2R(Primitive):
    """The inverse of a one-sided transform: real, of length ``n`` along the last of ``axes``."""

    forward = lambda xp, x, *, axes, n, norm: xp.fft.irfftn(
        x, s=(*(x.shape[a] for a in axes[:-1]), n), axes=axes, norm=norm
    )
    vjp_x = lambda g, axes, n, norm: (
        r2c(g, axes=axes, norm=ADJOINT[norm], onesided=True) * twice(n, -axes[-1], dtype_of(g))
    )
    linear = ("x",)
    depends = lambda xp, x, axes, out_shape: xp.broadcast_to(xp.sum(x, axis=axes, keepdims=True), out_shape)
    formula = False
    samples = [
        (([[1 + 0j, 3 - 1j, 0.5j], [0.2 + 0j, 1j, -1 + 1j]],), {"axes": (-1,), "n": 5, "norm": "backward"}),
        (([[1 + 0j, 3 - 1j, 0.5j], [0.2 + 0j, 1j, -1 + 1j]],), {"axes": (-2, -1), "n": 4, "norm": "ortho"}),
    ]


def twice(n: int, place: int, dtype: Any) -> Any:
    """How often each entry of a one-sided transform stands in the whole one, along the axis ``-place``."""
    weights = np.ones((n // 2 + 1, *(1,) * (place - 1)), dtype)
    weights[1 : n - n // 2] = 2
    return weights


def resized(xp: Any, x: Any, axes: Sequence[int], sizes: Sequence[int | None]) -> Any:
    """``x`` cut, or filled up with zeros, to ``sizes`` along negative ``axes``."""
    for axis, size in zip(axes, sizes, strict=True):
        have = x.shape[axis]
        if size is None or size == have:
            continue
        if size < have:
            x = x[(..., slice(0, size), *(slice(None),) * (-1 - axis))]
        else:
            shape = list(x.shape)
            shape[axis] = size - have
            x = xp.concat([x, xp.zeros(tuple(shape), dtype=x.dtype)], axis=axis)
    return x


c2c: Primitive = FftC2C()
r2c: Primitive = FftR2C()
c2r: Primitive = FftC2R()


# --- what users call ---


def _norm(norm: str | None, invert: bool = False) -> str:
    if norm not in (None, "backward", "forward", "ortho"):
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return ADJOINT[norm or "backward"] if invert else norm or "backward"


def _axes(x: Tensor, s: Any, dim: Any) -> tuple[tuple[int, ...], tuple[int | None, ...]]:
    """The negative axes, and the sizes asked for along them (None where it stays)."""
    n = x.ndim
    axes: tuple[int, ...]
    sizes: tuple[int | None, ...]
    if isinstance(dim, int):
        if not n:
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
        axes, sizes = (x._dim(dim) - n,), (s,)
    else:
        given = None if s is None else (s,) if isinstance(s, int) else tuple(s)
        if given is not None and dim is not None and len(given) != len(dim):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
        if dim is None:
            if given is not None and len(given) > n:
                raise RuntimeError(f"Got shape with {len(given)} values but input tensor only has {n} dimensions.")
            dim = range(-n if given is None else -len(given), 0)
        axes = tuple([x._dim(d) - n for d in dim])
        if len(set(axes)) != len(axes):
            raise RuntimeError("FFT dims must be unique")
        sizes = (None,) * len(axes) if given is None else tuple([None if k == -1 else k for k in given])
    for a, k in zip(axes, sizes, strict=True):
        if (x._shape[a] if k is None else k) < 1:
            raise RuntimeError(f"Invalid number of data points ({x._shape[a] if k is None else k}) specified")
    return axes, sizes


def _ready(name: str, input: Tensor, kind: str) -> Tensor:
    """The input as numbers of the kind that a transform takes: "real", "complex" or "either"."""
    d = input._dtype
    if d == np.float16:
        raise RuntimeError("Unsupported dtype Half")
    if kind == "real" and d.kind == "c":
        raise RuntimeError(f"{name} expects a real input tensor, but got {errors.scalar_type(d)}")
    if d.kind in "iub":
        input = table["Cast"](input, dtype=dtypes.default_float())
    if kind == "complex" and d.kind != "c":
        input = table["Cast"](input, dtype=np.result_type(input._dtype, np.complex64))
    return input


def _complex(name: str, x: Tensor, s: Any, dim: Any, norm: Any, inverse: bool) -> Tensor:
    real = isinstance(dim, int)
    x = _ready(name, x, "either" if real else "complex")
    axes, sizes = _axes(x, s, dim)
    x = resized(ns.boxes, x, axes, sizes)
    if not axes:
        return x
    if real and x._dtype.kind != "c":
        y: Tensor = r2c(x, axes=axes, norm=_norm(norm, inverse), onesided=False)
        return y.conj() if inverse else y
    return c2c(x, axes=axes, inverse=inverse, norm=_norm(norm))


def _to_half(name: str, x: Tensor, s: Any, dim: Any, norm: Any) -> Tensor:
    x = _ready(name, x, "real")
    axes, sizes = _axes(x, s, dim)
    if not axes:
        raise RuntimeError(f"{name} must transform at least one axis")
    return r2c(resized(ns.boxes, x, axes, sizes), axes=axes, norm=_norm(norm), onesided=True)


def _from_half(name: str, x: Tensor, s: Any, dim: Any, norm: Any) -> Tensor:
    x = _ready(name, x, "complex")
    if isinstance(dim, int) and s is None:
        s = 2 * (x._shape[x._dim(dim)] - 1) if x.ndim else None
    axes, sizes = _axes(x, s, dim)
    if not axes:
        raise RuntimeError(f"{name} must transform at least one axis")
    n = sizes[-1] if sizes[-1] is not None else 2 * (x._shape[axes[-1]] - 1)
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    x = resized(ns.boxes, x, axes, (*sizes[:-1], n // 2 + 1))
    return c2r(x, axes=axes, n=n, norm=_norm(norm))


@takes_out(_COMPLEX, casts=True)
def fft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The discrete Fourier transform along ``dim``, of ``input`` cut or zero-filled to length ``n``.

    ``norm`` puts the factor 1/n: "backward" (default) on the inverse, "forward" here, "ortho" its root on both.

    Source: ``torch.fft.fft``.

    >>> import chainrule as torch
    >>> torch.fft.fft(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    tensor([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])
    """
    return _complex("fft", input, n, dim, norm, False)


@takes_out(_COMPLEX, casts=True)
def ifft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of :func:`fft`.

    Source: ``torch.fft.ifft``.
    """
    return _complex("ifft", input, n, dim, norm, True)


@takes_out(_COMPLEX, casts=True)
def fftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """:func:`fft` along several dimensions, all by default; ``s`` are the lengths.

    Source: ``torch.fft.fftn``.
    """
    return _complex("fftn", input, s, _several(dim), norm, False)


@takes_out(_COMPLEX.replace("{name}", "fftn"), casts=True)
def ifftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of :func:`fftn`.

    Source: ``torch.fft.ifftn``.
    """
    return _complex("ifftn", input, s, _several(dim), norm, True)


def fft2(
    input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """:func:`fft` along two dimensions.

    Source: ``torch.fft.fft2``.
    """
    return fftn(input, s, dim, norm, out=out)


def ifft2(
    input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of :func:`fft2`.

    Source: ``torch.fft.ifft2``.
    """
    return ifftn(input, s, dim, norm, out=out)


@takes_out(_COMPLEX, casts=True)
def rfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """:func:`fft` of real numbers without the half that follows by conjugation: n // 2 + 1 entries.

    Source: ``torch.fft.rfft``.
    """
    return _to_half("rfft", input, n, dim, norm)


@takes_out(_COMPLEX, casts=True)
def rfftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """:func:`fftn` of real numbers, halved along the last of the dimensions.

    Source: ``torch.fft.rfftn``.
    """
    return _to_half("rfftn", input, s, _several(dim), norm)


def rfft2(
    input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """:func:`rfftn` along two dimensions.

    Source: ``torch.fft.rfft2``.
    """
    return rfftn(input, s, dim, norm, out=out)


@takes_out(_FLOATING, casts=True)
def irfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of :func:`rfft`: ``n`` real numbers, 2 (m - 1) from m entries unless it is given.

    Source: ``torch.fft.irfft``.
    """
    return _from_half("irfft", input, n, dim, norm)


@takes_out(_FLOATING, casts=True)
def irfftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of :func:`rfftn`.

    Source: ``torch.fft.irfftn``.
    """
    return _from_half("irfftn", input, s, _several(dim), norm)


def irfft2(
    input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of :func:`rfft2`.

    Source: ``torch.fft.irfft2``.
    """
    return irfftn(input, s, dim, norm, out=out)


@takes_out(_FLOATING, casts=True)
def hfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The transform of a signal that is the conjugate of its own reverse, given by its first half: it is real.

    Source: ``torch.fft.hfft``.
    """
    return _from_half("hfft", _ready("hfft", input, "complex").conj(), n, dim, _norm(norm, True))


@takes_out(FOUND)
def ihfft(
    input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of :func:`hfft`.

    Source: ``torch.fft.ihfft``.
    """
    return _to_half("ihfft", input, n, dim, _norm(norm, True)).conj()


@takes_out(_FLOATING, casts=True)
def hfftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """:func:`hfft` along the last of several dimensions, after :func:`fft` along the others.

    Source: ``torch.fft.hfftn``.
    """
    x = _ready("hfftn", input, "complex")
    axes, sizes = _axes(x, s, _several(dim))
    x = resized(ns.boxes, x, axes[:-1], sizes[:-1])
    if len(axes) > 1:
        x = c2c(x, axes=axes[:-1], inverse=False, norm=_norm(norm))
    return hfft(x, sizes[-1], axes[-1], norm)


@takes_out(_COMPLEX, casts=True)
def ihfftn(
    input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of :func:`hfftn`.

    Source: ``torch.fft.ihfftn``.
    """
    x = _ready("ihfftn", input, "real")
    axes, sizes = _axes(x, s, _several(dim))
    x = ihfft(resized(ns.boxes, x, axes[:-1], sizes[:-1]), sizes[-1], axes[-1], norm)
    if len(axes) > 1:
        x = c2c(x, axes=axes[:-1], inverse=True, norm=_norm(norm))
    return x


def hfft2(
    input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """:func:`hfftn` along two dimensions.

    Source: ``torch.fft.hfft2``.
    """
    return hfftn(input, s, dim, norm, out=out)


def ihfft2(
    input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The inverse of :func:`hfft2`.

    Source: ``torch.fft.ihfft2``.
    """
    return ihfftn(input, s, dim, norm, out=out)


def _several(dim: Any) -> Any:
    return (dim,) if isinstance(dim, int) else dim

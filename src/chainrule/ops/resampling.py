"""Resampling: values between the points of a regular grid, at the points of another, along each axis in turn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ..errors import explained
from ..primitive import Primitive
from ..tensor import Tensor
from .adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .pooling import refuse_kinds

Size = int | Sequence[int] | None
Scale = float | Sequence[float] | None


class Taps:
    """A linear map along an axis: the i-th result is the sum over k of ``weights[k, i] * x[index[k, i]]``."""

    def __init__(self, size: int, index: Any, weights: Any) -> None:
        self.size, self.index, self.weights = size, index, weights
        self.out = index.shape[1]

    @cached_property
    def transposed(self) -> Taps:
        """The transposed map; places left over have weight 0."""
        to, start = np.broadcast_to(np.arange(self.out), self.index.shape).ravel(), self.index.ravel()
        w = np.ones(len(to)) if self.weights is None else self.weights.ravel()
        order = np.argsort(start, kind="stable")
        to, start, w = to[order], start[order], w[order]
        counts = np.bincount(start, minlength=self.size)
        number = np.arange(len(start)) - (np.cumsum(counts) - counts)[start]
        index = np.zeros((counts.max(initial=1), self.size), np.int64)
        weights = np.zeros(index.shape, w.dtype)
        index[:] = to[np.minimum(np.cumsum(counts) - counts, len(to) - 1)]
        index[number, start], weights[number, start] = to, w
        return Taps(self.out, index, None if (weights == 1).all() else weights)

    def along(self, x: Any, at: int) -> Any:
        """The map applied along the axis ``at`` of x."""
        if self.weights is None and len(self.index) == 1:
            return np.take(x, self.index[0], at)
        out: Any = None
        for k, index in enumerate(self.index):
            part = np.take(x, index, at)
            if self.weights is not None:
                w = self.weights[k].astype(
                    np.result_type(x.dtype, np.float16)
                )  # of whole numbers too they are fractions
                part = part * w.reshape(-1, *(1,) * (-1 - at))
            out = part if out is None else np.add(out, part, out=out)
        return out


def resampled(x: Any, taps: Sequence[Taps]) -> Any:
    """The maps applied along the last axes, those that make x smaller first."""
    for at in sorted(range(-len(taps), 0), key=lambda at: (taps[at].out > taps[at].size, -at)):
        x = taps[at].along(x, at)
    return x


class Upsample(Primitive):
    """x at other points along its last axes, each by a linear map."""

    formula = False
    forward = lambda xp, x, *, taps: resampled(x, taps)
    vjp_x = lambda xp, g, taps: _upsample(g, taps=tuple([t.transposed for t in taps]))
    linear = ("x",)


# --- where the points are, and what counts there ---


@lru_cache(maxsize=256)
def nearest(n: int, m: int, scale: float | None, shift: float) -> Taps:
    """The nearest point, with what PyTorch calculates in single precision; ``shift`` is 0.5 for the exact one."""
    step = np.float32(1 / scale) if scale else np.float32(n) / np.float32(m)
    at = np.floor((np.arange(m, dtype=np.float32) + np.float32(shift)) * step).astype(np.int64)
    if not shift and m == n:
        at = np.arange(m)
    elif not shift and m == 2 * n:
        at = np.arange(m) // 2
    return Taps(n, np.minimum(at, n - 1)[None], None)


def _step(n: int, m: int, align: bool, scale: float | None, real: Any) -> Any:
    """How far apart the points are, in units of the old ones."""
    if align:
        return real(n - 1) / real(m - 1) if m > 1 else real(0)
    return real(1 / scale) if scale else real(n) / real(m)


def _sources(n: int, m: int, align: bool, scale: float | None, real: Any) -> Any:
    at = np.arange(m, dtype=real)
    step = _step(n, m, align, scale, real)
    return step * at if align else step * (at + real(0.5)) - real(0.5)


@lru_cache(maxsize=256)
def linear(n: int, m: int, align: bool, scale: float | None, char: str) -> Taps:
    """Between the two nearest points, in proportion."""
    real = np.dtype(char).type
    if n == m:
        return Taps(n, np.arange(n)[None], None)
    source = np.maximum(_sources(n, m, align, scale, real), 0)
    low = np.minimum(source.astype(np.int64), n - 1)
    part = np.clip(source - low.astype(real), 0, 1).astype(real)
    return Taps(n, np.stack([low, np.minimum(low + 1, n - 1)]), np.stack([1 - part, part]))


@lru_cache(maxsize=256)
def cubic(n: int, m: int, align: bool, scale: float | None, char: str) -> Taps:
    """A cubic through the four nearest points; beyond the ends the outermost are repeated."""
    real = np.dtype(char).type
    source = _sources(n, m, align, scale, real)
    low = np.minimum(np.floor(source), n - 1)
    part = np.clip(source - low, 0, 1)
    index = np.clip(low.astype(np.int64) + np.arange(-1, 3)[:, None], 0, n - 1)
    return Taps(n, index, np.stack(cubic_weights(part)))


def cubic_weights(t: Any, a: float = -0.75) -> list[Any]:
    """What the four points around count at the part ``t`` of the way from the second to the third."""

    def near(x: Any) -> Any:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Any) -> Any:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _hat(x: Any) -> Any:
    return np.maximum(1 - np.abs(x), 0)


def _keys(x: Any) -> Any:
    x, a = np.abs(x), -0.5
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    outer = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, inner, np.where(x < 2, outer, 0))


def _lanczos(x: Any) -> Any:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


_FILTERS: dict[int, Callable[[Any], Any]] = {2: _hat, 4: _keys, 6: _lanczos}


@lru_cache(maxsize=256)
def smoothed(n: int, m: int, align: bool, scale: float | None, char: str, width: int) -> Taps:
    """A filter as wide as the points are apart, so that nothing between them is left out."""
    real = np.dtype(char).type
    step = _step(n, m, align, scale, real)
    wide = max(step, real(1))
    centre = step * (np.arange(m, dtype=real) + real(0.5))
    support = real(width / 2) * wide
    low = np.maximum((centre - support + real(0.5)).astype(np.int64), 0)
    high = np.minimum((centre + support + real(0.5)).astype(np.int64), n)
    k = np.arange(max(int((high - low).max(initial=1)), 1))[:, None]
    weights = _FILTERS[width]((k + low - centre + real(0.5)) / wide).astype(real)
    weights = np.where(k < high - low, weights, 0)
    return Taps(n, np.minimum(low + k, np.maximum(high - 1, 0)), (weights / weights.sum(0)).astype(real))


Upsample.samples = [
    (((2, 3, 4),), {"taps": (linear(3, 5, False, None, "d"), nearest(4, 2, None, 0.0))}),
    (((1, 4),), {"taps": (cubic(4, 6, True, None, "d"),)}), (((1, 5),), {"taps": (smoothed(5, 3, False, None, "d", 2),)}),
]  # fmt: skip
_upsample: Primitive = Upsample()


# --- as users call it ---

_LABELS = {
    "nearest": "UpsampleNearest{}D", "nearest-exact": "UpsampleNearestExact{}D", "linear": "UpsampleLinear{}D",
    "bilinear": "UpsampleBilinear{}D", "trilinear": "UpsampleTrilinear{}D", "bicubic": "UpsampleBicubic{}D",
}  # fmt: skip
_RANKS = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2, "lanczos": 2}
_AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


@lru_cache(maxsize=64)
def _primitive(mode: str, rank: int, antialias: bool) -> Upsample:
    if antialias:
        return Upsample(f"Upsample{mode.capitalize()}2DAaBackward0")
    return Upsample(f"{_LABELS[mode].format(rank)}Backward0")


def _sizes(x: Tensor, size: Size, scale: Scale, recompute: bool) -> tuple[tuple[int, ...], Sequence[float | None]]:
    """The lengths asked for, and along each axis the scale if it is to be taken as it is given."""
    rank = x.ndim - 2
    old = tuple(x._shape[2:])
    if size is not None and scale is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        new = (size,) * rank if isinstance(size, (int, np.integer)) else tuple(size)
        if len(new) != rank:
            raise ValueError(
                "Input and output must have the same number of spatial dimensions, but got input with spatial dimensions "
                f"of {list(old)} and output size of {size}. Please provide input tensor in (N, C, d1, d2, ...,dK) format "
                "and output size in (o1, o2, ...,oK) format."
            )
        if not all(isinstance(n, (int, np.integer)) for n in new):
            raise TypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], but got size "
                f"with types {[type(n) for n in new]}"
            )
        return tuple(int(n) for n in new), [None] * rank
    if scale is None:
        raise ValueError("either size or scale_factor should be defined")
    scales: tuple[Any, ...] = tuple(scale) if isinstance(scale, (tuple, list)) else (scale,) * rank
    if len(scales) != rank:
        raise ValueError(
            "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial dimensions "
            f"of {list(old)} and scale_factor of shape {scale}. Please provide input tensor in (N, C, d1, d2, ...,dK) "
            "format and scale_factor in (s1, s2, ...,sK) format."
        )
    new = tuple(int(n * s) for n, s in zip(old, scales, strict=True))
    return new, [None] * rank if recompute else [float(s) for s in scales]


def interpolate(
    input: Tensor, size: Size = None, scale_factor: Scale = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """``input`` (n, channels, ...) with another number of points along the axes after the first two.

    The new lengths are ``size``, or ``scale_factor`` times the old ones.  ``mode`` says what stands at a new point: the
    "nearest" ("nearest-exact" without PyTorch's old shift) of the old ones; something between them, "linear",
    "bilinear", "trilinear" or "bicubic", for 1, 2, 3 and 2 axes; or their mean, "area".  With ``align_corners`` the
    outermost points, not the outer edges, lie on each other.  ``antialias`` ("bilinear", "bicubic", "lanczos") takes the
    mean of all that is left out where the result is smaller.  ValueError for options that do not go together,
    NotImplementedError for a mode that does not go with the number of axes.

    Source: ``torch.nn.functional.interpolate``.

    >>> import chainrule as torch
    >>> interpolate(torch.tensor([[[1.0, 2.0]]]), scale_factor=2, mode="linear")
    tensor([[[1.0000, 1.2500, 1.7500, 2.0000]]])
    """
    simple = mode in ("nearest", "nearest-exact", "area")
    if simple and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    new, scales = _sizes(input, size, scale_factor, bool(recompute_scale_factor) or (mode == "area" and size is None))
    rank = input.ndim - 2
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and rank == 2):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    _check_mode(mode, rank, bool(align_corners), antialias)
    if mode == "area":
        return _AREA[rank](input, new)
    if min(new) <= 0 or 0 in input._shape[1:]:
        raise explained(
            RuntimeError(
                "Input and output sizes should be greater than 0, but got input (" +
                ", ".join(f"{a}: {n}" for a, n in zip("DHW"[-rank:], input._shape[2:], strict=True)) + ") output (" +
                ", ".join(f"{a}: {n}" for a, n in zip("DHW"[-rank:], new, strict=True)) + ")"
                "\nOf nothing nothing can be made, and a scale must leave at least one point."
            )
        )  # fmt: skip
    refuse_kinds(input, "ciub" if mode not in ("nearest", "nearest-exact") else "cb", f"compute_indices_weights_{mode}")
    taps = []
    for n, m, scale in zip(input._shape[2:], new, scales, strict=True):
        if mode in ("nearest", "nearest-exact"):
            taps.append(nearest(n, m, scale, 0.5 if mode == "nearest-exact" else 0.0))
            continue
        given = (n, m, bool(align_corners), scale, input._dtype.char)
        if antialias:
            taps.append(smoothed(*given, {"bilinear": 2, "bicubic": 4, "lanczos": 6}[mode]))
        else:
            taps.append((cubic if mode == "bicubic" else linear)(*given))
    return _primitive(mode, rank, antialias)(input, taps=tuple(taps))


def _check_mode(mode: str, rank: int, align: bool, antialias: bool) -> None:
    if mode == "lanczos" and rank == 2:
        if align:
            raise ValueError("Lanczos mode does not support align_corners=True")
        if not antialias:
            raise ValueError("Lanczos mode requires antialias=True")
    if mode in ("linear", "bilinear", "trilinear") and 1 <= rank <= 3 and rank != _RANKS[mode]:
        raise NotImplementedError(f"Got {rank + 2}D input, but {mode} mode needs {_RANKS[mode] + 2}D input")
    known = mode in ("nearest", "nearest-exact", "area") or _RANKS.get(mode) == rank
    if not known or not 1 <= rank <= 3:
        raise explained(
            NotImplementedError(
                f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {rank + 2}D) for the modes: nearest | linear | "
                f"bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got {mode})"
                "\nThe first two axes are the batch and the channels, and there are no others."
            )
        )


def upsample(
    input: Tensor, size: Size = None, scale_factor: Scale = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """:func:`interpolate`, under its old name.  Source: ``torch.nn.functional.upsample``."""
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Size = None, scale_factor: Scale = None) -> Tensor:
    """:func:`interpolate` by the nearest point.  Source: ``torch.nn.functional.upsample_nearest``."""
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size: Size = None, scale_factor: Scale = None) -> Tensor:
    """Bilinear :func:`interpolate`, corners aligned.  Source: ``torch.nn.functional.upsample_bilinear``."""
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def _deprecated(name: str) -> None:
    warnings.warn(
        f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.", UserWarning, stacklevel=3
    )

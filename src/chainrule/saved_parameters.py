"""What PyTorch's nodes show besides the tensors they saved: dimensions, sizes, choices, from an operation's parameters.

Dimensions count from 0, where PyTorch's count as the caller did, a negative one from 2**64 downwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes, errors
from .device import device
from .errors import explained
from .node import Node
from .tensor import wrap

Shown = Callable[[Node], Any]


class InputMetadata:
    """What a node takes in a sweep: ``shape``, ``dtype`` and ``device`` of an output's gradient."""

    is_nested_tensor = is_cpp_nested_tensor = False

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape, self.dtype, self.device = dtypes.Size(shape), dtypes.from_numpy(dtype), device("cpu")


def _own(node: Node) -> tuple[tuple[int, ...], Any] | None:
    """The shape and dtype of the one output, where the node itself can tell."""
    prim, saved = node.prim, node.saved
    if prim is None or prim.outputs is not None or not saved:
        return None
    if hasattr(saved[0], "shape"):
        return tuple(saved[0].shape), saved[0].dtype
    if prim.broadcasts and (node.extra is None or node.extra.metas is None):  # entry by entry, all of one shape
        return next((found for i in range(len(prim.args)) if (found := node.takes(i)) is not None), None)
    return None


def input_metadata(node: Node) -> tuple[InputMetadata | None, ...]:
    """For each output of the operation what its gradient is; None if nobody has seen it, and it has left no trace."""
    seen = (None if node.extra is None else node.extra.outputs) or {}
    if 0 not in seen and (own := _own(node)) is not None:
        seen = {0: own, **seen}
    return tuple([InputMetadata(*seen[i]) if i in seen else None for i in range(node.count)])


_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}


def _param(name: str) -> Shown:
    return lambda node: node.params[name]


def _params(words: str) -> dict[str, Shown]:
    """Parameters by name, ``theirs=ours`` where PyTorch has another."""
    return {theirs: _param(ours or theirs) for theirs, _, ours in (w.partition("=") for w in words.split())}


def _constant(value: Any) -> Shown:
    return lambda node: value


def _rank(node: Node) -> int | None:
    """The number of dimensions of the first argument, where something says it."""
    for name, value in (node.params or {}).items():
        if name.endswith("_shape"):
            return len(value)
    for a in (node.saved or ())[1:2]:
        if a is not None:
            return len(a.shape)
    seen = None if node.extra is None else node.extra.outputs
    return len(seen[0][0]) if seen and 0 in seen and "keepdims" not in (node.params or {}) else None


def _wrapped(axis: int, rank: int | None) -> int:
    return axis if axis >= 0 or rank is None else axis + rank


def _axis(node: Node) -> int:
    """One dimension."""
    found, rank = node.params["axis"], _rank(node)
    if found == ():  # of a number
        return 0
    if rank is None and (node.saved or (None,))[0] is not None:
        rank = len(node.saved[0].shape)
    return _wrapped(found[0] if isinstance(found, tuple) else found, rank)


def _joined(node: Any) -> int:
    """The dimension along which tensors are put one after the other, or one upon the other."""
    return _wrapped(node.params["axis"], len(node.shapes[0]) + (node.rule.name == "Stack"))


def _axes(name: str = "axis", all_is_none: bool = False) -> Shown:
    def dims(node: Node) -> tuple[int, ...] | None:
        found, rank = node.params[name], _rank(node)
        dims = tuple([_wrapped(a, rank) for a in ((found,) if isinstance(found, int) else found)])
        return None if all_is_none and len(dims) in (0, rank) else dims

    return dims


def _indices(node: Node) -> Any:
    """The places that were chosen, in the shape of the result."""
    if node.saved is None:
        raise explained(RuntimeError(errors.freed_graph(node)))
    index = wrap(np.asarray(node.saved[-1]))
    return index if node.params.get("keepdims", True) else index.squeeze(node.params["axis"])


def _part(node: Node) -> tuple[int, Any]:
    """The dimension that a key is about, and what it asks of it."""
    key = node.params["key"]
    for i, k in enumerate(key):
        if k is not Ellipsis and not (isinstance(k, slice) and k == slice(None)):
            return i, k
    return 0, slice(None)


def _of_slice(field: str, otherwise: int) -> Shown:
    def found(node: Node) -> int:
        value = getattr(_part(node)[1], field)
        return otherwise if value is None else value

    return found


def _index_arrays(node: Node) -> tuple[Any, ...]:
    return tuple([wrap(k) if isinstance(k, np.ndarray) else None for k in node.params["key"] if k is not Ellipsis])


def _new_axis(node: Node) -> int:
    """Where an axis of length 1 came in, or went."""
    long, short = sorted((tuple(node.params["shape"]), tuple(node.params["x_shape"])), key=len, reverse=True)
    return next((i for i, (m, n) in enumerate(zip(long, short, strict=False)) if m != n), len(short))


def _exchanged(which: int) -> Shown:
    def found(node: Node) -> int:
        axes = node.params["axes"]
        moved = [i - len(axes) for i, a in enumerate(axes) if a != i - len(axes)] or [-1, -1]
        return moved[which] + len(axes)

    return found


def _sizes(place: int) -> Shown:
    def found(node: Node) -> Any:
        a = (node.saved or (None,) * (place + 1))[place]
        return None if a is None else tuple(a.shape)

    return found


def _strides(place: int) -> Shown:
    def found(node: Node) -> Any:
        a = (node.saved or (None,) * (place + 1))[place]
        return None if a is None else tuple([s // a.itemsize for s in a.strides])

    return found


def _grid(words: str) -> dict[str, Shown]:
    def field(name: str) -> Shown:
        return lambda node: getattr(node.params["grid"], name)

    return {theirs: field(ours or theirs) for theirs, _, ours in (w.partition("=") for w in words.split())}


_MODES: dict[Any, int] = {
    "bilinear": 0, "nearest": 1, "bicubic": 2, "zeros": 0, "border": 1, "reflection": 2, False: False, True: True,
}  # fmt: skip


def _how(place: int) -> Shown:
    return lambda node: _MODES[node.params["how"][place]]


def _normalization(node: Node) -> int:
    """0 for no factor, 1 for the root of n, 2 for n."""
    back = node.params.get("inverse", "n" in node.params)
    return {"ortho": 1, "forward": 0 if back else 2, "backward": 2 if back else 0}[node.params["norm"]]


def _numel(node: Node) -> int:
    return math.prod(node.params["x_shape"])


def _classes(node: Node) -> Any:
    """The targets of a loss, one per sample."""
    if node.saved is None:
        raise explained(RuntimeError(errors.freed_graph(node)))
    return wrap(np.asarray(node.saved[2])[..., 0])


def _each(names: tuple[str, ...], shown: Any) -> dict[str, Any]:
    return {name: shown for name in names}  # noqa: C420


_over = {"dim": _axes(), "keepdim": _param("keepdims")}
_spread = {"dim": _axes(all_is_none=True), "keepdim": _param("keepdims")}
_along: dict[str, Shown] = {"dim": _axis}
_chosen = {**_along, "indices": _indices}
_reduced = {"reduction": lambda node: _REDUCTIONS[node.params["reduction"]]}
_select = {"dim": lambda node: _part(node)[0], "index": lambda node: _part(node)[1]}
_fft = {"dim": _axes("axes"), "normalization": _normalization}
_rows = {"dim": _select["dim"], "index": lambda node: wrap(np.asarray(_part(node)[1]))}
_slice = {
    "dim": lambda node: _part(node)[0], "start": _of_slice("start", 0), "end": _of_slice("stop", 2**63 - 1),
    "step": _of_slice("step", 1),
}  # fmt: skip

# By the name of the node: what is shown, and how it is found.
PARAMETERS: dict[str, dict[str, Shown]] = {
    **_each(("SumBackward1", "AmaxBackward0", "AminBackward0", "LogsumexpBackward0"), _over),
    "MeanBackward1": {**_over, "self_sym_numel": _numel},
    "ProdBackward1": {"dim": _axis, "keepdim": _param("keepdims")},
    **_each(("VarBackward0", "StdBackward0"), {**_spread, "correction": _param("correction")}),
    "LinalgVectorNormBackward0": {**_spread, **_params("ord=order")},
    "NormBackward1": {**_spread, **_params("p=order")},
    "NansumBackward0": _spread,
    **{
        f"{name}Backward0": _params(words) for name, words in {
            "ChannelShuffle": "groups", "Cdist": "p", "CtcLoss": "blank", "Elu": "scale input_scale", "Logit": "eps",
            "Hardtanh": "min_val=low max_val=high", "Mvlgamma": "p", "PixelShuffle": "upscale_factor=r", "Polygamma": "n",
            "PixelUnshuffle": "downscale_factor=r", "Repeat": "repeats", "Tril": "diagonal", "Triu": "diagonal",
            "AsStrided": "size stride", "Diagonal": "offset",
        }.items()
    },
    "ConstantPadNdBackward0": {"pad": lambda node: tuple([n for w in reversed(node.params["widths"]) for n in w])},
    "EmbeddingBackward0": {
        **_params("padding_idx=padding scale_grad_by_freq=average"), "sparse": _constant(False),
        "weight_sym_argsize_0": lambda node: node.params["weight_shape"][0],
    },
    "FftC2CBackward0": {**_fft, "forward": lambda node: not node.params["inverse"]},
    "FftR2CBackward0": {**_fft, **_params("onesided")},
    "FftC2RBackward0": _fft,
    "GatherBackward0": {**_along, "sparse_grad": _constant(False)},
    **_each(
        ("GridSampler2DBackward0", "GridSampler3DBackward0"),
        {"interpolation_mode": _how(0), "padding_mode": _how(1), "align_corners": _how(2)},
    ),
    "Im2ColBackward0": _grid("kernel_size=kernel stride padding dilation"),
    "IndexCopyBackward0": _rows,
    "IndexPutBackward0": {"indices": _index_arrays, "accumulate": _constant(False)},
    "TakeBackward0": {"index": _rows["index"]},
    "RollBackward0": {"shifts": _param("shift"), "dims": _axes()},
    "SplitBackward0": {"dim": _select["dim"]},
    "SplitWithSizesBackward0": {"dim": _select["dim"]},
    "UnfoldBackward0": {"dimension": _axis, **_params("size step")},
    "MeanBackward0": {"self_sym_numel": _numel},
    **_each(
        ("SoftmaxBackward0", "LogSoftmaxBackward0", "CumsumBackward0", "CumprodBackward0", "LogcumsumexpBackward0"), _along
    ),
    **_each(("CatBackward0", "StackBackward0"), {"dim": _joined}),
    **_each(("SortBackward0", "TopkBackward0", "CummaxBackward0", "CumminBackward0"), _chosen),
    **_each(
        ("MaxBackward0", "MinBackward0", "KthvalueBackward0", "MedianBackward1", "NanmedianBackward1", "ModeBackward0"),
        {**_chosen, "keepdim": _param("keepdims")},
    ),
    "PermuteBackward0": {"dims": lambda node: tuple([a % len(node.params["axes"]) for a in node.params["axes"]])},
    "TransposeBackward0": {"dim0": _exchanged(0), "dim1": _exchanged(1)},
    "FlipBackward0": {"dims": _axes()},
    "UnsqueezeBackward0": {"dim": _new_axis},
    "SqueezeBackward1": {"dim": _new_axis},
    "SelectBackward0": _select,
    "SelectScatterBackward0": _select,
    "SliceBackward0": _slice,
    "SliceScatterBackward0": _slice,
    "UnbindBackward0": {"dim": _select["dim"]},
    "IndexBackward0": {"indices": _index_arrays},
    "IndexSelectBackward0": _rows,
    **_each(("AddcmulBackward0", "AddcdivBackward0"), {"value": _param("value")}),
    "AddBackward0": {"alpha": _constant(1)},
    "SubBackward0": {"alpha": _constant(1)},
    "MmBackward0": {
        "self_sym_sizes": _sizes(1), "mat2_sym_sizes": _sizes(2), "self_sym_strides": _strides(1),
        "mat2_sym_strides": _strides(2),
    },
    **_each(("MseLossBackward0", "SmoothL1LossBackward0", "HuberLossBackward0"), _reduced),
    **_each(("BinaryCrossEntropyBackward0", "BinaryCrossEntropyWithLogitsBackward0"), _reduced),
    "NllLossBackward0": {**_reduced, "target": _classes},
    "GeluBackward0": {"approximate": lambda node: "tanh" if node.prim.name == "GeluTanh" else "none"},
    "LeakyReluBackward0": {"negative_slope": _param("slope")},
    "ConvolutionBackward0": {**_grid("stride padding dilation"), **_params("groups")},
}  # fmt: skip

# What is saved here, and not by PyTorch.
HIDDEN: dict[str, tuple[str, ...]] = {
    "Unsqueeze": ("self_sym_sizes",), "Unbind": ("self_sym_sizes",), "ChannelShuffle": ("self_sym_sizes",),
    "AsStrided": ("self_sym_sizes",), "Fmax": ("result",), "Fmin": ("result",), "Copysign": ("other",),
    "Polar": ("angle",), "Xlogy": ("result",), "Logaddexp": ("result",), "Logaddexp2": ("result",),
    "SpecialXlog1Py": ("result",), "Div": ("result",), "CtcLoss": ("lengths", "counts"),
    "NllLoss": ("weight", "logp_sym_sizes"), "Embedding": ("weight_sym_sizes",), "Glu": ("self", "other"),
    "Erfinv": ("result",), "Cummax": ("index", "self_sym_sizes"),
    "Cummin": ("index", "self_sym_sizes"), **_each(
        ("Max", "Min", "Sort", "Topk", "Kthvalue", "Median", "Nanmedian", "Mode"), ("index",)
    ), **_each(
        ("Gather", "Take", "MaskedSelect", "MaskedScatter", "FftR2C", "IndexCopy", "Put"), ("self_sym_sizes",)
    ), **_each(
        ("AdaptiveMaxPool2D", "AdaptiveMaxPool3D", "MaxPool2DWithIndices", "MaxPool3DWithIndices"), ("result",)
    ),
}  # fmt: skip

"""Single operations against PyTorch eager, forward: at 10 elements, where calling is what costs, and at a million."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from compare import Row, race

UNARY = """abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor frac
isfinite isinf isnan lgamma log log10 log1p log2 logical_not logit nan_to_num neg positive rad2deg reciprocal relu round
rsqrt sigmoid sign signbit sin sinc sinh sqrt square tan tanh trunc"""
BINARY = """add atan2 copysign div eq fmax fmin fmod ge gt hypot le logaddexp lt maximum minimum mul ne pow remainder sub
xlogy"""
FUNCTIONAL = """celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu6 selu silu softplus
softshrink softsign tanhshrink"""
REDUCTIONS = """all amax amin any argmax argmin count_nonzero logsumexp max mean median min nansum norm prod std sum
var"""
ALONG = "cummax cumprod cumsum logcumsumexp softmax log_softmax sort argsort flip diff"
POSITIVE = {"acosh", "digamma", "lgamma", "log", "log10", "log1p", "log2", "pow", "rsqrt", "sqrt", "xlogy"}
BETWEEN = {"acos", "asin", "atanh", "erfinv", "logit"}  # 0 and 1
DIM = {"logsumexp", "argmax", "argmin"}

# Slower than PyTorch by more than 1.5 times at a million elements, or slower at 10, and why.
EXCEPTIONS: dict[str, str] = {}


def tasks(n: int) -> Iterator[tuple[str, Callable[[Any], Callable[[], Any]]]]:
    """Each operation as what makes, for a library, a function that runs it."""
    rng = np.random.default_rng(0)
    plain = rng.standard_normal(n).astype(np.float32)
    other = rng.standard_normal(n).astype(np.float32)
    unit = rng.uniform(0.01, 0.99, n).astype(np.float32)
    side = max(2, int(n**0.5))
    matrix = rng.standard_normal((side, side)).astype(np.float32)
    places = rng.integers(0, n, n)

    def array(name: str) -> Any:
        return unit if name in BETWEEN else np.abs(plain) + 1 if name in POSITIVE else plain

    def call(f: str, *arrays: Any, **options: Any) -> Callable[[Any], Callable[[], Any]]:
        def of(T: Any) -> Callable[[], Any]:
            function: Any = T
            for part in f.split("."):
                function = getattr(function, part)
            tensors = [T.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in arrays]
            return lambda: function(*tensors, **options)

        return of

    for name in UNARY.split():
        yield name, call(name, array(name))
    for name in BINARY.split():
        yield name, call(name, array(name), np.abs(other) + 1 if name in POSITIVE else other)
    for name in FUNCTIONAL.split():
        yield name, call(f"nn.functional.{name}", plain)
    for name in REDUCTIONS.split():
        yield name, call(name, plain, **({"dim": 0} if name in DIM else {}))
        if name not in ("median", "norm", "any", "all", "count_nonzero", "max", "min", "prod"):
            yield f"{name}, rows", call(name, matrix, dim=1)
    for name in ALONG.split():
        options = {"dims": (0,)} if name == "flip" else {} if name == "diff" else {"dim": 0}
        yield name, call(name, plain, **options)
    yield "where", call("where", plain > 0, plain, other)
    yield "clamp", call("clamp", plain, -1.0, 1.0)
    yield "lerp", call("lerp", plain, other, 0.3)
    yield "addcmul", call("addcmul", plain, other, unit)
    yield "masked_fill", call("masked_fill", plain, plain > 0, 0.0)
    yield "gather", call("gather", plain, 0, places)
    yield "index_select", call("index_select", plain, 0, places)
    yield "take", call("take", plain, places)
    yield "scatter_add", call("scatter_add", plain, 0, places, other)
    yield "index_add", call("index_add", plain, 0, places, other)
    yield "cat", _joined("cat", plain, other)
    yield "stack", _joined("stack", plain, other)
    yield "topk", call("topk", plain, min(10, n))
    yield "unique", call("unique", places)
    yield "bincount", call("bincount", places)
    yield "searchsorted", call("searchsorted", np.sort(plain), other)
    yield "matmul", call("matmul", matrix[:512, :512], matrix[:512, :512])
    yield "matmul, vector", call("matmul", matrix, matrix[0])
    yield "transpose, contiguous", lambda T: (lambda x: lambda: x.t().contiguous())(T.from_numpy(matrix.copy()))
    yield "randn", lambda T: lambda: T.randn(n)
    yield "randint", lambda T: lambda: T.randint(0, 100, (n,))
    for name in ("huber_loss", "smooth_l1_loss", "binary_cross_entropy"):
        yield name, call(f"nn.functional.{name}", unit, np.roll(unit, 1))
    yield "mse_loss", call("nn.functional.mse_loss", plain, other)
    yield "layer_norm", call("nn.functional.layer_norm", matrix, (side,))
    images = rng.standard_normal((4, 8, 32, 32) if n > 1000 else (1, 1, 4, 4)).astype(np.float32)
    kernels = rng.standard_normal((16, 8, 3, 3) if n > 1000 else (1, 1, 3, 3)).astype(np.float32)
    yield "conv2d", call("nn.functional.conv2d", images, kernels)
    channels = images.shape[1]
    yield "conv2d, depthwise", call("nn.functional.conv2d", images, kernels[:channels, :1].copy(), groups=channels)
    yield "group_norm", call("nn.functional.group_norm", images, max(1, channels // 4))
    yield "max_pool2d", call("nn.functional.max_pool2d", images, 2)
    grid = rng.uniform(-1, 1, (len(images), *images.shape[2:], 2)).astype(np.float32)
    yield "grid_sample", call("nn.functional.grid_sample", images, grid, align_corners=False)
    heads = rng.standard_normal((2, 4, 128, 32) if n > 1000 else (1, 1, 3, 4)).astype(np.float32)
    yield "attention", call("nn.functional.scaled_dot_product_attention", heads, heads, heads)


def _joined(name: str, *arrays: Any) -> Callable[[Any], Callable[[], Any]]:
    def of(T: Any) -> Callable[[], Any]:
        tensors = [T.from_numpy(a.copy()) for a in arrays]
        return lambda: getattr(T, name)(tensors)

    return of


def rows(smoke: bool) -> Iterator[Row]:
    """The figures; at size 10, once, for ``smoke``."""
    import torch

    import chainrule

    for n, goal in ((10, 1.0),) if smoke else ((10, 1.0), (1_000_000, 1 / 1.5)):
        for name, of in tasks(n):
            times = race({"ours": of(chainrule), "torch": of(torch)}, 1 if smoke else 7, 0.0 if smoke else 0.01)
            why = EXCEPTIONS.get(f"{name} {n}", "")
            yield Row(f"{name}, n = {n:,}", times["ours"], times["torch"], 0 if why else goal, why)

"""Single operations against PyTorch eager: at 10 elements, where calling is what costs, with the sweep back too; at a million."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator
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

# Slower than PyTorch: at 10 elements, or by more than 1.5 times at a million; why; and what each is not to fall below: half
# of what was measured, or at a million a quarter of what was measured beside one thread of PyTorch's.
REASONS_10 = {
    "NumPy's own call takes about as long as all of PyTorch's: 0.2 to 0.4 us, and 0.3 around it": """
        add:.32 sub:.29 mul:.52 div:.47 pow:.47 maximum:.49 minimum:.47 eq:.43 ne:.41 lt:.17 le:.42 gt:.49 ge:.42
        relu:.39 reciprocal:.53 square:.57 frac:.45 round:.36 rsqrt:.46 exp2:.3 isnan:.47 log1p:.5 logical_not:.44
        hypot:.52 fmin:.35 fmax:.35 fmod:.41 remainder:.28 copysign:.47 logaddexp:.6 signbit:.29 erf:.2 atan2:.43
        lgamma:.32 addcmul:.2 lerp:.19 positive:.3 floor:.57 ceil:.31 trunc:.34 sign:.17 erfc:.29 erfinv:.47""",
    "a reduction, a product or a search of NumPy's is a call of 0.8 to 3 us": """
        sum:.21 mean:.52 prod:.17 amax:.18 amin:.17 max:.24 min:.14 std:.14 var:.07 norm:.34 all:.28 any:.56
        argmax:.12 argmin:.13 logsumexp:.52 count_nonzero:.035 median:.075 nansum:.17 matmul:.1 sort:.2 argsort:.21
        topk:.07 unique:.19 bincount:.13 searchsorted:.17 cumsum:.18 cumprod:.15 cummax:.095 logcumsumexp:.27
        flip:.17 transpose:.21""",
    "several calls of NumPy's, one PyTorch kernel": """
        sigmoid:.18 silu:.26 mish:.15 elu:.21 celu:.2 selu:.1 softplus:.12 softshrink:.14 hardshrink:.1
        hardsigmoid:.14 hardswish:.14 hardtanh:.3 relu6:.15 leaky_relu:.17 clamp:.23 where:.13 masked_fill:.14
        nan_to_num:.16 sinc:.075 xlogy:.12 logit:.29 logsigmoid:.16 digamma:.15 softmax:.12 log_softmax:.12 layer_norm:.14
        group_norm:.07 huber_loss:.34 smooth_l1_loss:.28 binary_cross_entropy:.18 mse_loss:.71 diff:.08 cat:.065
        stack:.17 conv2d:.1 max_pool2d:.25 attention:.045""",
    "indices are looked at first, for an error that names the wrong one, and written to by calls of 1 to 3 us": """
        gather:.1 index_select:.09 take:.11 scatter_add:.09 index_add:.06""",
    "random numbers are those of PyTorch's generator, made of NumPy's": "randn:.06 randint:.07",
    "its neighbours are looked for by some forty calls of NumPy's": "grid_sample:.01",
}
REASONS_1E6 = {
    "ten to fifty passes of NumPy's, block by block, for one of PyTorch's": """
        erf:.14 erfc:.08 erfinv:.21 gelu:.083 lgamma:.13 digamma:.26 logaddexp:.21 remainder:.13 fmod:.11""",
    "a few passes of NumPy's for one of PyTorch's": """
        sigmoid:.1 silu:.085 elu:.15 celu:.15 selu:.13 softplus:.18 logsigmoid:.17 softmax:.16 log_softmax:.16
        hardshrink:.087 softshrink:.12 hardsigmoid:.1 hardswish:.08 leaky_relu:.14 hardtanh:.2 relu6:.2 relu:.24
        clamp:.23 huber_loss:.1 smooth_l1_loss:.1 mse_loss:.18 layer_norm:.12 group_norm:.08 frac:.11 sign:.11
        copysign:.12 lerp:.14 addcmul:.15 hypot:.19 logit:.18 rsqrt:.15 nan_to_num:.14 count_nonzero:.14 diff:.24
        max_pool2d:.2 logsumexp:.25 softsign:.28 xlogy:.32 masked_fill:.24 var:.34""",
    "NumPy's loop takes one number after the other": """
        cumsum:.15 cumprod:.062 cummax:.1 logcumsumexp:.22 searchsorted:.18 unique:.17 flip:.087 exp2:.2 sort:.21
        argsort:.21 topk:.22""",
    "products of all others, exact through zeros and underflow, in log(n) steps": "prod:.045",
    "NumPy runs on one thread, PyTorch on all": """
        sum:.17 mean:.21 amax:.15 amin:.13 norm:.28 std:.35 nansum:.2 reciprocal:.24 neg:.26 floor:.26 square:.25
        deg2rad:.25 rad2deg:.27 div:.26 cat:.22 stack:.21 transpose:.14 index_select:.15 gather:.27 take:.28
        scatter_add:.11 index_add:.14 bincount:.19 minimum:.18 maximum:.19 positive:.24 add:.25 sub:.27 mul:.26
        ceil:.26 abs:.28 round:.29 sqrt:.29 cos:.3 sin:.33 log1p:.32""",
    "random numbers are those of PyTorch's generator, made of NumPy's": "randn:.043 randint:.19",
    "its neighbours are looked for by some forty calls of NumPy's": "grid_sample:.043",
    "a product of matrices for each head, and passes over all of them": "attention:.18 conv2d:.12 matmul:.23",
}


def why(name: str, n: int) -> tuple[str, float]:
    """The reason that an operation may be slower, and how much; or nothing, and the goal of all others."""
    base = name.partition(",")[0]
    for reason, names in (REASONS_10 if n == 10 else REASONS_1E6).items():
        for entry in names.split():
            listed, _, floor = entry.partition(":")
            if listed == base:
                return reason, float(floor)
    return "", 1.0 if n == 10 else 1 / 1.5


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


class Tracked:
    """A library whose tensors of floats require grad."""

    def __init__(self, T: Any) -> None:
        self.T = T

    def __getattr__(self, name: str) -> Any:
        return getattr(self.T, name)

    def from_numpy(self, a: Any) -> Any:
        t = self.T.from_numpy(a)
        return t.requires_grad_() if a.dtype.kind == "f" else t


def swept(of: Callable[[Any], Callable[[], Any]], T: Any) -> Callable[[], Any] | None:
    """The operation and the sweep back through it; None if it has no gradient."""
    f = of(Tracked(T))

    def first() -> Any:
        y = f()
        return y if isinstance(y, T.Tensor) else y[0]

    y = first()
    if not y.requires_grad:
        return None
    ones = T.ones(tuple(y.shape))
    return lambda: first().backward(ones)


def rows(smoke: bool, only: Collection[str] = (), sizes: Collection[int] = (10, 1_000_000)) -> Iterator[Row]:
    """The figures, of the operations named ``only`` if any are; at size 10, once, for ``smoke``.

    Each library runs on as many threads as it takes by itself, unless ``--threads`` said otherwise: PyTorch on all
    cores, NumPy on one but for products of matrices.
    """
    import torch

    import chainrule

    for n in (10,) if smoke else sizes:
        for name, of in tasks(n):
            if only and name.partition(",")[0] not in only:
                continue
            reason, goal = why(name, n)
            rounds = (1, 0.0) if smoke else (7, 0.01)
            times = race({"ours": of(chainrule), "torch": of(torch)}, *rounds)
            yield Row(f"{name}, n = {n:,}", times["ours"], times["torch"], goal, reason)
            if (ours := swept(of, chainrule)) and (theirs := swept(of, torch)):
                times = race({"ours": ours, "torch": theirs}, *rounds)
                yield Row(f"{name}, and backward", times["ours"], times["torch"], goal, reason)


def main() -> None:
    """``python benchmarks/operations.py [names...] [--n 1000000] [--threads 1]``: some of the figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, help="of PyTorch; all cores unless given")
    options = parser.parse_args()
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    for row in rows(False, options.names, (options.n,)):
        print(row, flush=True)


if __name__ == "__main__":
    main()

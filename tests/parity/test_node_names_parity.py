"""The nodes behind results have PyTorch's names, over its database of operations."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from op_db import op_db
from sides import Missing, Side, carried, counterpart

import chainrule as cr

# Where PyTorch's last step is another one: what it computes by several operations is one here, or several others.
OTHERWISE = {
    "matrix products of more than two dimensions": {
        "matmul", "__rmatmul__", "linalg.matrix_power", "linalg.multi_dot", "nn.functional.linear", "svd_lowrank",
        "pca_lowrank", "einsum", "kron", "nn.functional.scaled_dot_product_attention", "linalg.vecdot",
        "nn.functional.multi_head_attention_forward",
    },
    "one dimension as two": {
        "nn.functional.adaptive_avg_pool1d", "nn.functional.adaptive_max_pool1d", "nn.functional.avg_pool1d",
        "nn.functional.interpolate", "nn.functional.max_pool1d", "nn.functional.max_unpool1d", "nn.functional.dropout3d",
    },
    "formulas of PyTorch's own": {
        "cov", "diff", "stft", "quantile", "nanquantile", "nn.functional.cross_entropy",
        "nn.functional.linear_cross_entropy", "nn.functional.instance_norm", "trapz", "trapezoid",
        "cumulative_trapezoid", "norm", "linalg.norm", "linalg.cond", "linalg.matrix_norm", "linalg.vander",
        "linalg.tensorinv", "special.ndtr", "repeat_interleave", "nn.functional.pad", "_native_batch_norm_legit",
        "nn.functional.batch_norm", "round", "normal", "cdist",
    },
    "views of numbers, or of nothing": {
        "gather", "index_fill", "index_select", "scatter", "unfold", "unfold_copy", "sum_to_size", "ravel",
        "nn.functional.pdist", "linalg.householder_product", "ormqr", "linalg.lstsq",
    },
    "layouts of memory": {"to", "double", "cdouble"},
    "written as x - y": {"__rsub__"},
}  # fmt: skip
NOT_COMPARED = frozenset().union(*OTHERWISE.values())


@pytest.mark.parametrize("op", [op for op in op_db if op.supports_autograd], ids=lambda op: op.formatted_name)
def test_names(op: Any, own_generator: None) -> None:
    if op.name in NOT_COMPARED or torch.float64 not in op.supported_dtypes("cpu"):
        return
    try:
        f = counterpart(op)
    except Missing:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sample in itertools.islice(op.sample_inputs("cpu", torch.float64, requires_grad=True), 6):
            try:
                theirs = Side(torch).leaves(op.op(sample.input, *sample.args, **sample.kwargs))
                first, args, kwargs = carried((sample.input, sample.args, sample.kwargs))
                ours = Side(cr).leaves(f(first, *args, **kwargs))
            except Exception:
                continue  # values are compared elsewhere
            for a, b in zip(theirs, ours, strict=False):
                if isinstance(a, torch.Tensor) and a.grad_fn is not None and isinstance(b, cr.Tensor):
                    assert b.grad_fn is not None
                    assert b.grad_fn.name() == a.grad_fn.name()

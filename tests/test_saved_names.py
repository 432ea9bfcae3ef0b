"""What nodes show of what they saved, ``grad_fn._saved_*``, has PyTorch's names and values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from both import T

__all__ = ["T"]

SHOWN: dict[str, Any] = {
    "x.sum(1)": {"dim": (1,), "keepdim": False, "self_sym_sizes": (3, 4)},
    "x.mean(0, keepdim=True)": {"dim": (0,), "keepdim": True, "self_sym_sizes": (3, 4)},
    "x.prod(1)": {"dim": 1, "keepdim": False},
    "x.amax((0, 1))": {"dim": (0, 1), "keepdim": False},
    "x.logsumexp(1)": {"dim": (1,), "keepdim": False},
    "x.var(1)": {"dim": (1,), "correction": 1, "keepdim": False},
    "x.norm(2, 1)": {"dim": (1,), "keepdim": False},
    "x.softmax(1)": {"dim": 1},
    "x.log_softmax(0)": {"dim": 0},
    "x.cumprod(1)": {"dim": 1},
    "x.max(1).values": {"dim": 1, "keepdim": False, "indices": [3, 3, 3]},
    "x.min(0, keepdim=True).values": {"dim": 0, "keepdim": True, "indices": [[0, 0, 0, 0]]},
    "x.kthvalue(2, 1).values": {"dim": 1, "indices": [1, 1, 1]},
    "x.sort(1, descending=True).values": {"dim": 1, "indices": [[3, 2, 1, 0]] * 3},
    "x.topk(1, 1).values": {"dim": 1, "indices": [[3]] * 3},
    "T.stack([x, x], 2)": {"dim": 2},
    "T.cat([x, x], 1)": {"dim": 1},
    "x.unsqueeze(1)": {"dim": 1},
    "x[:, None].squeeze(1)": {"dim": 1},
    "x.transpose(0, 1)": {"dim0": 0, "dim1": 1},
    "x.permute(1, 0)": {"dims": (1, 0)},
    "x.flip(1)": {"dims": (1,)},
    "x[1]": {"dim": 0, "index": 1, "self_sym_sizes": (3, 4)},
    "x[:, 1:3]": {"dim": 1, "start": 1, "end": 3, "step": 1},
    "x[::2]": {"dim": 0, "start": 0, "end": 2**63 - 1, "step": 2},
    "x.unbind(1)[0]": {"dim": 1},
    "x + x": {"alpha": 1},
    "x.add(x, alpha=3)": {"alpha": 3},
    "x - 1": {"alpha": 1},
    "x @ x.t()": {"self_sym_sizes": (3, 4), "mat2_sym_sizes": (4, 3)},
    "T.addcmul(x, x, x, value=2)": {"value": 2},
    "x.index_select(1, T.tensor([0, 2]))": {"dim": 1, "index": [0, 2]},
    "T.nn.functional.gelu(x)": {"approximate": "none"},
    "T.nn.functional.leaky_relu(x)": {"negative_slope": 0.01},
    "T.nn.functional.elu(x)": {"alpha": 1, "scale": 1, "input_scale": 1},
    "T.nn.functional.mse_loss(x, x.detach(), reduction='sum')": {"reduction": 2},
    "T.nn.functional.nll_loss(x, T.tensor([0, 1, 2]))": {"reduction": 1, "target": [0, 1, 2]},
    "T.nn.functional.conv2d(x[None, None], T.ones(1, 1, 2, 2, requires_grad=True), padding=1)": {
        "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1,
    },
    "x.masked_fill(x > 2, 0.0)": {"mask": [[False] * 3 + [True], [True] * 4, [True] * 4]},
    "x[T.tensor([0, 1])]": {"indices": None, "self_sym_sizes": (3, 4)},
    "x.clamp(0, 1)": {"min": 0, "max": 1},
    "x.mean()": {"self_sym_numel": 12},
    "x.nansum(1)": {"dim": (1,), "keepdim": False},
    "T.linalg.vector_norm(x, 3)": {"ord": 3},
    "x.mm(x.t())": {"self_sym_strides": (4, 1), "mat2_sym_strides": (1, 4)},
    "x.gather(1, T.zeros(3, 1, dtype=T.int64))": {"dim": 1, "sparse_grad": False, "index": [[0], [0], [0]]},
    "x.index_copy(1, T.tensor([0, 2]), T.ones(3, 2))": {"dim": 1, "index": [0, 2]},
    "x.take(T.tensor([3, 5]))": {"index": [3, 5]},
    "x.roll(2, 1)": {"shifts": (2,), "dims": (1,)},
    "x.unfold(1, 3, 1)": {"dimension": 1, "size": 3, "step": 1},
    "x.repeat(2, 3)": {"repeats": (2, 3)},
    "x.tril(1)": {"diagonal": 1},
    "x.diagonal(1)": {"offset": 1},
    "x.split(2, 1)[0]": {"dim": 1},
    "x.as_strided((2, 2), (1, 2))": {"size": (2, 2), "stride": (1, 2)},
    "x.logit(0.1)": {"eps": 0.1},
    "x.polygamma(2)": {"n": 2},
    "T.nn.functional.hardtanh(x, -2.0, 3.0)": {"min_val": -2.0, "max_val": 3.0},
    "T.nn.functional.pad(x, (1, 2, 3, 4))": {"pad": (1, 2, 3, 4)},
    "T.nn.functional.pixel_shuffle(x.reshape(1, 12, 1, 1), 2)": {"upscale_factor": 2},
    "T.nn.functional.unfold(x[None, None], 2, padding=1)": {
        "kernel_size": (2, 2), "padding": (1, 1), "stride": (1, 1), "dilation": (1, 1),
    },
    "T.nn.functional.grid_sample(x[None, None], T.zeros(1, 2, 2, 2), 'nearest', 'border', False)": {
        "interpolation_mode": 1, "padding_mode": 1, "align_corners": False,
    },
    "T.nn.functional.embedding(T.tensor([1, 0]), x, padding_idx=2)": {
        "padding_idx": 2, "scale_grad_by_freq": False, "sparse": False, "weight_sym_argsize_0": 3, "indices": [1, 0],
    },
    "T.nn.functional.binary_cross_entropy_with_logits(x, T.ones(3, 4))": {
        "reduction": 1, "weight": None, "pos_weight": None,
    },
    "T.fft.fft(x.to(T.complex64), norm='ortho')": {"dim": (1,), "normalization": 1, "forward": True},
    "T.fft.rfft(x, dim=0)": {"dim": (0,), "normalization": 0, "onesided": True},
    "T.nn.functional.selu(x)": {"scale": 1.0507009873554805, "input_scale": 1},
}  # fmt: skip
NOT_THERE = {
    "x.unsqueeze(1)": "self_sym_sizes",
    "x.max(1).values": "index",
    "x.sum()": "dim",
    "x / x": "result",
    "((x + x).grad_fn, x.scatter_add(0, T.zeros(1, 4, dtype=T.int64), x))[1]": "alpha",
}


@pytest.mark.parametrize("expression", SHOWN)
def test_values(T: Any, expression: str) -> None:
    if "polygamma" in expression:
        pytest.importorskip("scipy")
    x = T.arange(12.0).reshape(3, 4).requires_grad_()
    node = eval(expression, {"x": x, "T": T}).grad_fn
    for name, expected in SHOWN[expression].items():
        found = getattr(node, f"_saved_{name}")
        if name == "indices" and expected is None:
            assert isinstance(found, tuple)
            assert found[0].tolist() == [0, 1]
        elif isinstance(expected, list):
            np.testing.assert_array_equal(found.numpy(), expected)
        else:
            assert found == expected
            assert type(found) is type(expected) or isinstance(expected, int | float | tuple)


@pytest.mark.parametrize("expression", NOT_THERE)
def test_what_is_not_shown(T: Any, expression: str) -> None:
    x = T.arange(12.0).reshape(3, 4).requires_grad_()
    assert not hasattr(eval(expression, {"x": x, "T": T}).grad_fn, f"_saved_{NOT_THERE[expression]}")


def test_after_backward(T: Any) -> None:
    y = T.arange(4.0, requires_grad=True).max(0).values
    node = y.grad_fn
    y.backward()
    assert node._saved_dim == 0
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        _ = node._saved_indices


def test_what_a_node_takes(T: Any) -> None:
    x = T.arange(12.0).reshape(3, 4).requires_grad_()
    node = ((x.exp() @ T.ones(4, 2)).sin() * 2).sum(1).grad_fn
    seen = []
    while hasattr(node, "next_functions") and "Accumulate" not in node.name():
        (meta,) = node._input_metadata
        seen.append((node.name(), tuple(meta.shape)))
        assert str(meta.dtype) == "torch.float32"
        assert str(meta.device) == "cpu"
        assert not meta.is_nested_tensor
        node = node.next_functions[0][0]
    assert seen == [("SumBackward1", (3,)), ("MulBackward0", (3, 2)), ("SinBackward0", (3, 2)), ("MmBackward0", (3, 2)),
                    ("ExpBackward0", (3, 4))]  # fmt: skip
    _, second = T.linalg.slogdet(x[:, :3] + T.eye(3))
    assert [tuple(m.shape) for m in second.grad_fn._input_metadata if m is not None][-1] == ()
    assert tuple(x.sum().grad_fn.next_functions[0][0]._input_metadata[0].shape) == (3, 4)

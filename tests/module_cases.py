"""Layers after a seed: their text, their weights, what they give for an input, and the gradients.

``tools/record_golden.py`` writes down what PyTorch gives; ``tests/test_modules_recorded.py`` compares.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Case = tuple[Callable[[Any], Any], list[tuple[int, ...]]]

CASES: dict[str, Case] = {
    "conv1d": (lambda n: n.Conv1d(2, 3, 4, padding="same", dilation=2, padding_mode="circular"), [(2, 7)]),
    "conv2d": (lambda n: n.Conv2d(2, 4, (3, 1), 2, 1, groups=2, padding_mode="reflect"), [(2, 2, 5, 6)]),
    "conv3d": (lambda n: n.Conv3d(1, 2, 2, bias=False), [(1, 1, 3, 3, 3)]),
    "transposed": (lambda n: n.ConvTranspose2d(2, 2, 3, (2, 1), 1, (1, 0)), [(1, 2, 3, 2)]),
    "batch": (lambda n: n.BatchNorm1d(3), [(4, 3)]),
    "batch, evaluated": (lambda n: n.BatchNorm2d(2, momentum=None).eval(), [(2, 2, 2, 2)]),
    "instance": (lambda n: n.InstanceNorm1d(2, affine=True), [(2, 2, 3)]),
    "layer": (lambda n: n.LayerNorm((2, 3)), [(2, 2, 3)]),
    "group": (lambda n: n.GroupNorm(2, 4), [(2, 4, 2)]),
    "rms": (lambda n: n.RMSNorm(3), [(2, 3)]),
    "neighbours": (lambda n: n.LocalResponseNorm(2), [(1, 4, 2)]),
    "activations": (lambda n: n.Sequential(n.GELU(), n.SiLU(), n.Mish(), n.ELU(), n.PReLU(), n.Softplus()), [(7,)]),
    "pieces": (lambda n: n.Sequential(n.LeakyReLU(0.2), n.Hardswish(), n.Softshrink(0.1), n.Hardtanh()), [(7,)]),
    "dropout": (lambda n: n.Sequential(n.Dropout(0.3), n.Dropout1d(), n.AlphaDropout(0.1)), [(2, 3, 4)]),
    "pools": (lambda n: n.Sequential(n.MaxPool2d(2, 1), n.AvgPool2d(2, ceil_mode=True)), [(1, 2, 4, 5)]),
    "fixed pools": (lambda n: n.Sequential(n.AdaptiveMaxPool2d((3, None)), n.AdaptiveAvgPool2d(2)), [(1, 2, 5, 5)]),
    "padding": (lambda n: n.Sequential(n.ReflectionPad1d(1), n.CircularPad1d((2, 0)), n.ConstantPad1d(1, 2.5)), [(2, 4)]),
    "resampling": (lambda n: n.Sequential(n.Upsample(scale_factor=2, mode="bilinear"), n.PixelUnshuffle(2)), [(1, 1, 2, 3)]),
    "bilinear": (lambda n: n.Bilinear(2, 3, 2), [(4, 2), (4, 3)]),
    "similarity": (lambda n: n.CosineSimilarity(), [(2, 3), (2, 3)]),
    "huber": (lambda n: n.HuberLoss(delta=0.5), [(2, 3), (2, 3)]),
    "triplets": (lambda n: n.TripletMarginLoss(), [(2, 3), (2, 3), (2, 3)]),
    "rnn": (lambda n: n.RNN(2, 3, 2, nonlinearity="relu"), [(4, 2, 2)]),
    "lstm": (lambda n: n.LSTM(2, 3, bidirectional=True, batch_first=True), [(2, 4, 2)]),
    "lstm, projected": (lambda n: n.LSTM(2, 3, proj_size=2), [(4, 2, 2)]),
    "gru": (lambda n: n.GRU(2, 3, 2, dropout=0.5), [(4, 2, 2)]),
    "cells": (lambda n: n.LSTMCell(2, 3), [(2, 2)]),
    "attention": (lambda n: n.MultiheadAttention(4, 2, add_bias_kv=True), [(3, 2, 4)] * 3),
    "encoder": (lambda n: n.TransformerEncoderLayer(4, 2, 6, dropout=0.0), [(3, 2, 4)]),
    "lengths and directions": (lambda n: n.utils.parametrizations.weight_norm(n.Conv1d(2, 3, 2)), [(1, 2, 4)]),
    "old spectral norm": (lambda n: n.utils.spectral_norm(n.ConvTranspose1d(2, 3, 2)), [(1, 2, 4)]),
    "synchronised": (lambda n: n.SyncBatchNorm(3), [(4, 3)]),
    "decoder": (lambda n: n.TransformerDecoderLayer(4, 2, 6, dropout=0.0, norm_first=True), [(3, 2, 4), (2, 2, 4)]),
}  # fmt: skip


def numbers(tree: Any) -> list[float]:
    """All numbers in a tensor, or in a tuple of tensors."""
    if isinstance(tree, tuple):
        return [x for part in tree for x in numbers(part)]
    return [float(x) for x in tree.detach().flatten().tolist()]


def outcome(m: Any, case: Case) -> dict[str, Any]:
    make, shapes = case
    m.manual_seed(0)
    layer = make(m.nn)
    weights = {name: numbers(value) for name, value in layer.state_dict().items()}
    layer = layer.double()
    inputs = [
        (m.arange(math.prod(shape)).double() * (0.7 + i) + i).sin().reshape(shape).requires_grad_()
        for i, shape in enumerate(shapes)
    ]
    m.manual_seed(1)
    out = layer(*inputs)
    parts = [part for part in (out if isinstance(out, tuple) else (out,)) if hasattr(part, "sum")]
    sum((part**2).sum() for part in parts).backward()
    return {
        "text": repr(layer), "weights": weights, "value": [numbers(part) for part in parts],
        "gradients": [numbers(x.grad) for x in [*inputs, *layer.parameters()]],
        "after": {name: numbers(value) for name, value in layer.named_buffers()},
    }  # fmt: skip

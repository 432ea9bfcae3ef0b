"""The name of a result's node, which is printed with it, is PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest

from both import T

__all__ = ["T"]

NAMES = {
    "x.max(0).values": "MaxBackward0",
    "x.max(0, keepdim=True).values": "MaxBackward0",
    "x.min(1).values": "MinBackward0",
    "x.max()": "MaxBackward1",
    "x.median(0).values": "MedianBackward1",
    "x.nanmedian(1).values": "NanmedianBackward1",
    "x.mode(0).values": "ModeBackward0",
    "x.kthvalue(1, 0).values": "KthvalueBackward0",
    "x.topk(1).values": "TopkBackward0",
    "x.clamp(0)": "ClampBackward1",
    "x.clamp(0, 1)": "ClampBackward1",
    "x.clip(max=1)": "ClampBackward1",
    "x.clamp_min(0)": "ClampMinBackward0",
    "x.clamp_max(1)": "ClampMaxBackward0",
    "x.log1p()": "Log1PBackward0",
}


@pytest.mark.parametrize("expression", NAMES)
def test_name(T: Any, expression: str) -> None:
    x = T.tensor([[1.0, 3.0], [2.0, 0.0]], requires_grad=True)
    assert eval(expression, {"x": x}).grad_fn.name() == NAMES[expression]

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
    "x.clamp(x * 0)": "ClampBackward0",
    "x.clamp_min(x * 0)": "ClampMinBackward1",
    "x.addmm(x, x)": "AddmmBackward0",
    "x.trace()": "TraceBackward0",
    "x.to(x.dtype, copy=True)": "ToCopyBackward0",
    "x.sort(stable=True).values": "SortBackward1",
    "x.sum().sort().values": "SortBackward0",
}


@pytest.mark.parametrize("expression", NAMES)
def test_name(T: Any, expression: str) -> None:
    x = T.tensor([[1.0, 3.0], [2.0, 0.0]], requires_grad=True)
    assert eval(expression, {"x": x}).grad_fn.name() == NAMES[expression]


COMPOSITES: dict[str, Any] = {
    "GluBackward0": lambda T, x, w: T.nn.functional.glu(x),
    "NativeGroupNormBackward0": lambda T, x, w: T.nn.functional.group_norm(x, 2, w, w),
    "ReflectionPad1DBackward0": lambda T, x, w: T.nn.functional.pad(x, (1, 1), "reflect"),
    "AddmvBackward0": lambda T, x, w: T.addmv(w, x, w),
    "LinalgLuFactorExBackward0": lambda T, x, w: T.linalg.lu_factor(x)[0],
    "BlockDiagBackward0": lambda T, x, w: T.block_diag(x, x),
}


@pytest.mark.parametrize("name", COMPOSITES)
def test_several_operations_look_like_one(T: Any, name: str) -> None:
    if name.startswith("LinalgLu"):
        pytest.importorskip("scipy")
    x, w = T.tensor([[1.0, 3.0], [2.0, 0.5]], requires_grad=True), T.tensor([1.0, 2.0], requires_grad=True)
    found = COMPOSITES[name](T, x * 1, w)
    node = found.grad_fn
    assert node.name() == type(node).__name__ == name
    leads = [n and n.name() for n, _ in node.next_functions]
    assert leads[: 1 if name != "AddmvBackward0" else 3] == (
        ["MulBackward0"] if name != "AddmvBackward0" else ["torch::autograd::AccumulateGrad", "MulBackward0",
                                                           "torch::autograd::AccumulateGrad"]
    )  # fmt: skip
    found.sum().backward()
    assert x.grad is not None


def test_an_explanation_goes_through_the_steps() -> None:
    import chainrule as torch

    x = torch.tensor([[1.0, 3.0]], requires_grad=True)
    text = str(torch.explain(torch.nn.functional.glu(x).sum()))
    assert "Sigmoid" in text or "sigmoid" in text
    with torch.no_grad():
        assert torch.nn.functional.glu(x).grad_fn is None


def test_a_function_that_does_nothing_keeps_the_node(T: Any) -> None:
    x = T.tensor([[1.0, 3.0]], requires_grad=True) * 2
    assert x.sum_to_size(1, 2).grad_fn.name() == "MulBackward0"

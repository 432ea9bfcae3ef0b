"""Convolutions, pooling and sums over channels as kernels of their own: equal to eager's, for every kind of processor."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.compiler import direct, windows
from chainrule.nn import functional as F

pytest.importorskip("llvmlite")

# samples, channels, results, kernel, padding, dilation, stride, groups, lengths
CONVOLUTIONS = [
    (3, 4, 19, 3, 1, 1, 1, 1, (9, 11)),
    (2, 6, 9, 3, 2, 2, 1, 3, (7, 5)),
    (2, 3, 5, 2, 0, 1, 2, 1, (6, 9)),
    (4, 1, 8, 5, 4, 1, 1, 1, (23,)),
    (1, 5, 33, 1, 0, 1, 1, 1, (4, 4)),
    (2, 2, 3, 3, 3, 1, 1, 1, (1, 2)),
]
POOLS = [(2, 2, (8, 6)), (2, 2, (7, 5)), (3, 1, (6, 7)), (2, 3, (8, 8)), (3, 3, (17,))]
REGISTERS = [(32, 64), (16, 32), (16, 16)]  # how many, and of how many bytes


@pytest.fixture(autouse=True)
def _strict() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a fallback warns
        yield


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the operations that got kernels of their own."""
    found: list[str] = []

    def noted(name: str, make: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def source(eq: Any) -> Any:
            made = make(eq)
            found.extend([name] * (made is not None))
            return made

        return source

    monkeypatch.setattr(windows, "_KINDS", {name: noted(name, make) for name, make in windows._KINDS.items()})
    return found


def gradients(f: Any, *xs: Any) -> Any:
    """The value and all gradients of ``f``, weighted so that every entry counts."""
    xs = tuple(x.detach().requires_grad_() for x in xs)
    y = f(*xs)
    weights = torch.linspace(-1.0, 2.0, y.numel(), dtype=y.dtype).reshape(y.shape)
    return y.detach(), *torch.autograd.grad((y * weights).sum(), xs)


def equals_eager(f: Any, *xs: Any) -> None:
    compiled = torch.compile(lambda *v: gradients(f, *v), fullgraph=True)(*xs)
    for ours, eager in zip(compiled, gradients(f, *xs), strict=True):
        scale = max(float(eager.abs().max()), 1.0)
        tolerance = scale * (1e-5 if eager.dtype == torch.float32 else 1e-12)
        np.testing.assert_allclose(ours.numpy(), eager.numpy(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("registers", REGISTERS)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution(case: Any, registers: Any, kernels: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "registers", lambda: registers)
    n, channels, outs, kernel, padding, dilation, stride, groups, size = case
    dtype = torch.float64 if registers[1] == 32 else torch.float32
    rng = np.random.default_rng(0)
    shapes = [(n, channels, *size), (outs, channels // groups, *(kernel,) * len(size)), (outs,)]
    xs = [torch.tensor(rng.normal(size=shape), dtype=dtype) for shape in shapes]
    convolve = F.conv1d if len(size) == 1 else F.conv2d
    equals_eager(lambda x, w, b: convolve(x, w, b, stride, padding, dilation, groups), *xs)
    assert ("ConvolutionWeights" in kernels) == (groups == 1)
    assert ("BiasedConvolution" in kernels) == (stride == 1)
    assert ("ConvolutionTranspose" in kernels) == (stride == 1 and padding <= dilation * (kernel - 1))


def test_work_is_shared_by_threads(kernels: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.compiler.threads.WORTH", 1.0)
    monkeypatch.setattr("chainrule.compiler.threads.count", lambda: 3)
    rng = np.random.default_rng(0)
    xs = [torch.tensor(rng.normal(size=s), dtype=torch.float32) for s in ((7, 3, 8, 8), (40, 3, 3, 3), (40,))]
    equals_eager(lambda x, w, b: F.max_pool2d(F.conv2d(x, w, b, padding=1), 2), *xs)
    assert {"BiasedConvolution", "ConvolutionTranspose", "ConvolutionWeights", "MaxPool", "ToLargest", "Sum"} == set(
        kernels
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", POOLS)
def test_max_pool(case: Any, dtype: Any, kernels: list[str]) -> None:
    kernel, stride, size = case
    x = torch.tensor(np.random.default_rng(0).integers(0, 3, (2, 3, *size)), dtype=dtype)  # many are equal
    pool = F.max_pool1d if len(size) == 1 else F.max_pool2d
    equals_eager(lambda x: pool(x, kernel, stride), x)
    assert ("ToLargest" in kernels) == (stride >= kernel)
    assert "MaxPool" in kernels


def test_nan_is_the_largest() -> None:
    x = torch.tensor([[[1.0, np.nan, 2.0, 3.0], [0.0, np.nan, 5.0, 4.0]]])
    f = torch.compile(lambda x: gradients(lambda x: F.max_pool2d(x, 2), x), fullgraph=True)
    for ours, eager in zip(f(x), gradients(lambda x: F.max_pool2d(x, 2), x), strict=True):
        np.testing.assert_array_equal(ours.numpy(), eager.numpy())


def test_windows_that_reach_beyond_the_end_are_left_to_numpy(kernels: list[str]) -> None:
    x = torch.tensor(np.random.default_rng(0).normal(size=(1, 2, 7, 7)))
    equals_eager(lambda x: F.max_pool2d(x, 2, 2, 1), x)
    assert not kernels


def test_a_wrong_kernel_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks above have teeth: a row too few of what is added up fails them."""
    made = direct._weights
    monkeypatch.setattr(
        direct, "_weights", lambda *a: (made(*a)[0].replace("range(one * 4)", "range(one * 3)"), made(*a)[1])
    )
    x, w = torch.ones(1, 2, 4, 4), torch.ones(1, 2, 1, 1)
    with pytest.raises(AssertionError):
        equals_eager(F.conv2d, x, w)

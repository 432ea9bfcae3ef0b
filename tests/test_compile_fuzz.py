"""Random programs, compiled against eager: values, gradients of up to the third order, what is written, where the random
streams stand.

``CHAINRULE_FUZZ`` says how many (``CHAINRULE_FUZZ=2000``); one is run again by its number, ``-k "[numpy-17]"``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.compiler import driver
from chainrule.nn import functional as F

COUNT = int(os.environ.get("CHAINRULE_FUZZ", "60"))
SHAPES = [(), (1,), (3,), (4, 1), (4, 3), (2, 4, 3), (2, 1, 3), (5, 0)]


def unary(x: Any, draw: Any) -> Any:
    """Something of one tensor, finite where x is.  Slopes of what saturates are differences of nearly equal numbers: not there."""
    d = x.ndim
    choices: list[Callable[[], Any]] = [
        lambda: torch.sin(x), lambda: torch.tanh(x.clamp(-4, 4)), lambda: torch.exp(-(x * x)),
        lambda: torch.sigmoid(x.clamp(-8, 8)) * 2, lambda: x.abs().sqrt() + 1, lambda: torch.log1p(x * x), lambda: -x,
        lambda: x * 1.5 - 0.25, lambda: 1 / (x * x + 1),
        lambda: torch.relu(x), lambda: x.clamp(-0.5, 0.75), lambda: x.detach() * 2, lambda: x.clone(), lambda: x**3,
        lambda: x.sum() / 7, lambda: torch.where(x > 0, x, x * 0.1), lambda: x.unsqueeze(0) if d < 3 else x.sum(0),
        lambda: F.silu(x.clamp(-8, 8)), lambda: F.gelu(x.clamp(-4, 4)), lambda: F.softplus(x.clamp(-8, 8)), lambda: F.elu(x),
        lambda: x.repeat(2, *[1] * d),
    ]  # fmt: skip
    if d and x.numel():
        choices += [
            lambda: x.mean(-1, keepdim=True), lambda: torch.softmax(x, -1), lambda: x.amax(0), lambda: x.cumsum(0),
            lambda: x.transpose(0, -1), lambda: x[..., :1], lambda: x[0], lambda: x.flip(-1), lambda: x.reshape(-1),
            lambda: torch.cat([x, x * 2], 0)[: x.shape[0]], lambda: x @ x if d == 1 else x @ x.transpose(-1, -2),
            lambda: torch.logsumexp(x, 0), lambda: x[torch.tensor([0, 0])], lambda: x.std(-1, unbiased=False, keepdim=True) + x,
            lambda: x.roll(1, 0), lambda: F.pad(x, (1, -1), value=0.5), lambda: F.pad(x, (0, 1)),
            lambda: F.embedding(torch.tensor([0, 0]), x) if d == 2 else x.cumsum(-1),
            lambda: x[1:] - x[:-1], lambda: x[..., 1:] * x[..., :-1] + 1, lambda: x[..., ::2] * 2, lambda: x[0] - x[-1],
            lambda: x[1:, ..., :-1] if d > 1 else x[1:-1], lambda: F.pad(x, (1, 1) * d), lambda: x[:, None, -1] if d > 1 else x,
        ]  # fmt: skip
    return choices[draw.integers(len(choices))]()


def binary(x: Any, y: Any, draw: Any) -> Any:
    return [
        lambda: x * y, lambda: x + y, lambda: x - y, lambda: x / (y * y + 1), lambda: torch.maximum(x, y),
        lambda: torch.where(x > y, x, y * 2), lambda: torch.minimum(x, y * 0.5), lambda: torch.atan2(x, y * y + 1),
    ][draw.integers(8)]()  # fmt: skip


def write(x: Any, y: Any, draw: Any) -> Any:
    """Something in place; ``y`` has a shape that x can take."""
    kind = draw.integers(6)
    if kind == 0:
        x.mul_(0.5)
    elif kind == 1:
        x.add_(y)
    elif kind == 2 and x.ndim and x.numel():
        x[0] = 0.25
    elif kind == 3 and x.ndim and x.numel():
        x[..., :1].mul_(-1)
    elif kind == 4:
        x.detach().add_(1)
    else:
        x.copy_(y)
    return x


def noise(x: Any, draw: Any) -> Any:
    return [
        lambda: x + torch.rand(x.shape, dtype=x.dtype), lambda: x * torch.randn(3, 1, dtype=x.dtype).sum(),
        lambda: x + torch.rand_like(x), lambda: x * torch.empty_like(x).bernoulli_(0.5),
    ][draw.integers(4)]()  # fmt: skip


def fits(a: Any, b: Any, exactly: bool = False) -> bool:
    """Whether a and b broadcast; ``exactly``, to the shape of a."""
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return False
    return not exactly or shape == tuple(a.shape)


def program(seed: int) -> Callable[..., Any]:
    """A function of two tensors from outside and a parameter."""

    def f(x: Any, y: Any, w: Any) -> Any:
        draw = np.random.default_rng(seed)
        pool = [x, y, w * 1.0]
        for step in range(draw.integers(3, 16)):
            late = pool[-4:]
            if draw.random() < 0.6:  # rather on the way from the parameter
                late = [p for p in late if p.requires_grad] or late
            a = late[draw.integers(len(late))]
            others = [b for b in pool if fits(a, b)]
            b = others[draw.integers(len(others))]
            kind = draw.random()
            if kind < 0.45:
                z = unary(a, draw)
            elif kind < 0.75:
                z = binary(a, b, draw)
            elif kind < 0.85:
                made = a if a is x or a is y or step % 2 else a * 1.0
                with torch.no_grad():
                    z = write(
                        made.detach() if made.requires_grad else made, b.detach() if fits(a, b, True) else a * 0.5, draw
                    )
            elif kind < 0.92:
                z = noise(a, draw)
            else:
                z = a * len(pool) if a.ndim > 1 else a + len(tuple(a.shape))  # what Python knows of shapes
            if z.numel() < 500 and z.ndim < 4:
                pool.append(z)
        loss = sum((p * 0.3).sum() for p in pool[-3:])
        for _ in range([0, 0, 0, 1, 1, 2][seed % 6]):  # a penalty on the gradient, and one on that
            if loss.requires_grad:
                (g,) = torch.autograd.grad(loss, w, create_graph=True, materialize_grads=True)
                loss = loss + (g.clamp(-1, 1) * g.cos()).sum()
        if loss.requires_grad:
            loss.backward()
        return pool[-2:], loss.detach()

    return f


@pytest.fixture(autouse=True)
def quiet(own_generator: Any) -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def everything(f: Callable[..., Any], seed: int) -> Any:
    """What a program gives, and leaves behind, in three calls; or the error that it raises."""
    draw = np.random.default_rng(seed + 1)
    dtype = torch.float32 if seed % 6 in (1, 2) else torch.float64  # of first order: others lose too many digits
    x, y = (torch.from_numpy(draw.standard_normal(SHAPES[draw.integers(len(SHAPES))])).to(dtype) for _ in range(2))
    w = torch.from_numpy(draw.standard_normal(SHAPES[draw.integers(len(SHAPES))])).to(dtype).requires_grad_()
    torch.manual_seed(seed)
    found: list[Any] = []
    for _ in range(3):
        try:
            (a, b), loss = f(x, y, w)
        except (RuntimeError, IndexError, ValueError, TypeError) as e:
            return [type(e).__name__, str(e).partition("\n")[0]]
        found += [t.detach().numpy().copy() for t in (a, b, loss, x, y)]
        found += [a.requires_grad, b.requires_grad, x._version, y._version]
        if w.grad is not None:
            found.append(w.grad.numpy().copy())
            w.grad = None
    return [*found, torch.rand(1).item()]


def same(found: list[Any], wanted: list[Any]) -> None:
    assert len(found) == len(wanted), (found, wanted)
    for a, b in zip(found, wanted, strict=True):
        if isinstance(b, np.ndarray):
            tolerance = 1e-9 if b.dtype.itemsize == 8 else 2e-4
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
        else:
            assert a == b


@pytest.mark.parametrize("seed", range(COUNT))
def test_numpy(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if seed % 2:  # as large arrays are treated
        monkeypatch.setattr(driver, "SMALL", 9)
    compare(seed, "numpy")


@pytest.mark.parametrize("seed", range(COUNT, 2 * COUNT))
def test_native(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    if seed % 2:  # loops, even over few entries
        monkeypatch.setattr("chainrule.compiler.run.MANY", 1000)
    compare(seed, "native")


FALLBACKS: list[str] = []


def compare(seed: int, backend: str) -> None:
    f = program(seed)
    wanted = everything(f, seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = everything(torch.compile(f, backend=backend), seed)
    FALLBACKS.extend(str(w.message) for w in caught)
    same(found, wanted)


def test_few_fall_back() -> None:
    """Last: of the programs above, hardly any ran uncompiled."""
    assert len(FALLBACKS) <= 2 + COUNT // 5, FALLBACKS

"""``masked``: what is masked might as well not be there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule import masked

X = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 5)))
MASK = torch.tensor([[1, 1, 0, 1, 0], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1], [0, 1, 1, 0, 1]]).bool()
REDUCTIONS: dict[str, Callable[[torch.Tensor], Any]] = {
    "sum": lambda x: x.sum(), "prod": lambda x: x.prod(), "mean": lambda x: x.mean(), "amax": lambda x: x.max(),
    "amin": lambda x: x.min(), "median": lambda x: x.median(), "logsumexp": lambda x: x.logsumexp(0),
    "norm": lambda x: torch.linalg.vector_norm(x),
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_are_of_what_is_left(name: str) -> None:
    found = getattr(masked, name)(X, dim=1, mask=MASK)
    wanted = [REDUCTIONS[name](row[keep]) for row, keep in zip(X, MASK, strict=True)]
    assert torch.allclose(found, torch.stack(wanted))
    kept = getattr(masked, name)(X, dim=1, keepdim=True, mask=MASK)
    assert kept.shape == (4, 1) and torch.equal(kept[:, 0], found)
    if name != "median":
        assert torch.allclose(getattr(masked, name)(X, mask=MASK), REDUCTIONS[name](X[MASK]))
        assert torch.allclose(getattr(masked, name)(X, dim=1), torch.stack([REDUCTIONS[name](row) for row in X]))


@pytest.mark.parametrize(("name", "correction"), [("var", 1), ("std", 0), ("var", 0.5)])
def test_spread(name: str, correction: float) -> None:
    found = getattr(masked, name)(X, 1, correction=correction, mask=MASK)[2:]
    wanted = [getattr(row[keep], name)(correction=correction) for row, keep in zip(X[2:], MASK[2:], strict=True)]
    assert torch.allclose(found, torch.stack(wanted))
    assert masked.var(X, 1, mask=MASK)[1].isnan()  # of one number


def test_positions() -> None:
    assert masked.argmax(torch.tensor([1, 7, 5]), mask=torch.tensor([True, False, True])).item() == 2
    assert masked.argmin(torch.tensor([1, 7, 5]), 0, mask=torch.tensor([False, True, True])).item() == 2


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin", "cumsum", "cumprod"])
def test_along_a_dimension(name: str) -> None:
    found = getattr(masked, name)(X, 1, mask=MASK)
    plain = {"softmin": lambda row, d: (-row).softmax(d)}.get(name, getattr(torch.Tensor, name, None))
    for row, keep, got in zip(X, MASK, found, strict=True):
        assert torch.allclose(got[keep], plain(row[keep], 0))
    assert torch.allclose(masked.normalize(X, 2.0, 1, mask=MASK)[0, MASK[0]], X[0, MASK[0]] / X[0, MASK[0]].norm())


def test_nothing_left() -> None:
    none = torch.tensor([False, False])
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    assert masked.sum(x, mask=none) == 0 and masked.prod(x, mask=none) == 1
    assert masked.amax(x, mask=none) == -torch.inf and masked.mean(x, mask=none).isnan()
    assert masked.amin(torch.tensor([1, 2]), mask=none) == torch.iinfo(torch.int64).max
    with pytest.raises(ValueError, match="expects no fully masked out rows if dtype is not floating point"):
        masked.median(torch.tensor([1, 2]), 0, mask=none)


def test_no_gradient_reaches_what_is_masked() -> None:
    x, mask = X.clone().requires_grad_(), MASK
    for f in (masked.sum, masked.logsumexp, masked.norm, masked.var):
        (g,) = torch.autograd.grad(f(x, mask=mask), x)
        assert not g[~mask].any() and g[mask].all()
        assert torch.autograd.gradcheck(lambda x, f=f: f(x, mask=mask), x)


def test_masks_are_broadcast_to_the_input() -> None:
    row = torch.tensor([1, 0, 1, 1, 0])  # of any dtype
    assert torch.equal(masked.sum(X, 0, mask=row), X.sum(0) * row)
    with pytest.raises(IndexError, match="mask dimensionality higher than of the input"):
        masked.sum(X[0], mask=MASK)
    with pytest.raises(ValueError, match="Could not infer output dtype"):
        masked.mean(torch.tensor([1, 2]))
    with pytest.raises(RuntimeError, match="dim=1 appears multiple times"):
        masked.sum(X, (1, 1))

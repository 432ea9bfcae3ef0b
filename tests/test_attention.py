"""Attention where nothing is there, where numbers are large, and with a mask that is learned."""

from __future__ import annotations

from typing import Any

import pytest

import chainrule as torch

attend = torch.nn.functional.scaled_dot_product_attention


@pytest.mark.parametrize("mask", ["none", "bool", "float"])
@pytest.mark.parametrize(("long", "short"), [(0, 3), (3, 0), (0, 0)])
def test_empty_sequences(long: int, short: int, mask: str) -> None:
    q, k, v = (torch.ones(2, 2, n, 5, requires_grad=True) for n in (long, short, short))
    masks = {"none": None, "bool": torch.ones(long, short, dtype=torch.bool), "float": torch.zeros(2, 1, long, short)}
    out = attend(q, k, v, masks[mask])
    assert out.shape == (2, 2, long, 5)
    assert not out.detach().any()
    out.sum().backward()
    for t in (q, k, v):
        assert t.grad is not None
        assert not t.grad.any()


@pytest.mark.parametrize(("sign", "size"), [(1, 1e22), (-1, 1e-27)])
def test_weights_neither_lift_nor_sink_values(sign: int, size: float) -> None:
    q = torch.full((1, 1, 1, 4), 4.4)
    v = torch.full((1, 1, 1, 4), size)
    assert torch.allclose(attend(q, q * sign, v), v, rtol=1e-6, atol=0)


def test_masks_that_are_learned_inside_vmap() -> None:
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 2, 3, 4, dtype=torch.float64, generator=g) for _ in range(3))
    masks = torch.randn(4, 3, 3, dtype=torch.float64, generator=g)

    def written_out(mask: Any) -> Any:
        return torch.softmax(q @ k.mT / 2 + mask, -1) @ v

    def loss(f: Any) -> Any:
        return lambda masks: (torch.func.vmap(f)(masks) ** 2).sum()

    found = torch.func.grad(loss(lambda mask: attend(q, k, v, mask)))(masks)
    assert torch.allclose(found, torch.func.grad(loss(written_out))(masks))
    assert found.abs().sum() > 1

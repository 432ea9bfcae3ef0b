"""Embeddings, dropout and attention, without PyTorch."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.autograd import gradcheck
from chainrule.nn import functional as F

RNG = np.random.default_rng(0)
TABLE = RNG.standard_normal((5, 3))
INDEX = np.array([[2, 0, 2], [4, 2, 1]])


def table() -> torch.Tensor:
    return torch.tensor(TABLE, requires_grad=True)


# --- rows looked up ------------------------------------------------------------------------------------------------------


def test_rows_and_how_often_they_count() -> None:
    weight, index = table(), torch.tensor(INDEX)
    np.testing.assert_array_equal(F.embedding(index, weight).detach().numpy(), TABLE[INDEX])
    ones = torch.ones(2, 3, 3, dtype=torch.float64)

    def counts(**options: Any) -> list[float]:
        (grad,) = torch.autograd.grad(F.embedding(index, weight, **options), weight, ones)
        return grad[:, 0].tolist()  # type: ignore[no-any-return]

    assert counts() == [1.0, 1.0, 3.0, 0.0, 1.0]
    assert counts(padding_idx=2) == counts(padding_idx=-3) == [1.0, 1.0, 0.0, 0.0, 1.0]
    assert counts(scale_grad_by_freq=True) == [1.0, 1.0, 1.0, 0.0, 1.0]
    assert gradcheck(lambda w: F.embedding(index, w) ** 2, weight, check_forward_ad=True, check_batched_grad=True)


def test_rows_of_one_table_and_of_many() -> None:
    index = torch.tensor(INDEX)
    shared = torch.vmap(lambda i: F.embedding(i, table().detach()))(index)
    np.testing.assert_array_equal(shared.numpy(), TABLE[INDEX])
    tables = torch.tensor(np.stack([TABLE, 2 * TABLE]))
    np.testing.assert_array_equal(
        torch.vmap(F.embedding)(index, tables).numpy(), np.stack([TABLE[INDEX[0]], 2 * TABLE[INDEX[1]]])
    )
    found = torch.vmap(torch.func.grad(lambda w, i: F.embedding(i, w).sum()))(tables, index)
    np.testing.assert_array_equal(found[:, :, 0].numpy(), [[1, 0, 2, 0, 0], [0, 1, 1, 0, 1]])


def test_long_rows_are_shortened_in_place() -> None:
    weight = torch.tensor([[3.0, 4.0], [0.0, 0.5], [6.0, 8.0]])
    found = F.embedding(torch.tensor([0, 1]), weight, max_norm=1.0)
    np.testing.assert_allclose(found.norm(dim=1), [1, 0.5], rtol=1e-5)
    assert weight[2].tolist() == [6.0, 8.0]


def test_indices_that_name_no_row() -> None:
    with pytest.raises(IndexError, match="index out of range in self"):
        F.embedding(torch.tensor([5]), table())
    with pytest.raises(RuntimeError, match="Expected tensor for argument #1 'indices' to have one of the following"):
        F.embedding(torch.tensor([1.0]), table())
    with pytest.raises(RuntimeError, match="'weight' must be 2-D"):
        F.embedding(torch.tensor([1]), torch.ones(2, 2, 2))
    with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
        F.embedding(torch.tensor([1]), table(), padding_idx=5)


BAGS = [[2, 0, 2], [], [4, 2, 1, 1]]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding", [None, 2])
def test_bags(mode: str, padding: int | None) -> None:
    flat, starts = torch.tensor([*itertools.chain(*BAGS)]), torch.tensor([0, 3, 3])
    fold = getattr(np, mode)
    rows = [[i for i in bag if i != padding] for bag in BAGS]
    wanted = np.stack([fold(TABLE[bag], axis=0) if bag else np.zeros(3) for bag in rows])

    def f(weight: torch.Tensor) -> torch.Tensor:
        return F.embedding_bag(flat, weight, starts, mode=mode, padding_idx=padding)

    np.testing.assert_allclose(f(table()).detach().numpy(), wanted, rtol=1e-12)
    assert gradcheck(f, table())
    ends = torch.tensor([0, 3, 3, 7])
    assert torch.equal(
        F.embedding_bag(flat, table(), ends, mode=mode, padding_idx=padding, include_last_offset=True), f(table())
    )


def test_bags_of_one_length_and_with_factors() -> None:
    factors = torch.tensor(RNG.standard_normal((2, 3)), requires_grad=True)
    found = F.embedding_bag(torch.tensor(INDEX), table(), mode="sum", per_sample_weights=factors)
    np.testing.assert_allclose(
        found.detach().numpy(), (TABLE[INDEX] * factors.detach().numpy()[..., None]).sum(1), rtol=1e-12
    )
    assert gradcheck(
        lambda w, f: F.embedding_bag(torch.tensor(INDEX), w, mode="sum", per_sample_weights=f), (table(), factors)
    )
    with pytest.raises(RuntimeError, match=r"offsets\[0\] has to be 0"):
        F.embedding_bag(torch.tensor([1]), table(), torch.tensor([1]))
    with pytest.raises(ValueError, match="mode has to be one of sum, mean or max"):
        F.embedding_bag(torch.tensor(INDEX), table(), mode="median")


def test_one_hot() -> None:
    assert torch.equal(F.one_hot(torch.tensor(INDEX), 5).argmax(-1), torch.tensor(INDEX))


# --- dropout -------------------------------------------------------------------------------------------------------------


def test_what_is_kept_is_scaled(own_generator: torch.Generator) -> None:
    x = torch.ones(1000, requires_grad=True)
    y = F.dropout(x, 0.25)
    assert set(y.tolist()) == {0.0, np.float32(1 / 0.75)}
    assert 0.2 < (y == 0).float().mean() < 0.3
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 1.0).sum() == 0


def test_whole_channels(own_generator: torch.Generator) -> None:
    x = torch.ones(8, 4, 3, 2)
    for y in (F.dropout2d(x), F.dropout3d(x), F.dropout1d(x[..., 0]), F.feature_alpha_dropout(x, training=True)):
        channels = y.flatten(2)
        assert torch.equal(channels, channels[:, :, :1].expand(*channels.shape))
        assert len(set(channels[:, :, 0].flatten().tolist())) == 2
    y = F.dropout3d(x)  # without a batch axis
    assert len({tuple(c.flatten().tolist()) for c in y}) == 2


def test_mean_and_variance_stay(own_generator: torch.Generator) -> None:
    x = torch.randn(20000)
    y = F.alpha_dropout(x, 0.3, training=True)
    assert abs(y.mean()) < 0.05
    assert abs(y.var() - 1) < 0.05


def test_written_in_place(own_generator: torch.Generator) -> None:
    x = torch.ones(50)
    y = F.dropout(x, inplace=True)
    assert y is x
    assert (x == 0).any()
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1, but got 1.5"):
        F.dropout(x, 1.5)
    with pytest.warns(UserWarning, match="dropout2d: Received a 2-D input"):
        F.dropout2d(torch.ones(2, 2))


def test_in_a_vmap_as_its_randomness_says(own_generator: torch.Generator) -> None:
    x = torch.ones(2, 100)
    same = torch.vmap(F.dropout, randomness="same")(x)
    assert torch.equal(same[0], same[1])
    other = torch.vmap(F.dropout, randomness="different")(x)
    assert not torch.equal(other[0], other[1])


def test_a_class_drawn(own_generator: torch.Generator) -> None:
    scores = torch.tensor([0.0, 2.0, 1.0]).expand(3000, 3)
    drawn = F.gumbel_softmax(scores, hard=True)
    assert ((drawn.sum(1) - 1).abs() < 1e-6).all()
    np.testing.assert_allclose(drawn.mean(0), torch.softmax(scores[0], 0), atol=0.03)
    x = torch.zeros(4, requires_grad=True)
    (F.gumbel_softmax(x, hard=True) * torch.arange(4.0)).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


# --- attention -----------------------------------------------------------------------------------------------------------


def attended(q: Any, k: Any, v: Any, mask: Any = None, scale: float | None = None) -> Any:
    scores = q @ np.swapaxes(k, -1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    scores = scores if mask is None else np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    top = np.maximum(scores.max(-1, keepdims=True), -1e30)
    e = np.exp(scores - top)
    return e / np.maximum(e.sum(-1, keepdims=True), 1e-300) @ v


def test_weighted_by_agreement() -> None:
    q, k, v = (torch.tensor(RNG.standard_normal((2, n, m)), requires_grad=True) for n, m in ((3, 4), (5, 4), (5, 2)))
    a, b, c = (t.detach().numpy() for t in (q, k, v))
    f = F.scaled_dot_product_attention
    allowed = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
    added = RNG.standard_normal((3, 5))
    for mask in (None, allowed, added):
        given = None if mask is None else torch.tensor(mask)
        np.testing.assert_allclose(f(q, k, v, given).detach().numpy(), attended(a, b, c, mask), rtol=1e-10)
        assert gradcheck(lambda q, k, v, m=given: f(q, k, v, m), (q, k, v), check_forward_ad=True)
    np.testing.assert_allclose(f(q, k, v, is_causal=True).detach().numpy(), attended(a, b, c, np.tri(3, 5, dtype=bool)))
    np.testing.assert_allclose(f(q, k, v, scale=0.3).detach().numpy(), attended(a, b, c, scale=0.3))
    assert f(q, k, v, torch.tensor(allowed))[:, 1].abs().sum() == 0  # nothing to attend to


def test_heads_that_share_keys() -> None:
    q, k, v = (torch.tensor(RNG.standard_normal((1, heads, 3, 4))) for heads in (4, 2, 2))
    found = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    each = F.scaled_dot_product_attention(q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1))
    assert torch.equal(found, each)
    with pytest.raises(RuntimeError, match="Number of heads in key and value must divide the number of heads in"):
        F.scaled_dot_product_attention(q[:, :3], k, v, enable_gqa=True)


def test_attention_that_does_not_fit() -> None:
    q = torch.ones(2, 3)
    with pytest.raises(RuntimeError, match="Explicit attn_mask should not be set when is_causal=True"):
        F.scaled_dot_product_attention(q, q, q, torch.ones(2, 2), is_causal=True)
    with pytest.raises(RuntimeError, match="to have the same dtype, but got query.dtype: float key.dtype: double"):
        F.scaled_dot_product_attention(q, q.double(), q)
    with pytest.raises(RuntimeError, match="but got attn_mask.dtype: long int and  query.dtype: float instead"):
        F.scaled_dot_product_attention(q, q, q, torch.ones(2, 2).long())


def heads_by_hand(x: Any, y: Any, w: Any, b: Any, o: Any, heads: int, mask: Any = None) -> Any:
    """Attention of (length, features) without a batch, head by head."""
    width = x.shape[-1]
    q, k, v = (t @ w[i * width : (i + 1) * width].T + b[i * width : (i + 1) * width] for i, t in enumerate((x, y, y)))
    size = width // heads
    parts = [attended(*(t[:, h * size : (h + 1) * size] for t in (q, k, v)), mask) for h in range(heads)]
    return np.concatenate(parts, -1) @ o.T


def test_several_heads() -> None:
    width, heads = 6, 3
    x, y = RNG.standard_normal((4, width)), RNG.standard_normal((5, width))
    w, b, o = (
        RNG.standard_normal((3 * width, width)),
        RNG.standard_normal(3 * width),
        RNG.standard_normal((width, width)),
    )
    forbidden = np.triu(np.ones((4, 5), bool), 1)

    def run(x: Any, y: Any, heads: int = heads, **options: Any) -> Any:
        given = [torch.tensor(t) for t in (x, y, y, w, b, o)]
        return F.multi_head_attention_forward(
            *given[:3], width, heads, *given[3:5], None, None, False, 0.0, given[5], None, **options
        )

    for mask in (None, forbidden):
        options = {} if mask is None else {"attn_mask": torch.tensor(mask)}
        wanted = heads_by_hand(x, y, w, b, o, heads, None if mask is None else ~mask)
        out, weights = run(x, y, **options)
        np.testing.assert_allclose(out.numpy(), wanted, rtol=1e-9)
        assert weights.shape == (4, 5)
        np.testing.assert_allclose(weights.sum(-1).numpy(), 1)
        np.testing.assert_allclose(run(x, y, need_weights=False, **options)[0].numpy(), wanted, rtol=1e-9)
    batch = run(
        np.stack([x, 2 * x], 1), np.stack([y, y], 1), key_padding_mask=torch.tensor([[False] * 5, [False] * 4 + [True]])
    )
    np.testing.assert_allclose(batch[0][:, 0].numpy(), heads_by_hand(x, y, w, b, o, heads), rtol=1e-9)
    np.testing.assert_allclose(batch[0][:, 1].numpy(), heads_by_hand(2 * x, y[:4], w, b, o, heads), rtol=1e-9)
    with pytest.raises(AssertionError, match="embed_dim 6 not divisible by num_heads 4"):
        run(x, y, heads=4)

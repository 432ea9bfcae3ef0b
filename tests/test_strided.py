"""Memory under any strides: what is seen, what a gradient reaches, what a write changes."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as torch


def base(n: int = 6) -> torch.Tensor:
    return torch.arange(float(n)).requires_grad_() * 1


def test_a_view_of_memory() -> None:
    x = torch.arange(12.0)
    v = x.as_strided((3, 2), (1, 4), 2)
    assert v.tolist() == [[2, 6], [3, 7], [4, 8]] and v._base is x and v.storage_offset() == 2
    v[0, 1] = 50
    assert x[6] == 50
    assert x[4:].as_strided((2,), (1,)).tolist() == [4, 5]  # where it starts itself
    assert x[4:].as_strided((2,), (1,), 0).tolist() == [0, 1]  # before what it shows, in memory it shares
    assert x[4:].detach().as_strided((2,), (1,), 1).tolist() == [1, 2]
    assert x.reshape(3, 4).t().as_strided((4,), (1,)).tolist() == [0, 1, 2, 3]


def test_gradients_go_to_the_entries_looked_at() -> None:
    x = torch.arange(6.0).requires_grad_()
    y = (x * 1).as_strided((3, 2), (1, 1), 1)
    assert y.grad_fn.name() == "AsStridedBackward0"
    (y * torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])).sum().backward()
    assert x.grad.tolist() == [0, 1, 5, 9, 6, 0]


def test_entries_outside_the_tensor_get_no_gradient() -> None:
    x = torch.arange(6.0).requires_grad_()
    (x * 1)[2:4].as_strided((4,), (1,), 0).sum().backward()
    assert x.grad.tolist() == [0, 0, 1, 1, 0, 0]


def test_entries_in_one_place_share_the_gradient() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    e = x.expand(3, 2)
    (g,) = torch.autograd.grad(e.as_strided((2,), (1,)).sum(), e)
    assert torch.allclose(g, torch.full((3, 2), 1 / 3))


def test_higher_orders_and_other_modes() -> None:
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3))).requires_grad_()

    def f(x: torch.Tensor) -> torch.Tensor:
        return x.sin().as_strided((2, 2, 2), (1, 2, 1), 1) ** 2

    assert torch.autograd.gradcheck(f, x, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(f, x)
    rows = torch.stack([x.detach(), 2 * x.detach()])
    assert torch.equal(torch.vmap(f)(rows), torch.stack([f(r) for r in rows]))
    turned = x.detach().t()
    _, t = torch.func.jvp(lambda x: x.as_strided((2,), (2,)), (turned,), (turned,))
    assert torch.equal(t, turned.as_strided((2,), (2,)))


def test_writes_are_seen_through_strides() -> None:
    x = torch.arange(6.0).requires_grad_()
    w = torch.tensor(3.0, requires_grad=True)
    b = x * 1
    v = b.as_strided((3,), (2,))
    v.mul_(w)
    (b * b).sum().backward()
    assert x.grad.tolist() == [0, 2, 36, 6, 72, 10] and w.grad == 120
    assert v.grad_fn.name() == "AsStridedBackward0"


def test_windows_know_what_they_are_views_of() -> None:
    x = torch.arange(4.0).requires_grad_()
    b = x * 1
    v = b.unfold(0, 2, 1)
    assert v._base is b
    v[0].mul_(10.0)
    b.sum().backward()
    assert x.grad.tolist() == [10, 10, 1, 1]


def test_scattered() -> None:
    x, s = torch.zeros(2, 3, requires_grad=True), torch.tensor([1.0, 2.0], requires_grad=True)
    y = torch.as_strided_scatter(x, s, (2,), (4,), 1)
    assert y.tolist() == [[0, 1, 0], [0, 0, 2]] and y._base is None
    (y * torch.arange(6.0).reshape(2, 3)).sum().backward()
    assert x.grad.tolist() == [[0, 0, 2], [3, 4, 0]] and s.grad.tolist() == [1, 5]


def test_what_cannot_be_seen() -> None:
    x = torch.arange(3.0)
    with pytest.raises(
        RuntimeError, match=r"itemsize 4 requiring a storage size of 16 are out of bounds for storage of size 12"
    ):
        x.as_strided((4,), (1,))
    with pytest.raises(RuntimeError, match=r"Negative strides are not supported at the moment, got strides: \[-1\]"):
        x.as_strided((2,), (-1,))
    with pytest.raises(RuntimeError, match="mismatch in length of strides and shape"):
        x.as_strided((2,), (1, 1))
    with pytest.raises(RuntimeError, match="out of bounds"):  # each sample of a batch ends where the next begins
        torch.vmap(lambda x: x.as_strided((3,), (2,)))(torch.zeros(2, 3))
    with pytest.raises(RuntimeError, match="src size = \\[3\\], slice size = \\[2\\]"):
        torch.as_strided_scatter(x, x, (2,), (1,))


def test_new_tensors_with_strides() -> None:
    assert torch.empty_strided((2, 3), (1, 2)).stride() == (1, 2)
    assert torch.empty_permuted((2, 3, 5), (0, 2, 1), dtype=torch.int64).stride() == (15, 1, 3)
    assert torch.zeros(1, dtype=torch.int32).new_empty_strided((2,), (3,)).dtype == torch.int32
    assert torch.empty_strided((0, 3), (3, 1), requires_grad=True).requires_grad
    with pytest.raises(RuntimeError, match="Duplicate dim not allowed"):
        torch.empty_permuted((2, 3), (0, 0))


def test_resized() -> None:
    x = torch.arange(6.0)
    row = x[3:]
    assert x.resize_(2, 2) is x and x.tolist() == [[0, 1], [2, 3]] and row.tolist() == [3, 4, 5]
    assert x.resize_(5).tolist() == [0, 1, 2, 3, 0] and row.tolist() == [3, 4, 5]
    assert x.resize_as_(torch.zeros(4, 2)).shape == (4, 2) and x[1].tolist() == [2, 3]
    with pytest.raises(RuntimeError, match="cannot resize variables that require grad"):
        torch.zeros(2, requires_grad=True).resize_(3)
    y = torch.arange(4.0)
    assert y.as_strided_((2,), (3,)) is y and y.tolist() == [0, 3]

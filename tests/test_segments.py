"""Reductions of segments, histograms in several dimensions, and other counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as torch

ROW = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
LENGTHS = torch.tensor([1, 0, 3])


@pytest.mark.parametrize(
    ("reduce", "plain", "started"),
    [
        ("sum", [1, 0, 9], [6, 5, 14]),
        ("prod", [1, 1, 24], [5, 5, 120]),
        ("mean", [1, math.nan, 3], [6, 5, 14 / 3]),
        ("max", [1, -math.inf, 4], [5, 5, 5]),
        ("min", [1, math.inf, 2], [1, 5, 2]),
    ],
)
def test_segments(reduce: str, plain: list[float], started: list[float]) -> None:
    assert np.array_equal(torch.segment_reduce(ROW, reduce, lengths=LENGTHS), plain, equal_nan=True)
    by_offsets = torch.segment_reduce(ROW, reduce, offsets=torch.tensor([0, 1, 1, 4]))
    assert np.array_equal(by_offsets, plain, equal_nan=True)
    assert np.allclose(torch.segment_reduce(ROW, reduce, lengths=LENGTHS, initial=5), started)
    x = ROW.clone().requires_grad_()
    full = torch.tensor([1, 3])
    assert torch.autograd.gradcheck(lambda x: torch.segment_reduce(x, reduce, lengths=full, initial=0.5), x)


def test_segments_of_each_row() -> None:
    x = ROW.reshape(2, 2)
    found = torch.segment_reduce(x, "sum", lengths=torch.tensor([[1, 1], [2, 0]]), axis=1)
    assert found.tolist() == [[1, 2], [7, 0]]
    assert torch.segment_reduce(x, "max", lengths=torch.tensor([2])).tolist() == [[3, 4]]


def test_equal_largest_entries_share_the_gradient_of_a_segment() -> None:
    x = torch.tensor([2.0, 2.0, 0.0, 1.0], requires_grad=True)
    torch.segment_reduce(x, "max", lengths=torch.tensor([2, 2]), initial=1.5).sum().backward()
    assert x.grad.tolist() == [0.5, 0.5, 0, 0]
    x.grad = None
    torch.segment_reduce(x, "prod", lengths=torch.tensor([2, 2])).sum().backward()
    assert x.grad.tolist() == [2, 2, 1, 0]


def test_segments_that_do_not_fit() -> None:
    with pytest.raises(RuntimeError, match="Expected all rows of lengths along axis to sum to data.size"):
        torch.segment_reduce(ROW, "sum", lengths=torch.tensor([1, 1]))
    with pytest.raises(RuntimeError, match="Either lengths or offsets must be defined"):
        torch.segment_reduce(ROW, "sum")
    with pytest.raises(RuntimeError, match="Expected axis to be the last dimension of lengths but got 1"):
        torch.segment_reduce(ROW.reshape(2, 2), "sum", lengths=torch.tensor([2]), axis=1)
    with pytest.raises(RuntimeError, match="lengths contains negative value"):
        torch.segment_reduce(ROW, "sum", lengths=torch.tensor([-1, 5]))
    with pytest.raises(NotImplementedError, match="not implemented for 'Long'"):
        torch.segment_reduce(torch.tensor([1]), "sum", lengths=torch.tensor([1]))


@pytest.mark.parametrize("density", [False, True])
def test_histograms_in_two_dimensions(density: bool) -> None:
    draw = np.random.default_rng(0)
    points, w = draw.random((40, 2)), draw.random(40)
    edges = [np.array([0.1, 0.5, 0.9]), np.linspace(0, 1, 4)]
    wanted, _ = np.histogramdd(points, edges, weights=w, density=density)
    given = [torch.from_numpy(e) for e in edges]
    found = torch.histogramdd(torch.from_numpy(points), given, weight=torch.from_numpy(w), density=density)
    assert np.allclose(found.hist, wanted) and torch.equal(found.bin_edges[1], given[1])
    wanted, sides = np.histogramdd(points, [3, 2])
    found = torch.histogramdd(torch.from_numpy(points), [3, 2])
    assert np.allclose(found.hist, wanted) and np.allclose(found.bin_edges[0], sides[0])
    assert torch.histogramdd(torch.zeros(1, 2), 2).bin_edges[0].tolist() == [-0.5, 0, 0.5]
    with pytest.raises(RuntimeError, match="range should have 4 elements, but got 2"):
        torch.histogramdd(torch.zeros(1, 2), 2, range=[0, 1])


def test_counts_of_fixed_length() -> None:
    x = torch.tensor([[0, 1], [2, 3]])
    assert torch.nonzero_static(x, size=2).tolist() == [[0, 1], [1, 0]]
    assert x.nonzero_static(size=4, fill_value=-7).tolist() == [[0, 1], [1, 0], [1, 1], [-7, -7]]
    with pytest.raises(RuntimeError, match="must be an non-negative integer"):
        torch.nonzero_static(x, size=-1)


def test_hashes_tell_tensors_apart() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    assert torch.hash_tensor(x) == torch.hash_tensor(x.flip(0, 1)) != torch.hash_tensor(x + 1)
    assert torch.hash_tensor(torch.tensor([1.0, 2.0])).item() == 9218868437227405312
    assert torch.hash_tensor(x, 1, keepdim=True).shape == (2, 1)
    assert torch.hash_tensor(torch.tensor([-1], dtype=torch.int8)).item() == 2**64 - 1


def test_questions_about_dtypes() -> None:
    assert torch.result_type(torch.tensor([1], dtype=torch.int8), 2.0) == torch.float32
    assert torch.promote_types(torch.complex64, torch.float64) == torch.complex128
    assert torch.can_cast(torch.int64, torch.uint8) and not torch.can_cast(torch.uint8, torch.bool)
    assert torch.is_nonzero(torch.tensor(2)) and torch.is_same_size(torch.zeros(2), torch.ones(2))
    assert not torch.is_signed(torch.tensor(True)) and torch.numel(torch.zeros(2, 3)) == 6


def test_other_ways_to_say_it() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    assert torch.rsub(x, 1, alpha=2).tolist() == [-1, -3] and torch.rsub(x, x).grad_fn.name() == "RsubBackward0"
    assert torch.fill(x, 3).tolist() == [3, 3] and torch.clamp_min(x, 1.5).tolist() == [1.5, 2]
    v = torch.tensor(2.0, requires_grad=True)
    torch.fill(x, v).sum().backward()
    assert v.grad == 2 and x.grad.tolist() == [0, 0]
    assert x.detach().clamp_max_(1).tolist() == [1, 1] and torch.slice_copy(x, 0, 1)._base is None
    with pytest.raises(TypeError, match=r"bfloat16\(\) is not supported: NumPy has no such dtype"):
        x.bfloat16()

"""Arguments that cannot be: PyTorch's error, and none of NumPy's; and what looks as if it could not, and can."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from both import T, refused

__all__ = ["T"]

REFUSED: dict[str, tuple[type[Exception], str]] = {
    # Indices.  From -n to n - 1 is for brackets only.
    "T.arange(6.0).gather(0, T.tensor([-1]))": (RuntimeError, "index -1 is out of bounds for dimension 0 with size 6"),
    "T.arange(6.0).gather(0, T.tensor([7]))": (RuntimeError, "index 7 is out of bounds for dimension 0 with size 6"),
    "T.ones(2, 3).gather(0, T.tensor([[0, 1, 1, 1]]))": (RuntimeError, "Size does not match at dimension 1 expected index "
        "[1, 4] to be no larger than self [2, 3] apart from dimension 0"),
    "T.arange(6.0).gather(0, [1])": (TypeError, "gather(): argument 'index' (position 2) must be Tensor, not list"),
    "T.arange(6.0).index_select(0, T.tensor([-1]))": (IndexError, "index out of range in self"),
    "T.arange(6.0).index_select(0, T.tensor([6]))": (IndexError, "index out of range in self"),
    "T.arange(6.0).index_select(0, T.tensor([1.0]))":
        (RuntimeError, "index_select(): Expected dtype int32 or int64 for index"),
    "T.arange(6)[1.5]": (IndexError, "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
        "valid indices (got float)"),
    "T.arange(6)[{}]": (IndexError, "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
        "valid indices (got dict)"),
    "T.arange(6)[T.tensor([True, False])]": (IndexError, "The shape of the mask [2] at index 0 does not match the shape of "
        "the indexed tensor [6] at index 0"),
    "T.ones(2, 3)[:, T.tensor([True, False])]": (IndexError, "The shape of the mask [2] at index 0 does not match the shape "
        "of the indexed tensor [2, 3] at index 1"),
    "T.ones(2, 3)[T.tensor([0, 1]), T.tensor([0, 1, 2])]": (IndexError, "shape mismatch: indexing tensors could not be "
        "broadcast together with shapes [2], [3]"),
    "T.arange(6)[2:4:0]": (ValueError, "slice step cannot be zero"),
    "T.arange(6)[T.tensor(1.0) : 3]": (TypeError, "only integer tensors of a single element can be converted to an index"),
    # The largest of none.
    "T.zeros(0, 3).max(0)": (IndexError, "max(): Expected reduction dim 0 to have non-zero size."),
    "T.zeros(0, 3).argmin(0)": (IndexError, "argmin(): Expected reduction dim 0 to have non-zero size."),
    "T.zeros(0, 3).argmax()":
        (IndexError, "argmax(): Expected reduction dim to be specified for input.numel() == 0."),
    "T.zeros(0, 3).amax(0)": (IndexError, "amax(): Expected reduction dim 0 to have non-zero size."),
    "T.zeros(0, 3).amin()": (RuntimeError, "amin(): Expected reduction dim to be specified for input.numel() == 0. Specify "
        "the reduction dim with the 'dim' argument."),
    "T.zeros(0, 3).kthvalue(1, 0)": (IndexError, "kthvalue(): Expected reduction dim 0 to have non-zero size."),
    "T.zeros(0, 3).norm(p=float('inf'))": (RuntimeError, "linalg.vector_norm cannot compute the inf norm on an empty tensor "
        "because the operation does not have an identity"),
    # Shapes.
    "T.ones(0, 3).reshape(-1, 0)": (RuntimeError, "cannot reshape tensor of 0 elements into shape [-1, 0] because the "
        "unspecified dimension size -1 can be any value and is ambiguous"),
    "T.ones(2, 3).reshape('a')": (TypeError, "reshape(): argument 'shape' (position 1) must be tuple of ints, not str"),
    "T.ones(T.tensor(2.0))": (TypeError, "ones(): argument 'size' (position 1) must be tuple of ints, not Tensor"),
    "T.ones(3).expand(-1, 3)": (RuntimeError, "The expanded size of the tensor (-1) isn't allowed in a leading, "
        "non-existing dimension 0"),
    "T.ones(2, 3).expand(3)": (RuntimeError, "expand(torch.FloatTensor{[2, 3]}, size=[3]): the number of sizes provided (1) "
        "must be greater or equal to the number of dimensions in the tensor (2)"),
    "T.ones(3).mT":
        (RuntimeError, "tensor.mT is only supported on matrices or batches of matrices. Got 1-D tensor."),
    "T.cat([])": (ValueError, "torch.cat(): expected a non-empty list of Tensors"),
    "T.cat([T.ones(2), 1])": (TypeError, "expected Tensor as element 1 in argument 0, but got int"),
    "T.cat(T.ones(2))": (TypeError, "cat(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor"),
    # Products.
    "T.ones(5, 2, 3) @ T.ones(4, 3, 2)":
        (RuntimeError, "The size of tensor a (5) must match the size of tensor b (4) at non-singleton dimension 0"),
    "T.ones(5, 2, 3) @ T.ones(4, 2)": (RuntimeError, "mat1 and mat2 shapes cannot be multiplied (10x3 and 4x2)"),
    "T.bmm(T.ones(5, 2, 3), T.ones(4, 3, 2))":
        (RuntimeError, "Expected size for first two dimensions of batch2 tensor to be: [5, 3] but got: [4, 3]."),
    "T.ones(2, 3) @ 3": (TypeError, "unsupported operand type(s) for @: 'Tensor' and 'int'"),
    "3 @ T.ones(2, 3)": (TypeError, "unsupported operand type(s) for @: 'int' and 'Tensor'"),
    # Masks.
    "T.ones(2).masked_fill(T.tensor([1, 0]), 9)":
        (RuntimeError, "masked_fill_ only supports boolean masks, but got mask with dtype long int"),
    "T.ones(2).masked_scatter(T.tensor([True, True]), T.ones(1))":
        (RuntimeError, "Number of elements of source < number of ones in mask"),
    # Numbers.
    "float(T.ones(2))": (ValueError, "only one element tensors can be converted to Python scalars"),
    "int(T.tensor(float('nan')))": (ValueError, "cannot convert float NaN to integer"),
    "'a' in T.ones(2)":
        (RuntimeError, "Tensor.__contains__ only supports Tensor or scalar, but you passed in a <class 'str'>."),
    "T.set_default_dtype(T.int32)": (TypeError, "only floating-point types are supported as the default type"),
    "T.ones(1, dtype=T.int64) + T.ones(1, dtype=T.uint64)": (RuntimeError, "Promotion for uint16, uint32, uint64 types is "
        "not supported, attempted to promote Long and UInt64"),
}  # fmt: skip


@pytest.mark.parametrize("call", REFUSED)
def test_refused(T: Any, call: str) -> None:
    with refused(*REFUSED[call]):
        eval(call, {"T": T})


EMPTY: dict[str, tuple[int, ...]] = {
    "T.zeros(0, 3).logsumexp(1)": (0,),
    "T.zeros(0, 3).log_softmax(1)": (0, 3),
    "T.zeros(0, 3).max(1).values": (0,),
    "T.zeros(0, 3).argmax(1)": (0,),
    "T.zeros(0, 3).norm(p=float('inf'), dim=1)": (0,),
    "T.zeros(0, 3).gather(0, T.zeros(0, 3, dtype=T.int64))": (0, 3),
    "T.zeros(0, 3).index_select(0, T.zeros(0, dtype=T.int64))": (0, 3),
    "T.zeros(2, 0) @ T.zeros(0, 3)": (2, 3),
    "T.zeros(5, 2, 0) @ T.zeros(0, 3)": (5, 2, 3),
}


@pytest.mark.parametrize("call", EMPTY)
def test_empty(T: Any, call: str) -> None:
    found = eval(call, {"T": T})
    assert tuple(found.shape) == EMPTY[call]
    assert not found.sum()


def test_strides_of_what_is_empty(T: Any) -> None:
    assert T.ones(0, 3).stride() == (3, 1)
    assert T.ones(2, 0, 3).stride() == (3, 3, 1)


def test_numbers_beyond_int64(T: Any) -> None:
    assert int(T.tensor(1e19, dtype=T.float64)) == 10**19


def test_sizes_are_multiplied(T: Any) -> None:
    assert type(T.Size([1, 2]) * 2) is T.Size
    assert T.Size([1, 2]) * 2 == (1, 2, 1, 2)


DTYPES = [d.name for d in torch.dtypes.ALL]


@pytest.mark.parametrize("a", DTYPES)
def test_promotion(a: str) -> None:
    """``promote_types``, ``can_cast`` and an operation, of every pair of dtypes as PyTorch has them."""
    T = pytest.importorskip("torch")

    def outcome(T: Any, ask: Any, b: str) -> str:
        try:
            return str(ask(T, getattr(T, a), getattr(T, b)))
        except RuntimeError as e:
            return str(e)

    questions = (
        lambda T, a, b: T.promote_types(a, b),
        lambda T, a, b: T.can_cast(a, b),
        lambda T, a, b: T.result_type(T.ones(1, dtype=a), T.ones((), dtype=b)),
    )
    for ask in questions:
        for b in DTYPES:
            right = outcome(T, ask, b)
            assert right in (outcome(torch, ask, b), "torch.complex32"), b  # which NumPy does not have


def test_an_error_names_the_class_that_users_know() -> None:
    with pytest.raises(TypeError, match=r"^Tensor\.tolist\(\)"):
        torch.ones(1).tolist(1)  # type: ignore[call-arg]
    assert np.ndim(torch.ones(1).tolist()) == 1


class Width(enum.IntEnum):
    TWO = 2


def test_numbers_of_other_kinds_are_numbers(T: Any) -> None:
    x, c = T.ones(2), T.tensor([True, False])
    for y in (x * Width.TWO, Width.TWO * x, T.where(c, x, Width.TWO), T.where(c, np.float64(3), x), x.clamp(max=np.float64(0.5)),
              x.clamp(Width.TWO), T.add(x, np.float64(2))):  # fmt: skip
        assert y.dtype == T.float32
    assert (x * Width.TWO).tolist() == [2, 2] and T.where(c, x, Width.TWO).tolist() == [1, 2]
    assert x.clamp(Width.TWO).tolist() == [2, 2] and T.where(c, 1, 2.5).tolist() == [1, 2.5]

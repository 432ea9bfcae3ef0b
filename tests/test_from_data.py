"""Tensors from Python's data, from sizes and numbers: what is taken, as what, and in which words the rest is refused."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

from both import T, refused

__all__ = ["T"]


class Sequence:
    """What Python takes for a sequence, and is no list."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, i: int) -> float:
        if i > 1:
            raise IndexError
        return float(i)


# Data, and what torch.tensor makes of it: dtype, shape and numbers.
MADE: dict[str, tuple[Any, str, tuple[int, ...], list[Any]]] = {
    "a NumPy float keeps its dtype": (np.float64(1), "float64", (), [1]),
    "also beside Python's": ([np.float32(1), 2.5], "float32", (2,), [1, 2.5]),
    "and widens none": ([np.float32(1), 1], "float32", (2,), [1, 1]),
    "two integer dtypes": ([np.int8(1), np.uint8(2)], "int16", (2,), [1, 2]),
    "a truth among small integers": ([np.int8(1), True], "int8", (2,), [1, 1]),
    "complex and double": ([1j, np.float64(2)], "complex128", (2,), [1j, 2]),
    "rows of NumPy": ([np.array([1, 2]), np.array([3, 4])], "int64", (2, 2), [1, 2, 3, 4]),
    "a row of NumPy and a list": ([np.array([1.0, 2.0]), [3.0, 4.0]], "float64", (2, 2), [1, 2, 3, 4]),
    "rows without end": ([[], [1]], "float32", (2, 0), []),
    "any sequence": (Sequence(), "float32", (2,), [0, 1]),
    "bytes that can be written": (bytearray(b"ab"), "int64", (2,), [97, 98]),
    "a range of ranges": ([range(2), range(2)], "int64", (2, 2), [0, 1, 0, 1]),
    "beyond int64, beside a float": ([2**70, 1.5], "float32", (2,), [2**70, 1.5]),
}


@pytest.mark.parametrize("case", MADE)
def test_made(T: Any, case: str) -> None:
    data, dtype, shape, numbers = MADE[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch finds lists of arrays slow
        t = T.tensor(data)
    assert (t.dtype, tuple(t.shape)) == (getattr(T, dtype), shape)
    assert np.array_equal(t.numpy().ravel(), np.array(numbers, dtype))


def test_tensors_among_the_elements(T: Any) -> None:
    """Each stands for its number, whatever its dimensions."""
    assert T.tensor([T.tensor([1.0]), T.tensor([[2.0]])]).tolist() == [1.0, 2.0]
    assert T.tensor([T.tensor(1), 2.5]).dtype == T.float32
    with refused(ValueError, "only one element tensors can be converted to Python scalars"):
        T.tensor([T.tensor([1.0, 2.0]), T.tensor([3.0, 4.0])])
    with pytest.warns(UserWarning, match="Converting a tensor with requires_grad=True to a scalar"):
        assert not T.tensor([T.tensor(1.0, requires_grad=True)]).requires_grad


def test_too_large_for_the_dtype_is_infinite(T: Any) -> None:
    """And there is no word about it."""
    assert T.tensor(1e40).item() == T.tensor([1e40])[0].item() == float("inf")
    assert T.tensor([1e10], dtype=T.float16).item() == float("inf")


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [(-1, "uint8", 255), (-255, "uint8", 1), (3.7, "uint8", 3), (-128, "int8", -128), (0.5, "bool", True),
     (2**64 - 1, "uint64", 2**64 - 1), (np.float64(3.7), "int64", 3), (2**63, "float32", 2.0**63)],
)  # fmt: skip
def test_a_number_as_a_dtype(T: Any, value: Any, dtype: str, expected: Any) -> None:
    d = getattr(T, dtype)
    assert T.tensor(value, dtype=d).item() == T.tensor([value], dtype=d)[0].item() == expected


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(300, "uint8"), (-256, "uint8"), (-3.7, "uint8"), (-129, "int8"), (2**40, "int32"), (float("inf"), "int32"),
     (float("nan"), "int64"), (np.int64(300), "uint8"), (70000, "uint16")],
)  # fmt: skip
def test_a_number_that_a_dtype_has_not(T: Any, value: Any, dtype: str) -> None:
    for data in (value, [value]):
        with refused(RuntimeError, f"value cannot be converted to type {dtype} without overflow"):
            T.tensor(data, dtype=getattr(T, dtype))


REFUSED: dict[str, tuple[type[Exception], str]] = {
    "T.tensor('a')": (TypeError, "new(): invalid data type 'str'"),
    "T.tensor(['a'])": (ValueError, "too many dimensions 'str'"),
    "T.tensor([1, 'a'])": (TypeError, "new(): invalid data type 'str'"),
    "T.tensor(b'ab')": (TypeError, "new(): invalid data type 'bytes'"),
    "T.tensor(None)": (RuntimeError, "Could not infer dtype of NoneType"),
    "T.tensor([1, None])": (RuntimeError, "Could not infer dtype of NoneType"),
    "T.tensor([None], dtype=T.float32)": (TypeError, "must be real number, not NoneType"),
    "T.tensor({1: 2})": (RuntimeError, "Could not infer dtype of dict"),
    "T.tensor({1})": (RuntimeError, "Could not infer dtype of set"),
    "T.tensor([[1], 2])": (TypeError, "not a sequence"),
    "T.tensor([1, [2]])": (TypeError, "'list' object cannot be interpreted as an integer"),
    "T.tensor([[1, 2], [3]])": (ValueError, "expected sequence of length 2 at dim 1 (got 1)"),
    "T.tensor([1j], dtype=T.float32)": (TypeError, "must be real number, not complex"),
    "T.tensor(1j, dtype=T.int64)": (TypeError, "'complex' object cannot be interpreted as an integer"),
    "T.tensor(2**63)": (ValueError, "Overflow when unpacking long long"),
    "T.tensor([2**63])": (ValueError, "Overflow when unpacking long long"),
    "T.tensor(np.array([None]))": (TypeError, "can't convert np.ndarray of type numpy.object_. The only supported types "
        "are: float64, float32, float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, "
        "uint8, and bool."),
    "T.tensor(np.array([1], '>i4'))": (ValueError, "given numpy array has byte order different from the native byte "
        "order. Conversion between byte orders is currently not supported."),
    "T.Tensor(1.5)": (TypeError, "new(): data must be a sequence (got float)"),
    "T.Tensor([1j])": (TypeError, "must be real number, not complex"),
    "T.asarray([1, 2], copy=False)": (ValueError, "can't alias arbitrary sequence into a tensor."),
    "T.asarray(T.ones(1), dtype=T.float64, copy=False)":
        (ValueError, "can't alias tensor with dtype 'Float' into dtype 'Double'."),
    "T.zeros(2.5)": (TypeError, "zeros(): argument 'size' (position 1) must be tuple of ints, not float"),
    "T.ones('a')": (TypeError, "ones(): argument 'size' (position 1) must be tuple of ints, not str"),
    "T.ones((2, None))": (TypeError, "ones(): argument 'size' failed to unpack the object at pos 2 with error \"type must "
        'be tuple of ints,but got NoneType"'),
    "T.zeros()": (TypeError, 'zeros() missing 1 required positional arguments: "size"'),
    "T.ones(2, -1)": (RuntimeError, "Trying to create tensor with negative dimension -1: [2, -1]"),
    "T.eye(-1)": (RuntimeError, "n must be greater or equal to 0, got -1"),
    "T.arange(0, float('inf'))": (RuntimeError, "unsupported range: 0 -> inf"),
    "T.arange(0.0, 1.0, 0.25, dtype=T.int64)": (ValueError, "step must be nonzero"),
    "T.arange(3, dtype=T.bool)": (NotImplementedError, "\"arange_cpu\" not implemented for 'Bool'"),
    "T.full((2,), 1e300)": (RuntimeError, "value cannot be converted to type float without overflow"),
    "T.full((2,), 'a')": (TypeError, "full(): argument 'fill_value' (position 2) must be Number, not str"),
    "T.full_like(T.ones(2, dtype=T.int8), 300)":
        (RuntimeError, "value cannot be converted to type int8_t without overflow"),
    "T.ones(2).new_full((2,), 1e300)": (RuntimeError, "value cannot be converted to type float without overflow"),
    "T.ones(2).new_ones(2.5)": (TypeError, "new_ones(): argument 'size' (position 1) must be tuple of ints, not float"),
    "T.zeros_like([1])": (TypeError, "zeros_like(): argument 'input' (position 1) must be Tensor, not list"),
    "T.zeros(2, dtype=T.float32, out=T.ones(2, dtype=T.int64))":
        (RuntimeError, "dtype Float does not match dtype of out parameter (Long)"),
}  # fmt: skip


@pytest.mark.parametrize("call", REFUSED)
def test_refused(T: Any, call: str) -> None:
    with refused(*REFUSED[call]):
        eval(call, {"T": T, "np": np})


def test_out_is_what_is_filled(T: Any) -> None:
    out = T.ones(2, dtype=T.int64)
    assert T.zeros(2, out=out) is out
    assert out.tolist() == [0, 0]
    for call in (T.arange(2, out=out), T.linspace(0, 1, 2, out=out)):
        assert call is out
        assert out.tolist() == [0, 1]
    assert T.full((2,), 3, out=out).tolist() == [3, 3]
    assert T.eye(2, out=T.ones(2, 2)).tolist() == [[1, 0], [0, 1]]


def test_integers_in_a_range_are_exact(T: Any) -> None:
    assert T.arange(2**62, 2**62 + 3).tolist() == [2**62, 2**62 + 1, 2**62 + 2]
    assert T.arange(10, 0, -4).tolist() == [10, 6, 2]


def test_a_copy_in_row_major_order_if_that_is_asked_for(T: Any) -> None:
    x = T.ones(2, 3).t()
    assert T.zeros_like(x).stride() == (1, 3)
    assert T.zeros_like(x, memory_format=T.contiguous_format).stride() == (2, 1)


def test_operators_whose_family_is_not_imported_yet() -> None:
    """In a fresh process, each is there before the family is: nothing of Tensor comes with a family unannounced."""
    code = """
import chainrule as T
from chainrule.ops import load_all
before = set(dir(T.Tensor))
assert (T.tensor([1, 2]) << 1).tolist() == [2, 4]
load_all()
assert set(dir(T.Tensor)) == before, set(dir(T.Tensor)) - before
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.returncode, done.stderr


def test_new_tensor(T: Any) -> None:
    x = T.ones(2, dtype=T.float64)
    assert str(x.new_tensor([1, 2])) == "tensor([1., 2.], dtype=torch.float64)"
    assert str(x.new_tensor([1, 2], dtype=T.int64)) == "tensor([1, 2])"
    assert x.new_tensor(3.0, requires_grad=True).requires_grad
    data = np.ones(2)
    copy = x.new_tensor(data)
    data[0] = 5
    assert copy.tolist() == [1.0, 1.0]
    with pytest.warns(UserWarning, match="rather than tensor.new_tensor"):
        assert x.new_tensor(T.ones(1)).dtype == T.float64

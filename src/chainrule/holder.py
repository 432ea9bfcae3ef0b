"""Holder: what can be asked of the array that a tensor holds, and needs nothing of its history."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes, errors
from .arrays.namespace import dtype_of, is_numpy
from .errors import explained
from .methods import TensorMethods
from .node import Box

if TYPE_CHECKING:
    from .tensor import Tensor


class Holder(TensorMethods, Box):
    """The part of a Tensor that answers for its array: what it is like, and what numbers are in it."""

    __slots__ = ()
    _a: Any
    _rg: bool

    def _own(self) -> Any:
        """The array itself, made one that can be shared: NumPy's 0-d results are immutable scalars."""
        a = self._a
        if isinstance(a, np.generic):
            try:
                self._a = a = np.array(a)
            except MemoryError as e:
                raise errors.no_memory("a number that others are to share", e) from None
        return a

    def _value(self, asked: str) -> Any:
        """What stands for this tensor where numbers are ``asked`` for: by item(), bool() or numpy()."""
        return self._a

    # --- of what kind it is ---

    @property
    def _dtype(self) -> np.dtype[Any]:
        return dtype_of(self._a)

    if TYPE_CHECKING:

        @property
        def _shape(self) -> tuple[int, ...]: ...
    else:  # the shape as a plain tuple; a transform's array may hide axes of what it holds
        _shape = property(attrgetter("_a.shape"))

    @property
    def shape(self) -> dtypes.Size:
        """The length of each axis, a ``Size``, which is a tuple."""
        return dtypes.Size(self._shape)

    @property
    def dtype(self) -> dtypes.dtype:
        """The kind of its numbers, such as ``torch.float32``."""
        return dtypes._BY_NUMPY[dtype_of(self._a)]

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self._shape)

    def dim(self) -> int:
        """How many axes it has: 0 for a number, 2 for a matrix."""
        return len(self._shape)

    ndimension = dim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of axis ``dim``.  IndexError if there is no such axis."""
        return self.shape if dim is None else self._shape[self._dim(dim)]

    def numel(self) -> int:
        """How many numbers it holds: 6 for shape (2, 3), 1 for ()."""
        return dtypes.Size(self._shape).numel()

    nelement = numel

    def _dim(self, dim: int) -> int:
        """``dim`` as a non-negative index, or PyTorch's error."""
        n = len(self._shape)
        if not -max(n, 1) <= dim < max(n, 1):
            raise IndexError(errors.dim_range(dim, n))
        return dim % max(n, 1)

    def element_size(self) -> int:
        """The bytes of one number: 4 for float32."""
        return self._dtype.itemsize

    @property
    def itemsize(self) -> int:
        """The bytes of one number: 4 for float32."""
        return self._dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of all its numbers."""
        return self.numel() * self.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """How many numbers lie from one entry to the next along each axis, or along ``dim``: (3, 1) for shape (2, 3)."""
        a = self._laid()
        plain = is_numpy(a) and a.size and a.ndim == len(self._shape)  # inside vmap an array has an axis more
        strides = tuple(s // a.itemsize for s in a.strides) if plain else _dense(self.shape)
        return strides if dim is None else strides[self._dim(dim)]

    def is_contiguous(self) -> bool:
        """Whether its numbers lie in memory in the order of its entries; not so after ``x.T``."""
        a = self._laid()
        return not isinstance(a, np.ndarray) or a.flags.c_contiguous

    def _laid(self) -> Any:
        """The array, or one that lies in memory as it will, if what is done is written down."""
        if isinstance(self._a, np.ndarray):
            return self._a
        from .random.generator import recorder

        writer = recorder.get()
        return self._a if writer is None else writer.layout(self._a)

    def data_ptr(self) -> int:
        """The address of its first number."""
        return int(self._own().__array_interface__["data"][0])

    def is_floating_point(self) -> bool:
        """Whether its numbers are real floating point numbers."""
        return self._dtype.kind == "f"

    def is_complex(self) -> bool:
        """Whether its numbers are complex."""
        return self._dtype.kind == "c"

    @property
    def layout(self) -> Any:
        """``torch.strided``: the only layout here."""
        from .device import strided

        return strided

    @property
    def device(self) -> Any:
        """``device(type='cpu')``: the only device here."""
        from .device import device

        return device("cpu")

    is_cpu = True
    is_cuda = is_ipu = is_maia = is_meta = is_mps = is_mtia = is_vulkan = is_xla = is_xpu = False
    is_mkldnn = is_nested = is_quantized = is_sparse = is_sparse_csr = False

    # --- its numbers ---

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """The same memory as a NumPy array; refused while a gradient is wanted, unless ``force``."""
        if self._rg and not force:
            raise explained(RuntimeError(errors.no_numpy()), "numpy", self)
        a = self._own()
        return a if type(a) is np.ndarray and self._rank == 2 else np.asarray(ground(self))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        a = self.numpy()
        return np.array(a, dtype, copy=copy)

    def item(self) -> Any:
        """The only element as a Python number."""
        a = ground(self, "item")
        if self.numel() != 1:
            raise explained(
                RuntimeError(
                    f"a Tensor with {self.numel()} elements cannot be converted to Scalar"
                    "\nReduce it first (x.sum().item()), pick one (x[0].item()), or take all: x.tolist()."
                )
            )
        return a.item() if hasattr(a, "item") else np.asarray(a).item()

    def tolist(self) -> Any:
        """Its numbers as Python's, in lists as nested as it has axes; of a number that number alone."""
        return np.asarray(ground(self)).tolist()

    def __bool__(self) -> bool:
        a = ground(self, "bool") if self._rank > 2 else None
        n = self.numel()
        if n != 1:
            many = "more than one value" if n else "no values"
            raise explained(
                RuntimeError(
                    f"Boolean value of Tensor with {many} is ambiguous"
                    "\nSay which is meant: (x > 0).all() or (x > 0).any()."
                )
            )
        return bool(self.item() if a is None else a)

    def _scalar(self, stacklevel: int = 3) -> Any:
        if self.numel() != 1:
            raise explained(
                ValueError(
                    "only one element tensors can be converted to Python scalars"
                    f"\nThis one has {self.numel()}. Reduce it first, float(x.sum()), or take all: x.tolist()."
                )
            )
        if self._rg:
            warnings.warn(
                "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
                "Consider using tensor.detach() first.",
                UserWarning, stacklevel=stacklevel,
            )  # fmt: skip
        return self.item()

    def __float__(self) -> float:
        return float(dtypes.number_as(self._scalar(), dtypes.float64.np))

    def __int__(self) -> int:
        value = self._scalar()
        return int(dtypes.number_as(value, dtypes.int64.np) if isinstance(value, complex) else value)

    def __complex__(self) -> complex:
        return complex(self._scalar())

    def __index__(self) -> int:
        if self._dtype.kind not in "iub" or self.numel() != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("len() of a 0-d tensor")
        return int(self._shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        if not self._shape:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, value: Any) -> bool:
        if not isinstance(value, (Box, bool, int, float, complex)):
            raise RuntimeError(
                f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(value)}."
            )
        return bool((self == value).any())

    __hash__ = object.__hash__


def ground(a: Any, asked: str = "numpy") -> Any:
    """The plain array at the bottom; for an array that stands for many or for none, an error that says so."""
    while isinstance(a, Box):
        a = a._value(asked) if isinstance(a, Holder) else a._no_value()
    return a


def _dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, n = [], 1
    for length in reversed(shape):
        strides.append(n)
        n *= max(length, 1)
    return tuple(reversed(strides))


for _name, _member in list(vars(Holder).items()):  # a TypeError about arguments names the class that users know
    if callable(_member) and hasattr(_member, "__code__"):
        _member.__qualname__ = f"Tensor.{_name}"

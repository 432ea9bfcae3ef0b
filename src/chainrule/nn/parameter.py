"""Parameters: the tensors that a module learns; and buffers, those it only keeps."""

from __future__ import annotations

import copy
from typing import Any

from ..creation import empty
from ..errors import explained
from ..tensor import Tensor, init, wrap


class Parameter(Tensor):
    """A tensor that becomes one of a module's parameters when it is assigned to an attribute.

    ``data`` is a tensor of any shape, whose memory is shared; without it the parameter is empty.  A gradient
    is wanted unless ``requires_grad`` is False, also inside ``no_grad``.  Raises RuntimeError where a
    gradient is wanted of integers, AttributeError for what is not a tensor.

    Source: ``torch.nn.Parameter``.

    >>> import chainrule as torch
    >>> torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is None:
            data = empty(0)
        elif not isinstance(data, Tensor):
            raise explained(
                AttributeError(
                    f"'{type(data).__name__}' object has no attribute 'detach'"
                    "\nA parameter is made of a tensor: nn.Parameter(torch.tensor([1.0, 2.0]))."
                )
            )
        if requires_grad and data._dtype.kind not in "fc":
            raise explained(
                RuntimeError(
                    "Only Tensors of floating point and complex dtype can require gradients"
                    f"\nThis one is {data.dtype}. Convert it, nn.Parameter(x.float()), or say requires_grad=False."
                )
            )
        init(self, data._own(), requires_grad)
        self._v = data._cell()
        if data._rank != 2:
            self._rank = data._rank

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """A parameter with memory of its own and, as in PyTorch, without the gradient."""
        found = memo[id(self)] = type(self)(self._wrap(copy.deepcopy(self._a, memo)), self._rg)
        return found


class _Marked(type):
    """Makes ``isinstance(tensor, Buffer)`` true for the plain tensors that ``Buffer(...)`` returns."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and getattr(instance, "_is_buffer", False)


class Buffer(metaclass=_Marked):
    """A tensor that becomes one of a module's buffers when it is assigned to an attribute.

    Saved in ``state_dict()`` unless ``persistent`` is False.

    Source: ``torch.nn.Buffer``.

    >>> import chainrule as torch
    >>> torch.nn.Buffer(torch.zeros(2))
    tensor([0., 0.])
    """

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        """A plain tensor over ``data``'s memory, marked."""
        data = empty(0) if data is None else data
        t: Any = data.detach()
        t._rg = data._rg
        t.persistent, t._is_buffer = persistent, True
        return t


class _Uninitialized:
    """A tensor whose shape is not known yet: whoever asks for more than its dtype is told so."""

    __slots__ = ()
    _becomes: type[Tensor]
    requires_grad: bool

    def __getattribute__(self, name: str) -> Any:
        if name in _KNOWN_BEFORE or name[:2] == "__":
            return object.__getattribute__(self, name)
        if name in ("shape", "size"):
            raise RuntimeError(
                "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
                "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` "
                "to initialize the parameters before accessing their attributes."
            )
        cls, asked = type(self).__name__, name.strip("_")
        raise ValueError(
            f"Attempted to use an uninitialized parameter in {asked}. This error happens when you are using a `LazyModule` "
            f"or explicitly manipulating `torch.nn.parameter.{cls}` objects. When using LazyModules Call `forward` with a "
            "dummy batch to initialize the parameters before calling torch functions"
        )

    @property
    def data(self) -> Tensor:
        """An empty tensor of the dtype that this one is going to have."""
        return wrap(_array.__get__(self))

    @data.setter
    def data(self, value: Tensor) -> None:
        _array.__set__(self, _array.__get__(value))

    @property
    def _dtype(self) -> Any:
        return _array.__get__(self).dtype

    @property
    def dtype(self) -> Any:
        """The dtype that this tensor is going to have."""
        return self.data.dtype

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Become an ordinary tensor of this shape, whose values are still to be set."""
        self.data = empty(shape, device=device, dtype=self.dtype if dtype is None else dtype)
        self.__class__ = self._becomes  # type: ignore[assignment]

    def detach(self) -> Any:
        """This tensor: there is nothing to share."""
        return self

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """One that is going to have another dtype."""
        return type(self)(self.requires_grad, dtype=self.data.to(*args, **kwargs).dtype)  # type: ignore[call-arg]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        found = memo[id(self)] = self.to()
        return found

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.requires_grad, None, self.dtype)


_array: Any = Tensor._a  # the slot itself, for a class that hides it
_KNOWN_BEFORE = frozenset((
    "_becomes", "_dtype", "_grad", "_is_buffer", "_meta", "_node", "_rg", "_v", "data", "detach", "device", "dtype", "grad",
    "is_complex", "is_floating_point", "is_leaf", "materialize", "persistent", "requires_grad", "requires_grad_", "to",
))  # fmt: skip


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter whose shape is known once :meth:`materialize` is told it; until then little can be asked of it.

    Source: ``torch.nn.parameter.UninitializedParameter``.

    >>> import chainrule as torch
    >>> w = torch.nn.UninitializedParameter()
    >>> w
    <UninitializedParameter>
    >>> w.materialize((2, 3))
    >>> w.shape
    torch.Size([2, 3])
    """

    __slots__ = ()
    _becomes = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        init(self, empty(0, device=device, dtype=dtype)._a, requires_grad)


class UninitializedBuffer(_Uninitialized, Tensor):
    """A buffer whose shape is known once :meth:`materialize` is told it.

    Source: ``torch.nn.parameter.UninitializedBuffer``.

    >>> import chainrule as torch
    >>> torch.nn.UninitializedBuffer()
    <UninitializedBuffer>
    """

    __slots__ = ()
    _becomes = Tensor

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> None:
        init(self, empty(0, device=device, dtype=dtype)._a, requires_grad)
        self.persistent, self._is_buffer = persistent, True


def is_lazy(param: Any) -> bool:
    """Whether ``param`` is a parameter or buffer without a shape.

    Source: ``torch.nn.parameter.is_lazy``.

    >>> is_lazy(UninitializedBuffer())
    True
    """
    return isinstance(param, _Uninitialized)


def typename(obj: Any) -> str:
    """The name of what ``obj`` is, as PyTorch's messages give it: "torch.FloatTensor", "int", "my.Layer".

    Source: ``torch.typename``.

    >>> typename(3.0)
    'float'
    """
    if isinstance(obj, Tensor):
        return str(obj.type())
    cls = obj if isinstance(obj, type) else type(obj)
    return cls.__qualname__ if cls.__module__ in ("builtins", None) else f"{cls.__module__}.{cls.__qualname__}"

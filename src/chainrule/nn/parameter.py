"""Parameters: the tensors that a module learns; and buffers, those it only keeps."""

from __future__ import annotations

import copy
from typing import Any

from ..creation import empty
from ..errors import explained
from ..tensor import Tensor, init


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

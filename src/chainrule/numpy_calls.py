"""NumPy's functions of tensors: ``np.sin(x)`` is ``torch.sin(x)``, with its gradient.

NumPy asks a tensor for the value of each of its elementwise functions (``__array_ufunc__``).  Where there is an operation
of that meaning, the answer is that operation's.  Where there is none, NumPy computes on the tensor's memory, as it does
where an array is to be written to; that is refused where a gradient would be lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .ops import find, functions, public
from .tensor import Tensor, wrap

_OTHER_NAMES = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "bitwise_count": "", "conjugate": "conj", "degrees": "rad2deg",
    "divide": "div", "equal": "eq", "fabs": "abs", "greater": "gt", "greater_equal": "ge", "invert": "bitwise_not",
    "left_shift": "bitwise_left_shift", "less": "lt", "less_equal": "le", "multiply": "mul", "negative": "neg",
    "not_equal": "ne", "power": "pow", "radians": "deg2rad", "right_shift": "bitwise_right_shift", "rint": "round",
    "subtract": "sub", "vecdot": "", "frexp": "", "modf": "", "divmod": "", "spacing": "",
}  # fmt: skip


def _function(ufunc: np.ufunc) -> Any:
    """The operation that means what ``ufunc`` does, if it is NumPy's own and there is one."""
    if getattr(np, ufunc.__name__, None) is not ufunc:
        return None
    name = _OTHER_NAMES.get(ufunc.__name__, ufunc.__name__)
    return public.get(name) or (find(name) if name in functions else None)


def _lifted(x: Any) -> Any:
    """An argument as operations take it: arrays as tensors over their memory, Python's numbers as they are."""
    return wrap(x) if isinstance(x, (np.ndarray, np.generic)) and not isinstance(x, (float, complex)) else x


def _array(x: Any) -> Any:
    return x.numpy() if isinstance(x, Tensor) else x


def array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """What ``ufunc``, or a method of it such as "reduce", gives: a tensor, or the array that was to be written to."""
    function = _function(ufunc) if method == "__call__" and not options else None
    if function is not None:
        return function(*map(_lifted, inputs))
    if any(isinstance(x, Tensor) for x in options.get("out", ())):
        return NotImplemented
    found = getattr(ufunc, method)(*map(_array, inputs), **{k: _array(v) for k, v in options.items()})
    if "out" in options or found is None:
        return found
    return tuple(map(_back, found)) if isinstance(found, tuple) else _back(found)


def _back(found: Any) -> Tensor:
    return wrap(np.asarray(found))


def array_wrap(self: Tensor, array: Any, context: Any = None, return_scalar: bool = False) -> Tensor:
    """What a function of NumPy's has made of this tensor's numbers, as a tensor."""
    return _back(array)


for _name, _member in {"__array_ufunc__": array_ufunc, "__array_wrap__": array_wrap}.items():
    setattr(Tensor, _name, _member)

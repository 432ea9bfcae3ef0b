"""NumPy's allocations of memory for arrays, counted, and one of them made to fail.

NumPy takes its memory from a handler that can be replaced through its C interface.  Ours counts the requests, refuses
one, and passes the others on to the handler before.  It is this thread's alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numpy._core import _multiarray_umath

NUMBER = 16  # bytes
Pointer, Size = ctypes.c_void_p, ctypes.c_size_t
Malloc = ctypes.PYFUNCTYPE(Pointer, Pointer, Size)
Calloc = ctypes.PYFUNCTYPE(Pointer, Pointer, Size, Size)
Realloc = ctypes.PYFUNCTYPE(Pointer, Pointer, Pointer, Size)


class Handler(ctypes.Structure):
    """``PyDataMem_Handler`` of ``numpy/ndarraytypes.h``."""

    _fields_ = (
        ("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("ctx", Pointer),
        ("malloc", Malloc), ("calloc", Calloc), ("realloc", Realloc), ("free", Pointer),
    )  # fmt: skip


def _python(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(ctypes.pythonapi, name)
    function.restype, function.argtypes = result, arguments
    return function


_pointer = _python("PyCapsule_GetPointer", Pointer, ctypes.py_object, ctypes.c_char_p)
_capsule = _python("PyCapsule_New", ctypes.py_object, Pointer, ctypes.c_char_p, Pointer)
_interface = ctypes.cast(_pointer(_multiarray_umath._ARRAY_API, None), ctypes.POINTER(Pointer))
_set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(_interface[304])
_get_handler = ctypes.PYFUNCTYPE(ctypes.py_object)(_interface[305])


class Requests:
    """How often memory was asked for, and which request, counted from 1, is refused.

    One number's worth is always granted: NumPy crashes if it cannot make an array of a scalar that is indexed.
    """

    def __init__(self, refuse: int) -> None:
        self.count, self.refuse = 0, refuse

    def grant(self, size: int) -> bool:
        self.count += size > NUMBER
        return size <= NUMBER or self.count != self.refuse

    @property
    def refused(self) -> bool:
        return 0 < self.refuse <= self.count


_now = Requests(0)
_usual = Handler.from_address(_pointer(_get_handler(), b"mem_handler"))
_ours = Handler(
    b"chainrule_tests", 1, _usual.ctx,
    Malloc(lambda ctx, n: _usual.malloc(ctx, n) if _now.grant(n) else None),
    Calloc(lambda ctx, n, size: _usual.calloc(ctx, n, size) if _now.grant(n * size) else None),
    Realloc(lambda ctx, at, n: _usual.realloc(ctx, at, n) if _now.grant(n) else None),
    _usual.free,
)  # fmt: skip


@contextmanager
def refusing(k: int) -> Iterator[Requests]:
    """Within, the ``k``-th request for an array's memory fails; none, if ``k`` is 0."""
    global _now
    _now = Requests(k)
    before = _set_handler(_capsule(ctypes.addressof(_ours), b"mem_handler", None))
    try:
        yield _now
    finally:
        _set_handler(before)

"""Calling: a kernel as a built-in function of Python.

``call`` takes the arguments apart, sees that arrays are what was declared, lets other threads run meanwhile, and
makes Python objects of the results.  It reads the fields of arrays and dtypes where NumPy has them; that they
are there is looked at once, before anything is compiled.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from . import mathlib
from .mathlib_ir import ir, stored_type, type_of

ENTRY = "call"
ARRAY_TYPE = "chainrule_ndarray"  # the symbol that stands for the address of numpy.ndarray
HEAD = object.__basicsize__  # bytes of an object before what is its own
FIELD = {name: HEAD + 8 * i for i, name in enumerate(["data", "nd", "dimensions", "strides", "base", "descr", "flags"])}
KIND, _ORDER, SIZE = HEAD + 8, HEAD + 10, HEAD + 24  # of a dtype: two characters, and bytes per entry
_FOREIGN = ord(">" if sys.byteorder == "little" else "<")
READY = 0x1 | 0x100  # flags of an array: C-contiguous, aligned


def write_call(kernel: Any) -> None:
    """Add to the module of a kernel the function that Python calls."""
    _Call(kernel).write()


class _Call:
    """The built-in function around a kernel: ``call(self, args, nargs)`` as Python's METH_FASTCALL has it."""

    def __init__(self, kernel: Any) -> None:
        self.kernel, self.module, self.pointer, self.word = kernel, kernel.module, kernel.pointer, kernel.word
        self.outside = kernel.outside
        kind = ir().FunctionType(self.pointer, [self.pointer, self.pointer, self.word])
        self.function = ir().Function(self.module, kind, ENTRY)
        self.builder = ir().IRBuilder(self.function.append_basic_block())
        self.null = ir().Constant(self.pointer, None)

    def write(self) -> None:
        b, k = self.builder, self.kernel
        parameters = k.parameters
        _, items, count = self.function.args
        self.expect(b.icmp_signed("==", count, self.word(len(parameters))))
        objects = [self.read(items, 8 * i, self.pointer) for i in range(len(parameters))]
        arrays = [(o, dtype) for o, (_, dtype, array) in zip(objects, parameters, strict=True) if array]
        if arrays:
            array_type = ir().GlobalVariable(self.module, ir().IntType(8), ARRAY_TYPE)
            for o, dtype in arrays:
                self.check(o, dtype, array_type)
        values = [
            self.read(o, FIELD["data"], self.pointer) if array else self.given(o, dtype)
            for o, (_, dtype, array) in zip(objects, parameters, strict=True)
        ]
        if len(arrays) < len(parameters):
            failed = b.icmp_unsigned("!=", b.call(self.outside("PyErr_Occurred", self.pointer, []), []), self.null)
            with b.if_then(failed, likely=False):
                b.ret(self.null)
        results = b.alloca(self.word, max(len(k.results), 1))
        inside = [*values, results]
        if [name for name, _, _ in parameters[:2]] == ["first", "last"]:
            several = b.icmp_signed(">", b.sub(values[1], values[0]), self.word(1))
            lost = b.alloca(ir().IntType(1))
            with b.if_else(several) as (then, otherwise):
                with then:  # enough work for others to run meanwhile
                    state = b.call(self.outside("PyEval_SaveThread", self.pointer, []), [])
                    b.store(b.call(k.function, inside), lost)
                    b.call(self.outside("PyEval_RestoreThread", ir().VoidType(), [self.pointer]), [state])
                with otherwise:
                    b.store(b.call(k.function, inside), lost)
            out_of_memory = b.load(lost, typ=ir().IntType(1))
        else:
            out_of_memory = b.call(k.function, inside)
        with b.if_then(out_of_memory, likely=False):
            b.ret(b.call(self.outside("PyErr_NoMemory", self.pointer, []), []))
        made = [self.made(self.read(results, 8 * i, stored_type(d)), d) for i, d in enumerate(k.results)]
        if len(made) == 1:
            b.ret(made[0])
            return
        whole = b.call(self.outside("PyTuple_New", self.pointer, [self.word]), [self.word(len(made))])
        put = self.outside("PyTuple_SetItem", ir().IntType(32), [self.pointer, self.word, self.pointer])
        for i, o in enumerate(made):
            b.call(put, [whole, self.word(i), o])
        b.ret(whole)

    def read(self, start: Any, offset: int, kind: Any) -> Any:
        at = self.builder.gep(start, [self.word(offset)], source_etype=ir().IntType(8))
        return self.builder.load(at, typ=kind)

    def expect(self, condition: Any) -> None:
        """Raise TypeError where a caller gave something else than was declared."""
        b = self.builder
        with b.if_then(b.not_(condition), likely=False):
            error = self.module.globals.get("PyExc_TypeError")
            error = error or ir().GlobalVariable(self.module, self.pointer, "PyExc_TypeError")
            tell = self.outside("PyErr_SetNone", ir().VoidType(), [self.pointer])
            b.call(tell, [b.load(error, typ=self.pointer)])
            b.ret(self.null)

    def check(self, o: Any, dtype: str, array_type: Any) -> None:
        b, letter, d = self.builder, ir().IntType(8), np.dtype(dtype)
        flags = b.and_(self.read(o, FIELD["flags"], ir().IntType(32)), ir().IntType(32)(READY))
        of = self.read(o, FIELD["descr"], self.pointer)
        for found in (
            b.icmp_unsigned("==", self.read(o, HEAD - 8, self.pointer), array_type),
            b.icmp_signed("==", flags, ir().IntType(32)(READY)),
            b.icmp_signed("==", self.read(of, KIND, letter), letter(ord(d.kind))),
            b.icmp_signed("!=", self.read(of, _ORDER, letter), letter(_FOREIGN)),
            b.icmp_signed("==", self.read(of, SIZE, self.word), self.word(d.itemsize)),
        ):
            self.expect(found)

    def given(self, o: Any, dtype: str) -> Any:
        """A Python number as a scalar."""
        b, k = self.builder, self.kernel
        if dtype == "bool":
            true = b.call(self.outside("PyObject_IsTrue", ir().IntType(32), [self.pointer]), [o])
            return b.icmp_signed(">", true, ir().IntType(32)(0))
        if dtype in mathlib.DTYPES:
            wide = b.call(self.outside("PyFloat_AsDouble", ir().DoubleType(), [self.pointer]), [o])
            return b.fptrunc(wide, type_of(dtype)) if dtype == "float32" else wide
        whole = b.call(self.outside("PyLong_AsLongLong", k.word, [self.pointer]), [o])
        return b.trunc(whole, type_of(dtype)) if dtype == "int32" else whole

    def made(self, raw: Any, dtype: str) -> Any:
        """A scalar as a Python number."""
        b = self.builder
        if dtype in mathlib.DTYPES:
            wide = b.fpext(raw, ir().DoubleType()) if dtype == "float32" else raw
            return b.call(self.outside("PyFloat_FromDouble", self.pointer, [ir().DoubleType()]), [wide])
        if dtype == "bool":
            return b.call(self.outside("PyBool_FromLong", self.pointer, [self.word]), [b.zext(raw, self.word)])
        whole = b.sext(raw, self.word) if dtype == "int32" else raw
        return b.call(self.outside("PyLong_FromLongLong", self.pointer, [self.word]), [whole])

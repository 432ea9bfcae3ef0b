"""Native: kernels as machine code, made by LLVM or found on disk, as built-in functions of Python.

A kernel becomes position-independent object code, which is kept (:mod:`.store`) under a digest of all that it
depends on.  Whether fresh or found, it is linked into the process the same way, and wrapped as Python wraps C
functions, so a call costs some fifty nanoseconds.  The wrapping holds the code: when nobody has the function
any more, its memory is given back.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib
import importlib.util
import itertools
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import calling, lower, store

_FASTCALL = 0x80  # METH_FASTCALL
_SYMBOLS = (
    "PyBool_FromLong", "PyErr_NoMemory", "PyErr_Occurred", "PyErr_SetNone", "PyEval_RestoreThread",
    "PyEval_SaveThread", "PyExc_TypeError", "PyFloat_AsDouble", "PyFloat_FromDouble", "PyLong_AsLongLong",
    "PyLong_FromLongLong", "PyMem_RawFree", "PyMem_RawMalloc", "PyObject_IsTrue", "PyTuple_New", "PyTuple_SetItem",
)  # fmt: skip
_SOURCES = (
    "calling.py",
    "lower.py",
    "mathlib.py",
    "mathlib_ir.py",
    "mathlib_kernels.py",
    "mathlib_tables.py",
    "lanes.py",
)
_lock = threading.RLock()  # LLVM works for one thread at a time
_numbers = itertools.count()


class _MethodDef(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("code", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]


class _Code:
    """What a function's machine code needs to stay in memory for."""

    __slots__ = ("__weakref__", "library", "method")

    def __init__(self, library: Any) -> None:
        self.library = library  # unloaded when this goes
        self.method = _MethodDef(b"kernel", library[calling.ENTRY], _FASTCALL, None)


@functools.cache
def available() -> bool:
    """Whether kernels can be compiled here: LLVM is installed, and objects lie in memory as expected."""
    if sys.implementation.name != "cpython" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    return importlib.util.find_spec("llvmlite") is not None and _as_expected(np.arange(6.0).reshape(2, 3))


def _as_expected(a: np.ndarray[Any, Any]) -> bool:
    """Whether the fields that kernels read are where they should be."""

    def word(at: int) -> int:
        return ctypes.c_int64.from_address(at).value

    fields, of = [word(id(a) + offset) for offset in calling.FIELD.values()], id(a.dtype)
    letter = ctypes.c_char.from_address(of + calling.KIND).value
    shown = [fields[0], fields[1] & 0xFFFFFFFF, word(fields[2]), word(fields[3]), fields[5], fields[6] & 0xFFFFFFFF]
    expected = [a.ctypes.data, 2, 2, 24, of, a.flags.num]
    return shown == expected and letter == a.dtype.kind.encode() and word(of + calling.SIZE) == 8


@functools.lru_cache(maxsize=1024)
def native(text: str) -> Callable[..., Any]:
    """The kernel that ``text`` defines; equal texts share it."""
    with _lock:
        key = hashlib.sha256(_situation() + text.encode()).hexdigest()
        code = store.read(key)
        if code is not None:
            try:
                return _linked(code)
            except RuntimeError:  # whole, and yet of no use here
                pass
        code = bytes(_machine().emit_object(optimised(text)))
        store.write(key, code)
        return _linked(code)


def lazily(text: str) -> Callable[..., Any]:
    """The kernel that ``text`` defines, compiled when it is first called."""
    return lambda *args: native(text)(*args)


# --- LLVM ---


@functools.cache
def _llvm() -> Any:
    llvm: Any = importlib.import_module("llvmlite.binding")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def features() -> dict[str, bool]:
    """What this machine's processor has, by LLVM's names."""
    return _llvm().get_host_cpu_features()  # type: ignore[no-any-return]


@functools.cache
def _situation() -> bytes:
    """What compiled code depends on beside its source."""
    llvm, here = _llvm(), Path(__file__).parent
    parts = [sys.version, np.__version__, calling.HEAD, importlib.import_module("llvmlite").__version__, llvm.llvm_version_info,
             llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]  # fmt: skip
    rules = [hashlib.sha256((here / name).read_bytes()).hexdigest() for name in ("native.py", *_SOURCES)]
    return repr(parts + rules).encode()


@functools.cache
def _machine() -> Any:
    """This machine, as a target of LLVM, and its optimiser."""
    llvm = _llvm()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return target.create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic", jit=True)


@functools.cache
def _linker() -> tuple[Any, dict[str, int]]:
    """The linker, and where what kernels refer to is."""
    symbols = {name: ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, name)) for name in _SYMBOLS}
    return _llvm().create_lljit_compiler(_machine()), {**symbols, calling.ARRAY_TYPE: id(np.ndarray)}


def optimised(text: str) -> Any:
    """The LLVM module of a kernel, optimised for this machine."""
    llvm, machine = _llvm(), _machine()
    module = llvm.parse_assembly(lower.lower(text))
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = options.loop_interleaving = options.loop_unrolling = True
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return module


def _linked(code: bytes) -> Callable[..., Any]:
    """Object code as a function of Python; RuntimeError if it does not fit."""
    linker, symbols = _linker()
    builder = _llvm().JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol(calling.ENTRY)
    for name, address in symbols.items():
        builder.import_symbol(name, address)
    held = _Code(builder.link(linker, f"chainrule{next(_numbers)}"))
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return make(ctypes.addressof(held.method), held, None)  # type: ignore[no-any-return]

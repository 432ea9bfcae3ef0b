"""Native: kernels as machine code, made by LLVM or found on disk, and the walker that calls them.

A kernel becomes position-independent object code, which is kept (:mod:`.store`) under a digest of all that it
depends on.  Whether fresh or found, it is linked into the process the same way.  A :class:`Code` holds it: when nobody has
that any more, its memory is given back.  Only the walker's stays, since threads run in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib
import importlib.util
import itertools
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..forks import renewed, whole
from ..settings import get_num_threads
from . import lower, products, store, walker

_FASTCALL, _KEYWORDS, _NOARGS = 0x80, 0x2, 0x4  # METH_FASTCALL, METH_KEYWORDS, METH_NOARGS
_SOURCES = (
    "lower.py",
    "mathlib.py",
    "mathlib_ir.py",
    "mathlib_kernels.py",
    "mathlib_tables.py",
    "lanes.py",
    "products.py",
    "walker.py",
    "walker_chain.py",
    "walker_guards.py",
    "walker_helpers.py",
    "walker_results.py",
    "walker_shortcut.py",
)
WALKER = "walker"  # the text that stands for it
_lock = whole(threading.RLock())  # one thread at a time, with helpers, compiles and links
_numbers = itertools.count()
_ready: dict[str, bytes] = {}  # object code that is about to be asked for, by its text
_here: weakref.WeakValueDictionary[str, Code] = weakref.WeakValueDictionary()  # by its text
_own = threading.local()  # what LLVM has for each thread


class _MethodDef(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("code", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]


class Code:
    """Machine code in memory, for as long as somebody has this."""

    __slots__ = ("__weakref__", "address", "library")

    def __init__(self, library: Any, entry: str) -> None:
        self.library = library  # unloaded when this goes
        self.address: int = library[entry]


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

    fields, of = [word(id(a) + offset) for offset in walker.FIELD.values()], id(a.dtype)
    letter = ctypes.c_char.from_address(of + walker.KIND).value
    shown = [fields[0], fields[1] & 0xFFFFFFFF, word(fields[2]), word(fields[3]), fields[5], fields[6] & 0xFFFFFFFF]
    expected = [a.ctypes.data, 2, 2, 24, of, a.flags.num]
    numbers: list[Any] = [np.float64(1.5), np.float32(1.5), np.int64(3), np.int32(3), np.bool_(True)]
    held = [ctypes.string_at(id(x) + walker.HEAD, x.itemsize) == x.tobytes() for x in numbers]
    held.append(ctypes.c_double.from_address(id(number := 1.5) + walker.HEAD).value == number)
    probe = _Probe()
    probe.second = held  # type: ignore[attr-defined]
    shown.append(word(id(probe) + slot(vars(_Probe)["second"])))
    expected.append(id(held))
    return shown == expected and letter == a.dtype.kind.encode() and word(of + walker.SIZE) == 8 and all(held)


@functools.lru_cache(maxsize=1024)
def native(text: str) -> Code:
    """The kernel that ``text`` defines; equal texts share it."""
    return _made(text, (lower.ENTRY,))


def natives(texts: Iterable[str]) -> dict[str, Code]:
    """The kernels that ``texts`` define, and the walker.  What is to be compiled is so by several threads at once."""
    distinct = [WALKER, *dict.fromkeys(texts)]
    with _lock:
        try:
            _prepare([t for t in distinct if t not in _here])
            _walker()
            return {t: native(t) for t in distinct[1:]}
        finally:
            _ready.clear()


def _prepare(texts: list[str]) -> None:
    found = {t: store.read(_key(t)) for t in texts}
    _ready.update({t: code for t, code in found.items() if code is not None})
    todo = sorted([t for t in texts if t not in _ready], key=len)

    def work() -> None:
        while todo:
            with contextlib.suppress(Exception):  # which comes again where the kernel is asked for
                text = todo.pop()
                _ready[text] = _compiled(text)

    helpers = [threading.Thread(target=work) for _ in range(min(len(todo), get_num_threads()) - 1)]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    for text in texts:
        if found[text] is None and text in _ready:
            store.write(_key(text), _ready[text])


def _walker() -> tuple[_MethodDef, ...]:
    """One for all threads: a cache alone lets two of them make one each, and drops one, with functions that point there."""
    with _lock:
        return _one_walker()


@functools.cache
def _one_walker() -> tuple[_MethodDef, ...]:
    code = _made(WALKER, walker.ENTRIES)
    renewed(ctypes.PYFUNCTYPE(None)(code.library["forget"]))
    flags = {"walk": _FASTCALL, "fits": _FASTCALL, "made": _FASTCALL, "serve": _NOARGS}
    flags["chain"] = 0  # which is for the walker alone
    flags["enter"] = _FASTCALL | _KEYWORDS
    found = tuple([_MethodDef(name.encode(), code.library[name], flag, None) for name, flag in flags.items()])
    for held in (_linker()[0], code, found):  # for ever: threads stay in the code, and who goes looks at its method
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))
    return found


def walk(table: np.ndarray[Any, Any]) -> Callable[..., int]:
    """What carries out a table (see :mod:`.walker`)."""
    return _function(_walker()[0], table)


def fits(table: np.ndarray[Any, Any]) -> Callable[..., int]:
    """What says whether tensors are as expected (see :mod:`.guards`)."""
    return _function(_walker()[1], table)


def chain() -> int:
    """Where the kernel is that calls others (see :mod:`.walker_chain`)."""
    return _walker()[4].code  # type: ignore[no-any-return]


@functools.cache
def made(kind: type, *members: Any) -> Callable[..., Any]:
    """What makes objects of a class, of the values of its slots in this order; those that are not given hold None."""
    return _function(_walker()[2], np.array(recipe(kind, *members), np.int64))


def recipe(kind: type, *members: Any) -> list[int]:
    """The words that say how to make such objects."""
    return [id(kind), id(None), len(members), *map(slot, members)]


def enter(table: np.ndarray[Any, Any]) -> Callable[..., Any]:
    """What a table says to do at a call (see :mod:`.shortcut`)."""
    return _function(_walker()[5], table)


def slot(member: types.MemberDescriptorType) -> int:
    """How many bytes into an object a slot of its class is."""
    definition = ctypes.c_void_p.from_address(id(member) + walker.HEAD + 24).value  # after class, name, qualified name
    assert definition is not None
    return ctypes.c_ssize_t.from_address(definition + 16).value  # after a pointer and an int


class _Probe:
    __slots__ = ("first", "second")


def serve() -> None:
    """Be a helper from now on."""
    _function(_walker()[3], None)()


def _function(method: _MethodDef, of: Any) -> Callable[..., Any]:
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    return make(ctypes.addressof(method), of, None)  # type: ignore[no-any-return]


def _made(text: str, entries: tuple[str, ...]) -> Code:
    with _lock:
        code = _ready.pop(text, None) or store.read(_key(text))
        if code is not None:
            with contextlib.suppress(RuntimeError):  # whole, and yet of no use here
                _here[text] = found = _linked(code, entries)
                return found
        code = _compiled(text)
        store.write(_key(text), code)
        _here[text] = found = _linked(code, entries)
        return found


def _key(text: str) -> str:
    return hashlib.sha256(_situation() + text.encode()).hexdigest()


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
    parts = [sys.version, np.__version__, walker.HEAD, importlib.import_module("llvmlite").__version__, llvm.llvm_version_info,
             llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]  # fmt: skip
    rules = [hashlib.sha256((here / name).read_bytes()).hexdigest() for name in ("native.py", *_SOURCES)]
    return repr(parts + rules).encode()


def _machine() -> Any:
    """This machine, as a target of LLVM, for this thread."""
    if not hasattr(_own, "machine"):
        llvm = _llvm()
        target = llvm.Target.from_triple(llvm.get_process_triple())
        cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
        _own.machine = target.create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic", jit=True)
    return _own.machine


def _unlocked(name: str) -> Callable[..., Any]:
    """A function of LLVM's, which may run in several threads where each has a context and a machine of its own.

    llvmlite lets but one thread at a time into LLVM; where it does so in another way than today, it still will.
    """
    function = getattr(_llvm().ffi.lib, name)
    return getattr(function, "_cfn", function)  # type: ignore[no-any-return]


def _compiled(text: str) -> bytes:
    """The object code of a kernel."""
    lib, module = _llvm().ffi.lib, optimised(text)
    with _llvm().ffi.OutputString() as message:
        buffer = _unlocked("LLVMPY_TargetMachineEmitToMemory")(_machine(), module, 1, message)
        if not buffer:
            raise RuntimeError(str(message))
    try:
        return ctypes.string_at(lib.LLVMPY_GetBufferStart(buffer), lib.LLVMPY_GetBufferSize(buffer))
    finally:
        lib.LLVMPY_DisposeMemoryBuffer(buffer)


@functools.cache
def _linker() -> tuple[Any, dict[str, int]]:
    """The linker, and where what kernels refer to is."""
    symbols = {name: ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, name)) for name in walker.SYMBOLS}
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table: int = pointer(np._core.multiarray._ARRAY_API, None)  # type: ignore[attr-defined]
    for name, i in walker.FROM_NUMPY.items():
        symbols[name] = ctypes.c_int64.from_address(table + 8 * i).value
    return _llvm().create_lljit_compiler(_machine()), {**symbols, walker.ARRAY_TYPE: id(np.ndarray)}


def optimised(text: str) -> Any:
    """The LLVM module of a kernel, optimised for this machine."""
    llvm, machine = _llvm(), _machine()
    module = llvm.parse_assembly(_assembly(text), llvm.create_context())
    module.verify()
    if text == WALKER:  # as it is written
        return module
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    more = not text.startswith(products.NAME)  # where vectors are not written out already
    options.loop_vectorization = options.slp_vectorization = options.loop_interleaving = options.loop_unrolling = more
    passes = llvm.create_pass_builder(machine, options)
    _unlocked("LLVMPY_RunNewModulePassManager")(passes.getModulePassManager(), module, passes)
    return module


def _assembly(text: str) -> str:
    if text == WALKER:
        return walker.assembly(_llvm().get_process_triple())
    return lower.lower(text)


def _linked(code: bytes, entries: tuple[str, ...]) -> Code:
    """Object code in this process; RuntimeError if it does not fit."""
    linker, symbols = _linker()
    builder = _llvm().JITLibraryBuilder().add_object_img(code).add_current_process()
    for name in entries:
        builder.export_symbol(name)
    for name, address in symbols.items():
        builder.import_symbol(name, address)
    return Code(builder.link(linker, f"chainrule{next(_numbers)}"), entries[0])

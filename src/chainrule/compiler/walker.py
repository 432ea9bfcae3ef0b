"""Walker: the machine code that carries out a table of kernel calls, alone or with helper threads.

A table is an array of 64-bit words (:mod:`.table` writes it).  An instruction is the address of a kernel, that of its wide form or
0, the number of blocks that its work falls into, how many words on the next one begins, how many helpers share it, and what the
kernel takes: addresses and lengths.  Kernel 0 ends a walk.  A walk starts at a *gate*: how many arrays it takes, whether other
threads of Python may run meanwhile, and where its instructions begin; then for each array its dtype, the type of NumPy's numbers
that may stand for it or 0, and how many words its address is to be put into, and where these are listed, each with a distance to
be added.

``walk(start, *arrays)`` gives 0 when all is done, -1 if an array is not what was declared (nothing has been done then), and else
where the instruction is whose kernel met an argument that it is not good for; ``walk(-place)`` goes on from an instruction.

The text is LLVM's language with one abbreviation: ``%x = i64 at %p + 8`` loads x from so many bytes after an address.
"""

from __future__ import annotations

import re
import sys

import numpy as np

from . import walker_chain, walker_guards, walker_helpers, walker_results, walker_shortcut

SYMBOLS = (
    "PyCell_Get", "PyContextVar_Get", "PyDict_GetItemWithError", "PyDict_Next", "PyErr_Clear", "PyErr_NoMemory",
    "PyEval_RestoreThread", "PyEval_SaveThread", "PyFloat_Type", "PyList_GetItem", "PyList_New", "PyList_SetItem", "PyList_Size",
    "PyLong_AsLongLong", "PyLong_FromLongLong", "PyMem_RawFree", "PyMem_RawMalloc", "PyObject_Size", "PyObject_Vectorcall",
    "PyThread_acquire_lock", "PyThread_acquire_lock_timed", "PyThread_allocate_lock", "PyThread_release_lock", "PyTuple_GetItem",
    "PyTuple_New", "PyTuple_SetItem", "PyType_GenericAlloc", "Py_DecRef", "Py_IncRef",
)  # fmt: skip
FROM_NUMPY = {
    "PyArray_Scalar": 60,
    "PyArray_NewFromDescr": 94,
    "PyArray_SetBaseObject": 282,
}  # functions of its C interface: where its table has them
ENTRIES = ("walk", "fits", "made", "serve", "chain", "forget", "enter")
OUT = -(1 << 62)  # what a walk gives for want of memory
HEAD_OF_FITS = 15  # words
ARRAY_TYPE = "chainrule_ndarray"  # the symbol that stands for the address of numpy.ndarray
HEAD = object.__basicsize__  # bytes of an object before what is its own
FIELD = {name: HEAD + 8 * i for i, name in enumerate(["data", "nd", "dimensions", "strides", "base", "descr", "flags"])}
KIND, ORDER, SIZE = HEAD + 8, HEAD + 10, HEAD + 24  # of a dtype: two characters, and bytes per entry
READY = 0x1 | 0x100  # flags of an array: C-contiguous, aligned
WRITABLE = READY | 0x400  # and writeable
GATE, PER_ARRAY, PLACES = 3, 4, 2  # words: of a gate, of one array in it, and of one place for an address
INSTRUCTION = 5  # words before a kernel's own
MOST_HELPERS = 255
_PAUSE = {"x86_64": "llvm.x86.sse2.pause()", "aarch64": "llvm.aarch64.hint(i32 1)"}
_AWAKE, _PATIENCE = 1500, 4000  # pauses before a helper sleeps; before who waits for helpers does so for a while


def assembly(triple: str) -> str:
    """The module, in LLVM's own language, for a kind of processor."""
    pause = _PAUSE.get(triple.partition("-")[0])
    declared = f"declare void @{pause.replace('i32 1', 'i32')}" if pause else ""
    parts = (walker_chain, walker_helpers, walker_guards, walker_results, walker_shortcut)
    texts = "\n".join((_TEXT, *[p.TEXT for p in parts]))
    text = texts.replace("{holds}", _HOLDS).format(
        type=HEAD - 8, number=HEAD, data=FIELD["data"], nd=FIELD["nd"],
        dimensions=FIELD["dimensions"], descr=FIELD["descr"], flags=FIELD["flags"], kind=KIND, order=ORDER,
        size=SIZE,
        ready=READY, foreign=ord(">" if sys.byteorder == "little" else "<"), array=ARRAY_TYPE, gate=8 * GATE,
        per=8 * PER_ARRAY, tensors=8 * HEAD_OF_FITS, writable=WRITABLE, writeable=WRITABLE & ~READY,
        head=8 * INSTRUCTION, part=8 * walker_chain.PART, most=MOST_HELPERS, awake=_AWAKE, patience=_PATIENCE,
        pause=f"call void @{pause}" if pause else "", declared=declared,
        out=OUT, float=described(np.dtype(np.float64)), constants=8 * walker_shortcut.HEAD,
        steps="\n".join(f"    i64 {i}, label %{name}" for i, name in enumerate(walker_shortcut.STEPS)),
    )  # fmt: skip
    return _LOAD.sub(r"\1%\2_at = getelementptr i8, ptr %\4, i64 \5\n\1%\2 = load \3, ptr %\2_at", text)


_LOAD = re.compile(r"( *)%(\w+) = (\w+) at %(\w+) \+ (\d+)")


def described(dtype: np.dtype[np.generic]) -> int:
    """A dtype as one word: its kind and its size."""
    return ord(dtype.kind) | dtype.itemsize << 8


# Whether an array's entries are of a dtype (see :func:`described`), in this machine's order of bytes.
_HOLDS = """\
  %descr = ptr at %object + {descr}
  %kind = i8 at %descr + {kind}
  %order = i8 at %descr + {order}
  %size = i64 at %descr + {size}
  %letter = zext i8 %kind to i64
  %high = shl i64 %size, 8
  %found = or i64 %letter, %high
  %is_dtype = icmp eq i64 %found, %dtype
  %is_native = icmp ne i8 %order, {foreign}
  %holds = and i1 %is_dtype, %is_native"""
_TEXT = """\
{declared}
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i64 @PyLong_AsLongLong(ptr)
declare ptr @PyLong_FromLongLong(i64)
declare ptr @PyErr_NoMemory()
@{array} = external global i8
@PyFloat_Type = external global i8

define ptr @walk(ptr %self, ptr %args, i64 %given) {{
  %code = ptr at %self + {data}
  %start_object = load ptr, ptr %args
  %start = call i64 @PyLong_AsLongLong(ptr %start_object)
  %arrays = getelementptr ptr, ptr %args, i64 1
  %resumed = icmp slt i64 %start, 0
  br i1 %resumed, label %carry, label %gate
gate:
  %head = getelementptr i64, ptr %code, i64 %start
  %count = load i64, ptr %head
  %all = add i64 %count, 1
  %right = icmp eq i64 %given, %all
  br i1 %right, label %carry, label %refused
carry:
  %far = call i64 @carried(ptr %code, i64 %start, ptr %arrays)
  %is_out = icmp eq i64 %far, {out}
  br i1 %is_out, label %out, label %give
give:
  %answer = call ptr @PyLong_FromLongLong(i64 %far)
  ret ptr %answer
refused:
  %no = call ptr @PyLong_FromLongLong(i64 -1)
  ret ptr %no
out:
  ret ptr null
}}

define internal i64 @carried(ptr %code, i64 %start, ptr %given) {{   ; what walk gives, or that memory is lacking
entry:
  %resumed = icmp slt i64 %start, 0
  br i1 %resumed, label %resume, label %gate
resume:
  %place = sub i64 0, %start
  br label %begin
gate:
  %head = getelementptr i64, ptr %code, i64 %start
  %count = load i64, ptr %head
  %freeing = i64 at %head + 8
  %first = i64 at %head + 16
  %declared = getelementptr i8, ptr %head, i64 {gate}
  br label %arrays
arrays:
  %i = phi i64 [ 0, %gate ], [ %i1, %bound ]
  %d = phi ptr [ %declared, %gate ], [ %following, %bound ]
  %some = icmp ult i64 %i, %count
  br i1 %some, label %array, label %begin
array:
  %i1 = add i64 %i, 1
  %object_at = getelementptr ptr, ptr %given, i64 %i
  %object = load ptr, ptr %object_at
  %dtype = load i64, ptr %d
  %number = ptr at %d + 8
  %places = i64 at %d + 16
  %type = ptr at %object + {type}
  %own = getelementptr i8, ptr %object, i64 {number}
  %is_number = icmp eq ptr %type, %number
  %is_float = icmp eq ptr %type, @PyFloat_Type
  %for_float = icmp eq i64 %dtype, {float}
  %for_number = icmp ne ptr %number, null
  %float_goes = and i1 %is_float, %for_float
  %float_does = and i1 %float_goes, %for_number
  %at_hand = or i1 %is_number, %float_does   ; Python's float has its number where NumPy's has it
  br i1 %at_hand, label %bind, label %look
look:
  %is_array = icmp eq ptr %type, @{array}
  br i1 %is_array, label %inside, label %refused
inside:
  %flags = i32 at %object + {flags}
  %both = and i32 %flags, {ready}
  %is_ready = icmp eq i32 %both, {ready}
{holds}
  %good = and i1 %holds, %is_ready
  %entries = ptr at %object + {data}
  br i1 %good, label %bind, label %refused
bind:
  %from = phi ptr [ %own, %array ], [ %entries, %inside ]
  %list = i64 at %d + 24
  %p0 = getelementptr i64, ptr %code, i64 %list
  br label %put
put:
  %p = phi ptr [ %p0, %bind ], [ %p1, %one ]
  %left = phi i64 [ %places, %bind ], [ %left1, %one ]
  %any = icmp ne i64 %left, 0
  br i1 %any, label %one, label %bound
one:
  %into = load i64, ptr %p
  %by = i64 at %p + 8
  %address = getelementptr i8, ptr %from, i64 %by
  %word = getelementptr i64, ptr %code, i64 %into
  store ptr %address, ptr %word
  %p1 = getelementptr i64, ptr %p, i64 2
  %left1 = sub i64 %left, 1
  br label %put
bound:
  %following = getelementptr i8, ptr %d, i64 {per}
  br label %arrays
refused:
  ret i64 -1
begin:
  %pc0 = phi i64 [ %place, %resume ], [ %first, %arrays ]
  %free = phi i64 [ 0, %resume ], [ %freeing, %arrays ]
  %is_free = icmp ne i64 %free, 0
  br i1 %is_free, label %let_go, label %go
let_go:
  %saved = call ptr @PyEval_SaveThread()
  br label %go
go:
  %state = phi ptr [ null, %begin ], [ %saved, %let_go ]
  br label %step
step:
  %pc = phi i64 [ %pc0, %go ], [ %next, %went ], [ %next, %widely ]
  %at = getelementptr i64, ptr %code, i64 %pc
  %kernel = load ptr, ptr %at
  %ended = icmp eq ptr %kernel, null
  br i1 %ended, label %end, label %run
run:
  %wide = ptr at %at + 8
  %blocks = i64 at %at + 16
  %length = i64 at %at + 24
  %shared = i64 at %at + 32
  %words = getelementptr i8, ptr %at, i64 {head}
  %next = add i64 %pc, %length
  %is_shared = icmp ne i64 %shared, 0
  br i1 %is_shared, label %together, label %alone
together:
  %theirs = call i32 @share(ptr %kernel, ptr %words, i64 %blocks, i64 %shared)
  br label %went
alone:
  %mine = call i32 %kernel(ptr %words, i64 0, i64 %blocks)
  br label %went
went:
  %status = phi i32 [ %theirs, %together ], [ %mine, %alone ]
  %well = icmp eq i32 %status, 0
  br i1 %well, label %step, label %trouble
trouble:
  %lost = and i32 %status, 2
  %is_lost = icmp ne i32 %lost, 0
  %has_wide = icmp ne ptr %wide, null
  %no_help = xor i1 %has_wide, true
  %stop = or i1 %is_lost, %no_help
  br i1 %stop, label %end, label %widely
widely:
  %again = call i32 @share(ptr %wide, ptr %words, i64 %blocks, i64 %shared)
  %fine = icmp eq i32 %again, 0
  br i1 %fine, label %step, label %end
end:
  %memory = phi i32 [ 0, %step ], [ %lost, %trouble ], [ %again, %widely ]
  %result = phi i64 [ 0, %step ], [ %pc, %trouble ], [ %pc, %widely ]
  %held = icmp ne ptr %state, null
  br i1 %held, label %back, label %leave
back:
  call void @PyEval_RestoreThread(ptr %state)
  br label %leave
leave:
  %is_out = icmp ne i32 %memory, 0
  br i1 %is_out, label %out, label %give
out:
  %error = call ptr @PyErr_NoMemory()
  ret i64 {out}
give:
  ret i64 %result
}}
"""

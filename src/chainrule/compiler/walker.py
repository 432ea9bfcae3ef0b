"""Walker: the machine code that carries out a table of kernel calls, alone or with helper threads.

A table is an array of 64-bit words (:mod:`.table` writes it).  An instruction is the address of a kernel, that of its wide form or
0, the number of blocks that its work falls into, how many words on the next one begins, how many helpers share it, and what the
kernel takes: addresses and lengths.  Kernel 0 ends a walk.  A walk starts at a *gate*: how many arrays it takes, whether other
threads of Python may run meanwhile, and where its instructions begin; then for each array its dtype, the type of NumPy's numbers
that may stand for it or 0, and how many words its address is to be put into, and where these are listed, each with a distance to
be added.

``walk(start, *arrays)`` gives 0 when all is done, -1 if an array is not what was declared (nothing has been done then), and else
where the instruction is whose kernel met an argument that it is not good for; ``walk(-place)`` goes on from an instruction.

``fits(*tensors)`` is what :func:`.guards.guard` says; its table is a head of nine words, and for each tensor six and the sizes.

Helpers wait in :func:`serve`, awake for some ten microseconds, then asleep.  A job is one word, of which they and the thread
that posted it take the next stretch by compare-and-swap: its number, how many stretches, how many are taken.  Who cannot have the
helpers at once, because another thread has them, does the work alone; and a helper that comes too late is not waited for.
"""

from __future__ import annotations

import sys

import numpy as np

SYMBOLS = (
    "PyErr_NoMemory", "PyEval_RestoreThread", "PyEval_SaveThread", "PyLong_AsLongLong", "PyLong_FromLongLong",
    "PyMem_RawFree", "PyMem_RawMalloc", "PyThread_acquire_lock", "PyThread_acquire_lock_timed", "PyThread_allocate_lock",
    "PyThread_release_lock",
)  # fmt: skip
ENTRIES = ("walk", "fits", "serve", "forget")
HEAD_OF_FITS, PER_TENSOR = 9, 6  # words
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
    return _TEXT.format(
        type=HEAD - 8, number=HEAD, data=FIELD["data"], nd=FIELD["nd"],
        dimensions=FIELD["dimensions"], descr=FIELD["descr"], flags=FIELD["flags"], kind=KIND, order=ORDER,
        size=SIZE,
        ready=READY, foreign=ord(">" if sys.byteorder == "little" else "<"), array=ARRAY_TYPE, gate=8 * GATE,
        per=8 * PER_ARRAY, tensors=8 * HEAD_OF_FITS, writable=WRITABLE,
        head=8 * INSTRUCTION, most=MOST_HELPERS, awake=_AWAKE, patience=_PATIENCE,
        pause=f"call void @{pause}" if pause else "", declared=declared,
    )  # fmt: skip


def described(dtype: np.dtype[np.generic]) -> int:
    """A dtype as one word: its kind and its size."""
    return ord(dtype.kind) | dtype.itemsize << 8


_TEXT = """\
{declared}
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i64 @PyLong_AsLongLong(ptr)
declare ptr @PyLong_FromLongLong(i64)
declare ptr @PyErr_NoMemory()
declare ptr @PyThread_allocate_lock()
declare i32 @PyThread_acquire_lock(ptr, i32)
declare i32 @PyThread_acquire_lock_timed(ptr, i64, i32)
declare void @PyThread_release_lock(ptr)
@{array} = external global i8

@job = internal global i64 0, align 64      ; number << 40 | stretches << 20 | how many are taken
@kernel = internal global ptr null, align 64
@words = internal global ptr null
@blocks = internal global i64 0
@status = internal global i32 0, align 64
@done = internal global i64 0, align 64     ; stretches that are
@busy = internal global i32 0, align 64     ; whether some thread has the helpers
@started = internal global i64 0, align 64
@helpers = internal global i64 0            ; those that can be woken
@asleep = internal global [{most} x i32] zeroinitializer
@locks = internal global [{most} x ptr] zeroinitializer
@clock = internal global ptr null           ; a lock that is never released: to wait for a time

define internal i1 @open() {{               ; whether a stretch is left
  %job = load atomic i64, ptr @job seq_cst, align 8
  %taken = and i64 %job, 1048575
  %above = lshr i64 %job, 20
  %count = and i64 %above, 1048575
  %open = icmp ult i64 %taken, %count
  ret i1 %open
}}

define internal void @work() {{             ; takes stretches until none is left
  br label %look
look:
  %job = load atomic i64, ptr @job seq_cst, align 8
  %taken = and i64 %job, 1048575
  %above = lshr i64 %job, 20
  %count = and i64 %above, 1048575
  %open = icmp ult i64 %taken, %count
  br i1 %open, label %take, label %none
take:
  %one = add i64 %job, 1
  %try = cmpxchg ptr @job, i64 %job, i64 %one seq_cst seq_cst
  %mine = extractvalue {{ i64, i1 }} %try, 1
  br i1 %mine, label %do, label %look
do:                                         ; until this stretch is done, nobody posts another job
  %kernel = load ptr, ptr @kernel
  %words = load ptr, ptr @words
  %blocks = load i64, ptr @blocks
  %a = mul i64 %blocks, %taken
  %first = udiv i64 %a, %count
  %next = add i64 %taken, 1
  %b = mul i64 %blocks, %next
  %last = udiv i64 %b, %count
  %found = call i32 %kernel(ptr %words, i64 %first, i64 %last)
  %old = atomicrmw or ptr @status, i32 %found seq_cst
  %before = atomicrmw add ptr @done, i64 1 seq_cst
  br label %look
none:
  ret void
}}

define internal i32 @share(ptr %kernel, ptr %words, i64 %blocks, i64 %most) {{
  %there = load atomic i64, ptr @helpers seq_cst, align 8
  %enough = icmp ult i64 %most, %there
  %helpers = select i1 %enough, i64 %most, i64 %there
  %some = icmp ne i64 %helpers, 0
  %several = icmp ugt i64 %blocks, 1
  %worth = and i1 %some, %several
  br i1 %worth, label %ask, label %alone
ask:
  %try = cmpxchg ptr @busy, i32 0, i32 1 seq_cst seq_cst
  %mine = extractvalue {{ i32, i1 }} %try, 1
  br i1 %mine, label %post, label %alone
alone:
  %own = call i32 %kernel(ptr %words, i64 0, i64 %blocks)
  ret i32 %own
post:
  store ptr %kernel, ptr @kernel
  store ptr %words, ptr @words
  store i64 %blocks, ptr @blocks
  store i32 0, ptr @status
  store atomic i64 0, ptr @done seq_cst, align 8
  %threads = add i64 %helpers, 1
  %wish = mul i64 %threads, 4               ; stretches, so that one that is held up does not hold up all
  %fewer = icmp ult i64 %wish, %blocks
  %count = select i1 %fewer, i64 %wish, i64 %blocks
  %last = load atomic i64, ptr @job seq_cst, align 8
  %number = lshr i64 %last, 40
  %next = add i64 %number, 1
  %high = shl i64 %next, 40
  %middle = shl i64 %count, 20
  %job = or i64 %high, %middle
  store atomic i64 %job, ptr @job seq_cst, align 8
  br label %wake
wake:
  %i = phi i64 [ 0, %post ], [ %after, %woken ]
  %at = getelementptr i32, ptr @asleep, i64 %i
  %was = atomicrmw xchg ptr %at, i32 0 seq_cst
  %slept = icmp ne i32 %was, 0
  br i1 %slept, label %call, label %woken
call:
  %where = getelementptr ptr, ptr @locks, i64 %i
  %lock = load ptr, ptr %where
  call void @PyThread_release_lock(ptr %lock)
  br label %woken
woken:
  %after = add i64 %i, 1
  %more = icmp ult i64 %after, %helpers
  br i1 %more, label %wake, label %own_part
own_part:
  call void @work()
  br label %wait
wait:
  %spins = phi i64 [ 0, %own_part ], [ %spun, %again ]
  %done = load atomic i64, ptr @done seq_cst, align 8
  %all = icmp eq i64 %done, %count
  br i1 %all, label %ready, label %pause
pause:
  {pause}
  %long = icmp ugt i64 %spins, {patience}
  br i1 %long, label %rest, label %again
rest:
  %clock = load ptr, ptr @clock
  %in_vain = call i32 @PyThread_acquire_lock_timed(ptr %clock, i64 50, i32 0)
  br label %again
again:
  %spun = add i64 %spins, 1
  br label %wait
ready:
  %status = load atomic i32, ptr @status seq_cst, align 4
  store atomic i32 0, ptr @busy seq_cst, align 4
  ret i32 %status
}}

define ptr @serve(ptr %self, ptr %none) {{   ; a helper's life
  %lock = call ptr @PyThread_allocate_lock()
  %failed = icmp eq ptr %lock, null
  br i1 %failed, label %never, label %begin
never:
  %error = call ptr @PyErr_NoMemory()
  ret ptr %error
begin:
  %taken = call i32 @PyThread_acquire_lock(ptr %lock, i32 1)
  %state = call ptr @PyEval_SaveThread()
  %i = atomicrmw add ptr @started, i64 1 seq_cst
  %at = getelementptr i32, ptr @asleep, i64 %i
  %where = getelementptr ptr, ptr @locks, i64 %i
  store ptr %lock, ptr %where
  %count = add i64 %i, 1
  %first = icmp eq i64 %i, 0
  br i1 %first, label %make, label %queue
make:
  %clock = call ptr @PyThread_allocate_lock()
  %held = call i32 @PyThread_acquire_lock(ptr %clock, i32 1)
  store ptr %clock, ptr @clock
  br label %queue
queue:                                      ; they become known one after the other
  %known = load atomic i64, ptr @helpers seq_cst, align 8
  %turn = icmp eq i64 %known, %i
  br i1 %turn, label %enter, label %queue
enter:
  store atomic i64 %count, ptr @helpers seq_cst, align 8
  br label %look
look:
  call void @work()
  br label %listen
listen:
  %spins = phi i64 [ 0, %look ], [ %spun, %quiet ]
  %open = call i1 @open()
  br i1 %open, label %look, label %quiet
quiet:
  {pause}
  %spun = add i64 %spins, 1
  %long = icmp ugt i64 %spun, {awake}
  br i1 %long, label %tired, label %listen
tired:
  store atomic i32 1, ptr %at seq_cst, align 4
  %late = call i1 @open()
  br i1 %late, label %rouse, label %sleep
rouse:
  %still = atomicrmw xchg ptr %at, i32 0 seq_cst
  %unseen = icmp ne i32 %still, 0
  br i1 %unseen, label %look, label %sleep    ; who saw it releases the lock
sleep:
  %woken = call i32 @PyThread_acquire_lock(ptr %lock, i32 1)
  br label %look
}}

define void @forget() {{                     ; a fork has none of the threads
  store i64 0, ptr @started
  store i64 0, ptr @helpers
  store i32 0, ptr @busy
  store i64 0, ptr @job
  ret void
}}

define ptr @fits(ptr %self, ptr %args, i64 %given) {{
entry:
  %data_at = getelementptr i8, ptr %self, i64 {data}
  %code = load ptr, ptr %data_at
  %count = load i64, ptr %code
  %written_at = getelementptr i64, ptr %code, i64 1
  %written = load i64, ptr %written_at
  %a_offset_at = getelementptr i64, ptr %code, i64 2
  %a_offset = load i64, ptr %a_offset_at
  %rg_offset_at = getelementptr i64, ptr %code, i64 3
  %rg_offset = load i64, ptr %rg_offset_at
  %meta_offset_at = getelementptr i64, ptr %code, i64 4
  %meta_offset = load i64, ptr %meta_offset_at
  %v_offset_at = getelementptr i64, ptr %code, i64 5
  %v_offset = load i64, ptr %v_offset_at
  %none_at = getelementptr i64, ptr %code, i64 6
  %none = load ptr, ptr %none_at
  %list_at = getelementptr i64, ptr %code, i64 7
  %list = load ptr, ptr %list_at
  %few_at = getelementptr i64, ptr %code, i64 8
  %few = load i64, ptr %few_at
  %first = getelementptr i8, ptr %code, i64 {tensors}
  %right = icmp eq i64 %given, %count
  %writes = icmp ne i64 %written, 0
  %places = mul i64 %count, 3
  %ranges = alloca i64, i64 %places         ; of each array: from where, to where, whether it is written to
  br i1 %right, label %next, label %other
next:                                       ; %sure: that whatever is written to is alone
  %i = phi i64 [ 0, %entry ], [ %i1, %well ]
  %d = phi ptr [ %first, %entry ], [ %after, %well ]
  %sure = phi i1 [ true, %entry ], [ %surely, %well ]
  %some = icmp ult i64 %i, %count
  br i1 %some, label %tensor, label %done
tensor:
  %i1 = add i64 %i, 1
  %t_at = getelementptr ptr, ptr %args, i64 %i
  %t = load ptr, ptr %t_at
  %kind_is = load ptr, ptr %d
  %rg_at = getelementptr i64, ptr %d, i64 1
  %rg_is = load ptr, ptr %rg_at
  %dtype_at = getelementptr i64, ptr %d, i64 2
  %dtype = load i64, ptr %dtype_at
  %number_at = getelementptr i64, ptr %d, i64 3
  %number = load ptr, ptr %number_at
  %strict_at = getelementptr i64, ptr %d, i64 4
  %strict_word = load i64, ptr %strict_at
  %strict = icmp ne i64 %strict_word, 0
  %axes_at = getelementptr i64, ptr %d, i64 5
  %axes = load i64, ptr %axes_at
  %sizes = getelementptr i64, ptr %d, i64 6
  %after = getelementptr i64, ptr %sizes, i64 %axes
  %t_type_at = getelementptr i8, ptr %t, i64 {type}
  %t_type = load ptr, ptr %t_type_at
  %is_kind = icmp eq ptr %t_type, %kind_is
  br i1 %is_kind, label %own, label %other
own:
  %t_rg_at = getelementptr i8, ptr %t, i64 %rg_offset
  %t_rg = load ptr, ptr %t_rg_at
  %is_rg = icmp eq ptr %t_rg, %rg_is
  %t_a_at = getelementptr i8, ptr %t, i64 %a_offset
  %a = load ptr, ptr %t_a_at
  %has_a = icmp ne ptr %a, null
  %both = and i1 %is_rg, %has_a
  br i1 %both, label %data, label %other
data:
  %range_at = mul i64 %i, 3
  %range = getelementptr i64, ptr %ranges, i64 %range_at
  %end_at = getelementptr i64, ptr %range, i64 1
  %mark_at = getelementptr i64, ptr %range, i64 2
  store i64 0, ptr %range
  store i64 0, ptr %end_at
  store i64 %strict_word, ptr %mark_at
  %a_type_at = getelementptr i8, ptr %a, i64 {type}
  %a_type = load ptr, ptr %a_type_at
  %is_number = icmp eq ptr %a_type, %number
  br i1 %is_number, label %well, label %array
array:
  %is_array = icmp eq ptr %a_type, @{array}
  br i1 %is_array, label %inside, label %other
inside:
  %descr_at = getelementptr i8, ptr %a, i64 {descr}
  %descr = load ptr, ptr %descr_at
  %kind_at = getelementptr i8, ptr %descr, i64 {kind}
  %kind = load i8, ptr %kind_at
  %order_at = getelementptr i8, ptr %descr, i64 {order}
  %order = load i8, ptr %order_at
  %size_at = getelementptr i8, ptr %descr, i64 {size}
  %size = load i64, ptr %size_at
  %letter = zext i8 %kind to i64
  %high = shl i64 %size, 8
  %found = or i64 %letter, %high
  %is_dtype = icmp eq i64 %found, %dtype
  %is_native = icmp ne i8 %order, {foreign}
  %axes_of_at = getelementptr i8, ptr %a, i64 {nd}
  %axes_of = load i32, ptr %axes_of_at
  %axes_wide = zext i32 %axes_of to i64
  %is_axes = icmp eq i64 %axes_wide, %axes
  %fine = and i1 %is_dtype, %is_native
  %finer = and i1 %fine, %is_axes
  %dims_at = getelementptr i8, ptr %a, i64 {dimensions}
  %dims = load ptr, ptr %dims_at
  br i1 %finer, label %axis, label %other
axis:
  %k = phi i64 [ 0, %inside ], [ %k1, %same ]
  %bytes = phi i64 [ %size, %inside ], [ %larger, %same ]
  %more = icmp ult i64 %k, %axes
  br i1 %more, label %compare, label %memory
compare:
  %want_at = getelementptr i64, ptr %sizes, i64 %k
  %want = load i64, ptr %want_at
  %have_at = getelementptr i64, ptr %dims, i64 %k
  %have = load i64, ptr %have_at
  %is_size = icmp eq i64 %want, %have
  br i1 %is_size, label %same, label %other
same:
  %k1 = add i64 %k, 1
  %larger = mul i64 %bytes, %have
  br label %axis
memory:
  %flags_at = getelementptr i8, ptr %a, i64 {flags}
  %flags = load i32, ptr %flags_at
  %order_of = and i32 %flags, {ready}
  %is_ready = icmp eq i32 %order_of, {ready}
  %start_at = getelementptr i8, ptr %a, i64 {data}
  %start_word = load i64, ptr %start_at
  %end_word = add i64 %start_word, %bytes
  %start = select i1 %is_ready, i64 %start_word, i64 0
  %end = select i1 %is_ready, i64 %end_word, i64 -1
  store i64 %start, ptr %range
  store i64 %end, ptr %end_at
  br i1 %writes, label %judge, label %well
judge:
  br i1 %strict, label %look, label %pairs
look:
  %needed = and i32 %flags, {writable}
  %is_writable = icmp eq i32 %needed, {writable}
  %meta_at = getelementptr i8, ptr %t, i64 %meta_offset
  %meta = load ptr, ptr %meta_at
  %no_meta = icmp eq ptr %meta, %none
  %v_at = getelementptr i8, ptr %t, i64 %v_offset
  %v = load ptr, ptr %v_at
  %v_type_at = getelementptr i8, ptr %v, i64 {type}
  %v_type = load ptr, ptr %v_type_at
  %is_list = icmp eq ptr %v_type, %list
  %no_v = icmp eq ptr %v, %none
  %counted = or i1 %is_list, %no_v
  %c1 = and i1 %is_writable, %no_meta
  %c2 = and i1 %c1, %counted
  %sure_own = and i1 %sure, %c2
  br label %pairs
pairs:
  %sure_pairs = phi i1 [ %sure, %judge ], [ %sure_own, %look ]
  %before = mul i64 %i, %few
  br label %pair
pair:                                       ; whether memory is an earlier tensor's too, and one of the two is written to
  %j = phi i64 [ 0, %pairs ], [ %j1, %one ]
  %apart = phi i1 [ %sure_pairs, %pairs ], [ %still, %one ]
  %left = icmp ult i64 %j, %before
  br i1 %left, label %one, label %well
one:
  %j1 = add i64 %j, 1
  %u_at = mul i64 %j, 3
  %u_range = getelementptr i64, ptr %ranges, i64 %u_at
  %u_start = load i64, ptr %u_range
  %u_end_at = getelementptr i64, ptr %u_range, i64 1
  %u_end = load i64, ptr %u_end_at
  %u_mark_at = getelementptr i64, ptr %u_range, i64 2
  %u_mark = load i64, ptr %u_mark_at
  %before_it = icmp ule i64 %u_end, %start
  %behind_it = icmp ule i64 %end, %u_start
  %neither = or i64 %u_mark, %strict_word
  %unwritten = icmp eq i64 %neither, 0
  %separate = or i1 %before_it, %behind_it
  %differs = or i1 %separate, %unwritten
  %still = and i1 %apart, %differs
  br label %pair
well:
  %surely = phi i1 [ %sure, %data ], [ %sure, %memory ], [ %apart, %pair ]
  br label %next
done:
  %is_few = icmp ne i64 %few, 0
  %certain = and i1 %sure, %is_few
  %harmless = xor i1 %writes, true
  %yes = or i1 %certain, %harmless
  %answer = select i1 %yes, i64 1, i64 2
  %made = call ptr @PyLong_FromLongLong(i64 %answer)
  ret ptr %made
other:
  %no = call ptr @PyLong_FromLongLong(i64 0)
  ret ptr %no
}}

define ptr @walk(ptr %self, ptr %args, i64 %given) {{
  %data_at = getelementptr i8, ptr %self, i64 {data}
  %code = load ptr, ptr %data_at
  %start_object = load ptr, ptr %args
  %start = call i64 @PyLong_AsLongLong(ptr %start_object)
  %resumed = icmp slt i64 %start, 0
  br i1 %resumed, label %resume, label %gate
resume:
  %place = sub i64 0, %start
  br label %begin
gate:
  %head = getelementptr i64, ptr %code, i64 %start
  %count = load i64, ptr %head
  %all = add i64 %count, 1
  %right = icmp eq i64 %given, %all
  br i1 %right, label %opened, label %refused
opened:
  %freeing_at = getelementptr i64, ptr %head, i64 1
  %freeing = load i64, ptr %freeing_at
  %first_at = getelementptr i64, ptr %head, i64 2
  %first = load i64, ptr %first_at
  %declared = getelementptr i8, ptr %head, i64 {gate}
  br label %arrays
arrays:
  %i = phi i64 [ 0, %opened ], [ %i1, %bound ]
  %d = phi ptr [ %declared, %opened ], [ %following, %bound ]
  %some = icmp ult i64 %i, %count
  br i1 %some, label %array, label %begin
array:
  %i1 = add i64 %i, 1
  %object_at = getelementptr ptr, ptr %args, i64 %i1
  %object = load ptr, ptr %object_at
  %dtype = load i64, ptr %d
  %number_at = getelementptr i64, ptr %d, i64 1
  %number = load ptr, ptr %number_at
  %places_at = getelementptr i64, ptr %d, i64 2
  %places = load i64, ptr %places_at
  %type_at = getelementptr i8, ptr %object, i64 {type}
  %type = load ptr, ptr %type_at
  %own = getelementptr i8, ptr %object, i64 {number}
  %is_number = icmp eq ptr %type, %number
  br i1 %is_number, label %bind, label %look
look:
  %is_array = icmp eq ptr %type, @{array}
  br i1 %is_array, label %inside, label %refused
inside:
  %flags_at = getelementptr i8, ptr %object, i64 {flags}
  %flags = load i32, ptr %flags_at
  %both = and i32 %flags, {ready}
  %is_ready = icmp eq i32 %both, {ready}
  %descr_at = getelementptr i8, ptr %object, i64 {descr}
  %descr = load ptr, ptr %descr_at
  %kind_at = getelementptr i8, ptr %descr, i64 {kind}
  %kind = load i8, ptr %kind_at
  %order_at = getelementptr i8, ptr %descr, i64 {order}
  %order = load i8, ptr %order_at
  %size_at = getelementptr i8, ptr %descr, i64 {size}
  %size = load i64, ptr %size_at
  %letter = zext i8 %kind to i64
  %high = shl i64 %size, 8
  %found = or i64 %letter, %high
  %is_dtype = icmp eq i64 %found, %dtype
  %is_native = icmp ne i8 %order, {foreign}
  %fits = and i1 %is_dtype, %is_native
  %good = and i1 %fits, %is_ready
  %entries_at = getelementptr i8, ptr %object, i64 {data}
  %entries = load ptr, ptr %entries_at
  br i1 %good, label %bind, label %refused
bind:
  %from = phi ptr [ %own, %array ], [ %entries, %inside ]
  %list_at = getelementptr i64, ptr %d, i64 3
  %list = load i64, ptr %list_at
  %p0 = getelementptr i64, ptr %code, i64 %list
  br label %put
put:
  %p = phi ptr [ %p0, %bind ], [ %p1, %one ]
  %left = phi i64 [ %places, %bind ], [ %left1, %one ]
  %any = icmp ne i64 %left, 0
  br i1 %any, label %one, label %bound
one:
  %into = load i64, ptr %p
  %by_at = getelementptr i64, ptr %p, i64 1
  %by = load i64, ptr %by_at
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
  %no = call ptr @PyLong_FromLongLong(i64 -1)
  ret ptr %no
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
  %wide_at = getelementptr i64, ptr %at, i64 1
  %wide = load ptr, ptr %wide_at
  %blocks_at = getelementptr i64, ptr %at, i64 2
  %blocks = load i64, ptr %blocks_at
  %length_at = getelementptr i64, ptr %at, i64 3
  %length = load i64, ptr %length_at
  %shared_at = getelementptr i64, ptr %at, i64 4
  %shared = load i64, ptr %shared_at
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
  ret ptr %error
give:
  %number_made = call ptr @PyLong_FromLongLong(i64 %result)
  ret ptr %number_made
}}
"""

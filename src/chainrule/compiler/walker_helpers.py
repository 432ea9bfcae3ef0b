"""Helper threads, in LLVM's language (see :mod:`.walker` for how it is written).

Helpers wait in ``serve``, awake for some ten microseconds, then asleep.  A job is one word, of which they and the thread
that posted it take the next stretch by compare-and-swap: its number, how many stretches, how many are taken.  Who cannot have the
helpers at once, because another thread has them, does the work alone; and a helper that comes too late is not waited for.
"""

TEXT = """\
declare ptr @PyThread_allocate_lock()
declare i32 @PyThread_acquire_lock(ptr, i32)
declare i32 @PyThread_acquire_lock_timed(ptr, i64, i32)
declare void @PyThread_release_lock(ptr)
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
"""

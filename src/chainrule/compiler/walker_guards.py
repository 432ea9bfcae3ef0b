"""Whether tensors are as a program expects, in LLVM's language (see :mod:`.walker` for how it is written).

``fits(*tensors)`` is what :func:`.guards.guard` says; its table is a head of fifteen words, and for each tensor six
and the sizes.  The last of the head: a list and what its first entry must be, two context variables and what these must be.
"""

TEXT = """\
declare i32 @PyContextVar_Get(ptr, ptr, ptr)
declare ptr @PyList_GetItem(ptr, i64)
declare void @PyErr_Clear()
declare void @Py_DecRef(ptr)

define internal i1 @is_now(ptr %pair) {{     ; whether a context variable has the value that it must have
  %slot = alloca ptr
  store ptr null, ptr %slot
  %variable = load ptr, ptr %pair
  %wanted = ptr at %pair + 8
  %status = call i32 @PyContextVar_Get(ptr %variable, ptr null, ptr %slot)
  %found = load ptr, ptr %slot
  %none = icmp eq ptr %found, null
  br i1 %none, label %lost, label %given
given:
  %same = icmp eq ptr %found, %wanted
  call void @Py_DecRef(ptr %found)
  ret i1 %same
lost:
  call void @PyErr_Clear()
  ret i1 false
}}

define ptr @fits(ptr %self, ptr %args, i64 %given) {{
  %code = ptr at %self + {data}
  %answer = call i64 @fitting(ptr %code, ptr %args, i64 %given)
  %made = call ptr @PyLong_FromLongLong(i64 %answer)
  ret ptr %made
}}

define internal i64 @fitting(ptr %code, ptr %args, i64 %given) {{
entry:
  %count = load i64, ptr %code
  %written = i64 at %code + 8
  %a_offset = i64 at %code + 16
  %rg_offset = i64 at %code + 24
  %meta_offset = i64 at %code + 32
  %v_offset = i64 at %code + 40
  %none = ptr at %code + 48
  %list = ptr at %code + 56
  %few = i64 at %code + 64
  %first = getelementptr i8, ptr %code, i64 {tensors}
  %right = icmp eq i64 %given, %count
  %writes = icmp ne i64 %written, 0
  %placed = mul i64 %count, %few            ; of many none are, which would take much of the stack: all have one place
  %several = add i64 %placed, 1
  %places = mul i64 %several, 3
  %ranges = alloca i64, i64 %places         ; of each array: from where, to where, whether it is written to
  br i1 %right, label %state, label %other
state:
  %default = ptr at %code + 72
  %default_is = ptr at %code + 80
  %default_now = call ptr @PyList_GetItem(ptr %default, i64 0)
  %is_default = icmp eq ptr %default_now, %default_is
  %one = getelementptr i8, ptr %code, i64 88
  %two = getelementptr i8, ptr %code, i64 104
  %is_one = call i1 @is_now(ptr %one)
  %is_two = call i1 @is_now(ptr %two)
  %are_both = and i1 %is_one, %is_two
  %is_state = and i1 %are_both, %is_default
  br i1 %is_state, label %next, label %other
next:                                       ; %sure: that whatever is written to is alone
  %i = phi i64 [ 0, %state ], [ %i1, %well ]
  %d = phi ptr [ %first, %state ], [ %after, %well ]
  %sure = phi i1 [ true, %state ], [ %surely, %well ]
  %some = icmp ult i64 %i, %count
  br i1 %some, label %tensor, label %done
tensor:
  %i1 = add i64 %i, 1
  %t_at = getelementptr ptr, ptr %args, i64 %i
  %t = load ptr, ptr %t_at
  %kind_is = load ptr, ptr %d
  %rg_is = ptr at %d + 8
  %dtype = i64 at %d + 16
  %number = ptr at %d + 24
  %strict_word = i64 at %d + 32
  %strict = icmp ne i64 %strict_word, 0
  %axes = i64 at %d + 40
  %sizes = getelementptr i64, ptr %d, i64 6
  %after = getelementptr i64, ptr %sizes, i64 %axes
  %t_type = ptr at %t + {type}
  %is_kind = icmp eq ptr %t_type, %kind_is
  br i1 %is_kind, label %own, label %other
own:
  %t_rg_at = getelementptr i8, ptr %t, i64 %rg_offset
  %t_rg = load ptr, ptr %t_rg_at
  %is_rg = icmp eq ptr %t_rg, %rg_is
  %t_a_at = getelementptr i8, ptr %t, i64 %a_offset
  %object = load ptr, ptr %t_a_at
  %has_a = icmp ne ptr %object, null
  %both = and i1 %is_rg, %has_a
  br i1 %both, label %data, label %other
data:
  %own_place = mul i64 %i, %few
  %range_at = mul i64 %own_place, 3
  %range = getelementptr i64, ptr %ranges, i64 %range_at
  %end_at = getelementptr i64, ptr %range, i64 1
  %mark_at = getelementptr i64, ptr %range, i64 2
  store i64 0, ptr %range
  store i64 0, ptr %end_at
  store i64 %strict_word, ptr %mark_at
  %a_type = ptr at %object + {type}
  %is_number = icmp eq ptr %a_type, %number
  br i1 %is_number, label %single, label %array
single:                                     ; gets memory when it is written to, and another tensor may be the same one
  %unwritten_single = xor i1 %strict, true
  %sure_single = and i1 %sure, %unwritten_single
  br label %well
array:
  %is_array = icmp eq ptr %a_type, @{array}
  br i1 %is_array, label %inside, label %other
inside:
{holds}
  %axes_of = i32 at %object + {nd}
  %axes_wide = zext i32 %axes_of to i64
  %is_axes = icmp eq i64 %axes_wide, %axes
  %finer = and i1 %holds, %is_axes
  %dims = ptr at %object + {dimensions}
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
  %flags = i32 at %object + {flags}
  %order_of = and i32 %flags, {ready}
  %is_ready = icmp eq i32 %order_of, {ready}
  %start_word = i64 at %object + {data}
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
  %v_type = ptr at %v + {type}
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
  %j = phi i64 [ 0, %pairs ], [ %j1, %compared ]
  %apart = phi i1 [ %sure_pairs, %pairs ], [ %still, %compared ]
  %left = icmp ult i64 %j, %before
  br i1 %left, label %compared, label %well
compared:
  %j1 = add i64 %j, 1
  %u_at = mul i64 %j, 3
  %u_range = getelementptr i64, ptr %ranges, i64 %u_at
  %u_start = load i64, ptr %u_range
  %u_end = i64 at %u_range + 8
  %u_mark = i64 at %u_range + 16
  %before_it = icmp ule i64 %u_end, %start
  %behind_it = icmp ule i64 %end, %u_start
  %neither = or i64 %u_mark, %strict_word
  %unwritten = icmp eq i64 %neither, 0
  %separate = or i1 %before_it, %behind_it
  %differs = or i1 %separate, %unwritten
  %still = and i1 %apart, %differs
  br label %pair
well:
  %surely = phi i1 [ %sure_single, %single ], [ %sure, %memory ], [ %apart, %pair ]
  br label %next
done:
  %is_few = icmp ne i64 %few, 0
  %certain = and i1 %sure, %is_few
  %harmless = xor i1 %writes, true
  %yes = or i1 %certain, %harmless
  %answer = select i1 %yes, i64 1, i64 2
  ret i64 %answer
other:
  ret i64 0
}}
"""

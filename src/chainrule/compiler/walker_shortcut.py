"""A whole call of a compiled function, in LLVM's language (see :mod:`.walker` for how it is written).

``enter(*args)`` carries out steps (:mod:`.shortcut` writes them) over *cells*, which lie on the stack: first constants, then the
arguments, then what is found on the way and borrowed, then what is owned until the end.  A step is five words: what to do, and
cells, numbers or places in the table.  Until ``begin`` nothing is changed: where something is not as expected, the call goes to
another function, as it came.  After it, at most one thread is here.  The table's head is ``HEAD`` words, then come the constants.
"""

STEPS = (
    "done", "same", "differs", "kind", "size", "several", "ready", "copy", "entry_of", "entries", "list_item", "tuple_item",
    "content", "slot", "call", "fits", "begin", "array", "pool", "view", "carry", "number", "scalar", "tensor", "count", "fill",
    "store", "tuple", "list",
)  # fmt: skip
HEAD = 12  # words

TEXT = """\
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare ptr @PyArray_NewFromDescr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare ptr @PyArray_Scalar(ptr, ptr, ptr)
declare i32 @PyArray_SetBaseObject(ptr, ptr)
declare ptr @PyCell_Get(ptr)
declare ptr @PyDict_GetItemWithError(ptr, ptr)
declare i32 @PyDict_Next(ptr, ptr, ptr, ptr)
declare i64 @PyList_Size(ptr)
declare ptr @PyList_New(i64)
declare i32 @PyList_SetItem(ptr, i64, ptr)
declare i64 @PyObject_Size(ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyTuple_GetItem(ptr, i64)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)

define internal void @release(ptr %cells, i64 %first, i64 %end) {{
  br label %next
next:
  %i = phi i64 [ %first, %0 ], [ %i1, %on ]
  %some = icmp ult i64 %i, %end
  br i1 %some, label %cell, label %all
cell:
  %i1 = add i64 %i, 1
  %at = getelementptr ptr, ptr %cells, i64 %i
  %object = load ptr, ptr %at
  %is_there = icmp ne ptr %object, null
  br i1 %is_there, label %drop, label %on
drop:
  call void @Py_DecRef(ptr %object)
  br label %on
on:
  br label %next
all:
  ret void
}}

define ptr @enter(ptr %self, ptr %args, i64 %given, ptr %keywords) {{
entry:
  %code = ptr at %self + {data}
  %arguments = load i64, ptr %code
  %busy = getelementptr i8, ptr %code, i64 24
  %end = i64 at %code + 32
  %constants = i64 at %code + 40
  %owned = i64 at %code + 48
  %steps = i64 at %code + 56
  %room = i64 at %code + 64                 ; where the words of the walker's table are
  %class_at = i64 at %code + 88
  %is_count = icmp eq i64 %given, %arguments
  %is_plain = icmp eq ptr %keywords, null
  %as_declared = and i1 %is_count, %is_plain
  %many = select i1 %as_declared, i64 %end, i64 1
  %cells = alloca ptr, i64 %many
  %mine = alloca i64
  %key = alloca ptr
  %value = alloca ptr
  %position = alloca i64
  %triple = alloca ptr, i64 3
  store i64 0, ptr %mine
  br i1 %as_declared, label %prepare, label %refused
prepare:
  %first_constant = getelementptr i8, ptr %code, i64 {constants}
  %constants_size = mul i64 %constants, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %cells, ptr %first_constant, i64 %constants_size, i1 false)
  %first_argument = getelementptr ptr, ptr %cells, i64 %constants
  %args_size = mul i64 %arguments, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %first_argument, ptr %args, i64 %args_size, i1 false)
  %first_owned = getelementptr ptr, ptr %cells, i64 %owned
  %owned_count = sub i64 %end, %owned
  %owned_size = mul i64 %owned_count, 8
  call void @llvm.memset.p0.i64(ptr %first_owned, i8 0, i64 %owned_size, i1 false)
  %first = getelementptr i64, ptr %code, i64 %steps
  br label %step
step:
  %at = phi ptr [ %first, %prepare ], [ %following, %on ]
  %what = load i64, ptr %at
  %wa = i64 at %at + 8
  %wb = i64 at %at + 16
  %wc = i64 at %at + 24
  %wd = i64 at %at + 32
  %following = getelementptr i64, ptr %at, i64 5
  %a_at = getelementptr ptr, ptr %cells, i64 %wa
  %a = load ptr, ptr %a_at
  %b_at = getelementptr ptr, ptr %cells, i64 %wb
  %c_at = getelementptr ptr, ptr %cells, i64 %wc
  %d_at = getelementptr ptr, ptr %cells, i64 %wd
  %words = getelementptr i64, ptr %code, i64 %wb
  switch i64 %what, label %done [
{steps}
  ]
on:
  br label %step

; --- whether all is as expected: a is b, is not, is of class b, has b entries, is an array whose entries lie in order ---

same:
  %same_b = load ptr, ptr %b_at
  %is_same = icmp eq ptr %a, %same_b
  br i1 %is_same, label %on, label %miss
differs:
  %other_b = load ptr, ptr %b_at
  %is_other = icmp ne ptr %a, %other_b
  br i1 %is_other, label %on, label %miss
kind:
  %kind_b = load ptr, ptr %b_at
  %kind_a = ptr at %a + {type}
  %is_kind = icmp eq ptr %kind_a, %kind_b
  br i1 %is_kind, label %on, label %miss
size:
  %entries_of = call i64 @PyObject_Size(ptr %a)
  %is_size = icmp eq i64 %entries_of, %wb
  br i1 %is_size, label %on, label %lost

several:                                    ; the b objects in cells from a on are as many
  br label %several_next
several_next:
  %s = phi i64 [ 0, %several ], [ %s1, %several_before ]
  %s1 = add i64 %s, 1
  %s_at = getelementptr ptr, ptr %a_at, i64 %s
  %s_some = icmp ult i64 %s, %wb
  br i1 %s_some, label %several_one, label %on
several_one:
  %s_object = load ptr, ptr %s_at
  br label %several_before
several_before:
  %r = phi i64 [ 0, %several_one ], [ %r1, %several_look ]
  %r1 = add i64 %r, 1
  %r_some = icmp ult i64 %r, %s
  br i1 %r_some, label %several_look, label %several_next
several_look:
  %r_at = getelementptr ptr, ptr %a_at, i64 %r
  %r_object = load ptr, ptr %r_at
  %is_again = icmp eq ptr %r_object, %s_object
  br i1 %is_again, label %miss, label %several_before

ready:
  %ready_flags = i32 at %a + {flags}
  %ready_both = and i32 %ready_flags, {ready}
  %is_ready = icmp eq i32 %ready_both, {ready}
  br i1 %is_ready, label %on, label %miss

; --- into cell c: what is in a, in dictionary a under b, b-th in a, in closure a, b bytes into a ---

copy:
  br label %put
entry_of:
  %entry_b = load ptr, ptr %b_at
  %entry_found = call ptr @PyDict_GetItemWithError(ptr %a, ptr %entry_b)
  br label %put
list_item:
  %list_found = call ptr @PyList_GetItem(ptr %a, i64 %wb)
  br label %put
tuple_item:
  %tuple_found = call ptr @PyTuple_GetItem(ptr %a, i64 %wb)
  br label %put
content:
  %content_found = call ptr @PyCell_Get(ptr %a)
  %is_bound = icmp ne ptr %content_found, null
  br i1 %is_bound, label %lend, label %lost
lend:                                       ; the closure has it still
  call void @Py_DecRef(ptr %content_found)
  br label %put
slot:
  %slot_at = getelementptr i8, ptr %a, i64 %wb
  %slot_found = load ptr, ptr %slot_at
  br label %put
put:
  %found = phi ptr [ %a, %copy ], [ %entry_found, %entry_of ], [ %list_found, %list_item ], [ %tuple_found, %tuple_item ],
                   [ %content_found, %lend ], [ %slot_found, %slot ]
  %is_found = icmp ne ptr %found, null
  br i1 %is_found, label %keep, label %lost
keep:
  store ptr %found, ptr %c_at
  %is_owned = icmp uge i64 %wc, %owned
  br i1 %is_owned, label %own, label %on
own:
  call void @Py_IncRef(ptr %found)
  br label %on

entries:                                    ; dictionary a has the d keys at b, in this order: what is under them, into c and so on
  store i64 0, ptr %position
  br label %entries_next
entries_next:
  %e = phi i64 [ 0, %entries ], [ %e1, %entries_kept ]
  %e1 = add i64 %e, 1
  %e_more = call i32 @PyDict_Next(ptr %a, ptr %position, ptr %key, ptr %value)
  %e_is_more = icmp ne i32 %e_more, 0
  %e_is_due = icmp ult i64 %e, %wd
  %e_is_end = icmp eq i1 %e_is_more, %e_is_due
  br i1 %e_is_end, label %entries_agree, label %miss
entries_agree:
  br i1 %e_is_due, label %entries_key, label %on
entries_key:
  %e_key = load ptr, ptr %key
  %e_due_at = getelementptr ptr, ptr %words, i64 %e
  %e_due = load ptr, ptr %e_due_at
  %e_is_key = icmp eq ptr %e_key, %e_due
  br i1 %e_is_key, label %entries_kept, label %miss
entries_kept:
  %e_value = load ptr, ptr %value
  %e_at = getelementptr ptr, ptr %c_at, i64 %e
  store ptr %e_value, ptr %e_at
  br label %entries_next

fits:                                       ; nobody watches, and the d tensors from c on are as the words at b say
  %watchers = ptr at %code + 16
  %watching = call i64 @PyList_Size(ptr %watchers)
  %unwatched = icmp eq i64 %watching, 0
  br i1 %unwatched, label %fits_look, label %miss
fits_look:
  %fit = call i64 @fitting(ptr %words, ptr %c_at, i64 %wd)
  %do_fit = icmp eq i64 %fit, 1
  br i1 %do_fit, label %on, label %miss

begin:
  %others = load i64, ptr %busy
  %is_free = icmp eq i64 %others, 0
  br i1 %is_free, label %mine_now, label %miss
mine_now:
  store i64 1, ptr %busy
  store i64 1, ptr %mine
  br label %on

; --- new objects, into cell c ---

call:
  %called = call ptr @PyObject_Vectorcall(ptr %a, ptr null, i64 0, ptr null)
  br label %hold
array:                                      ; of dtype a, of the sizes at b, which are d
  call void @Py_IncRef(ptr %a)
  %axes = trunc i64 %wd to i32
  %array_made = call ptr @PyArray_NewFromDescr(ptr @{array}, ptr %a, i32 %axes, ptr %words, ptr null, ptr null, i32 0, ptr null)
  br label %hold
pool:                                       ; one of list a that nobody else has, or else what b gives
  %pooled = call i64 @PyList_Size(ptr %a)
  br label %pool_next
pool_next:
  %p = phi i64 [ 0, %pool ], [ %p1, %pool_look ]
  %p_some = icmp slt i64 %p, %pooled
  br i1 %p_some, label %pool_look, label %pool_none
pool_look:
  %p1 = add i64 %p, 1
  %p_array = call ptr @PyList_GetItem(ptr %a, i64 %p)
  %p_references = load i32, ptr %p_array
  %p_is_idle = icmp eq i32 %p_references, 1
  br i1 %p_is_idle, label %pool_take, label %pool_next
pool_take:
  call void @Py_IncRef(ptr %p_array)
  br label %hold
pool_none:
  %p_take = load ptr, ptr %b_at
  %p_taken = call ptr @PyObject_Vectorcall(ptr %p_take, ptr null, i64 0, ptr null)
  br label %hold
view:                                       ; of array c, of dtype a, d axes; at b where it begins, its sizes, its strides
  %whole = load ptr, ptr %c_at
  %whole_from = ptr at %whole + {data}
  %view_begin = load i64, ptr %words
  %view_from = getelementptr i8, ptr %whole_from, i64 %view_begin
  %view_sizes = getelementptr i64, ptr %words, i64 1
  %view_strides = getelementptr i64, ptr %view_sizes, i64 %wd
  %view_axes = trunc i64 %wd to i32
  call void @Py_IncRef(ptr %a)
  %view_made = call ptr @PyArray_NewFromDescr(ptr @{array}, ptr %a, i32 %view_axes, ptr %view_sizes, ptr %view_strides,
                                              ptr %view_from, i32 {writeable}, ptr null)
  %is_view = icmp ne ptr %view_made, null
  br i1 %is_view, label %view_keep, label %failed
view_keep:                                  ; which has what c had from now on
  store ptr %view_made, ptr %c_at
  %view_status = call i32 @PyArray_SetBaseObject(ptr %view_made, ptr %whole)
  %is_view_kept = icmp eq i32 %view_status, 0
  br i1 %is_view_kept, label %on, label %failed
number:                                     ; of class a, of d bytes from the address b
  %number_at = inttoptr i64 %wb to ptr
  %number_made_of = call ptr @PyType_GenericAlloc(ptr %a, i64 0)
  %is_number_made = icmp ne ptr %number_made_of, null
  br i1 %is_number_made, label %number_fill, label %failed
number_fill:
  %number_own = getelementptr i8, ptr %number_made_of, i64 {number}
  %is_eight = icmp eq i64 %wd, 8
  br i1 %is_eight, label %number_eight, label %number_four
number_eight:
  %eight = load i64, ptr %number_at
  store i64 %eight, ptr %number_own
  br label %hold
number_four:
  %four = load i32, ptr %number_at
  store i32 %four, ptr %number_own
  br label %hold
scalar:                                     ; of dtype a, from the address b
  %scalar_at = inttoptr i64 %wb to ptr
  %scalar_made = call ptr @PyArray_Scalar(ptr %scalar_at, ptr %a, ptr null)
  br label %hold
tensor:                                     ; of array a, requires_grad b, node d
  %rg = load ptr, ptr %b_at
  %node = load ptr, ptr %d_at
  store ptr %a, ptr %triple
  %second = getelementptr ptr, ptr %triple, i64 1
  store ptr %rg, ptr %second
  %third = getelementptr ptr, ptr %triple, i64 2
  store ptr %node, ptr %third
  %class_words = getelementptr i64, ptr %code, i64 %class_at
  %tensor_made = call ptr @filled(ptr %class_words, ptr %triple, i64 3)
  br label %hold
tuple:                                      ; of the b cells from a on
  %tuple_made = call ptr @PyTuple_New(i64 %wb)
  br label %sequence
list:
  %list_made = call ptr @PyList_New(i64 %wb)
  br label %sequence
sequence:
  %made = phi ptr [ %tuple_made, %tuple ], [ %list_made, %list ]
  %is_list = phi i1 [ false, %tuple ], [ true, %list ]
  %no_room = icmp eq ptr %made, null
  br i1 %no_room, label %failed, label %member
member:
  %m = phi i64 [ 0, %sequence ], [ %m1, %member_set ]
  %m_some = icmp ult i64 %m, %wb
  br i1 %m_some, label %member_one, label %hold
member_one:
  %m1 = add i64 %m, 1
  %m_at = getelementptr ptr, ptr %a_at, i64 %m
  %m_object = load ptr, ptr %m_at
  call void @Py_IncRef(ptr %m_object)
  br i1 %is_list, label %member_list, label %member_tuple
member_list:
  %set_list = call i32 @PyList_SetItem(ptr %made, i64 %m, ptr %m_object)
  br label %member_set
member_tuple:
  %set_tuple = call i32 @PyTuple_SetItem(ptr %made, i64 %m, ptr %m_object)
  br label %member_set
member_set:
  br label %member
hold:
  %new = phi ptr [ %called, %call ], [ %array_made, %array ], [ %p_array, %pool_take ], [ %p_taken, %pool_none ],
                  [ %number_made_of, %number_eight ],
                  [ %number_made_of, %number_four ], [ %scalar_made, %scalar ],
                  [ %tensor_made, %tensor ], [ %made, %member ]
  %is_new = icmp ne ptr %new, null
  br i1 %is_new, label %held, label %failed
held:
  store ptr %new, ptr %c_at
  br label %on

; --- the work, and what it changes ---

carry:                                      ; from gate b, with d arrays from c on; three cells before are for who does the rest
  %code_of_room = inttoptr i64 %room to ptr
  %far = call i64 @carried(ptr %code_of_room, i64 %wb, ptr %c_at)
  %is_all = icmp eq i64 %far, 0
  br i1 %is_all, label %on, label %rest
rest:
  %is_out = icmp eq i64 %far, {out}
  br i1 %is_out, label %failed, label %redo
redo:
  %rest_at = getelementptr i8, ptr %c_at, i64 -24
  %rest_room = ptr at %code + 72
  call void @Py_IncRef(ptr %rest_room)
  store ptr %rest_room, ptr %rest_at
  %rest_gate_at = getelementptr i8, ptr %c_at, i64 -16
  %rest_gate = call ptr @PyLong_FromLongLong(i64 %wb)
  store ptr %rest_gate, ptr %rest_gate_at
  %rest_far_at = getelementptr i8, ptr %c_at, i64 -8
  %rest_far = call ptr @PyLong_FromLongLong(i64 %far)
  store ptr %rest_far, ptr %rest_far_at
  %has_gate = icmp ne ptr %rest_gate, null
  %has_far = icmp ne ptr %rest_far, null
  %has_both = and i1 %has_gate, %has_far
  br i1 %has_both, label %ask, label %failed
ask:
  %rest_of = ptr at %code + 80
  %rest_count = add i64 %wd, 3
  %answer = call ptr @PyObject_Vectorcall(ptr %rest_of, ptr %rest_at, i64 %rest_count, ptr null)
  %is_answer = icmp ne ptr %answer, null
  br i1 %is_answer, label %answered, label %failed
answered:
  call void @Py_DecRef(ptr %answer)
  br label %on
count:                                      ; b more writes, in the list a
  %count_was = call ptr @PyList_GetItem(ptr %a, i64 0)
  %is_count_there = icmp ne ptr %count_was, null
  br i1 %is_count_there, label %count_up, label %failed
count_up:
  %count_word = call i64 @PyLong_AsLongLong(ptr %count_was)
  %count_more = add i64 %count_word, %wb
  %count_new = call ptr @PyLong_FromLongLong(i64 %count_more)
  %is_count_new = icmp ne ptr %count_new, null
  br i1 %is_count_new, label %count_set, label %failed
count_set:
  %set_count = call i32 @PyList_SetItem(ptr %a, i64 0, ptr %count_new)
  %is_set = icmp eq i32 %set_count, 0
  br i1 %is_set, label %on, label %failed
fill:                                       ; array a with d bytes from the address b, or if that is 0 from array c
  %fill_into = ptr at %a + {data}
  %fill_is_array = icmp eq i64 %wb, 0
  br i1 %fill_is_array, label %fill_array, label %fill_number
fill_number:
  %fill_number_at = inttoptr i64 %wb to ptr
  br label %fill_now
fill_array:
  %fill_array_object = load ptr, ptr %c_at
  %fill_entries = ptr at %fill_array_object + {data}
  br label %fill_now
fill_now:
  %fill_from = phi ptr [ %fill_number_at, %fill_number ], [ %fill_entries, %fill_array ]
  call void @llvm.memcpy.p0.p0.i64(ptr %fill_into, ptr %fill_from, i64 %wd, i1 false)
  br label %on
store:                                      ; c, b bytes into a
  %store_at = getelementptr i8, ptr %a, i64 %wb
  %store_old = load ptr, ptr %store_at
  %store_new = load ptr, ptr %c_at
  call void @Py_IncRef(ptr %store_new)
  store ptr %store_new, ptr %store_at
  %had_old = icmp ne ptr %store_old, null
  br i1 %had_old, label %store_drop, label %on
store_drop:
  call void @Py_DecRef(ptr %store_old)
  br label %on

; --- the end: a is the result; or an error; or another function's turn ---

done:
  call void @Py_IncRef(ptr %a)
  br label %leave
failed:
  %failed_late = load i64, ptr %mine
  %is_late = icmp ne i64 %failed_late, 0
  br i1 %is_late, label %leave, label %error
error:
  call void @release(ptr %cells, i64 %owned, i64 %end)
  ret ptr null
leave:
  %result = phi ptr [ %a, %done ], [ null, %failed ]
  store i64 0, ptr %busy
  call void @release(ptr %cells, i64 %owned, i64 %end)
  ret ptr %result
lost:
  call void @PyErr_Clear()
  br label %miss
miss:
  call void @release(ptr %cells, i64 %owned, i64 %end)
  br label %refused
refused:
  %otherwise = ptr at %code + 8
  call void @Py_IncRef(ptr %otherwise)
  %their_result = call ptr @PyObject_Vectorcall(ptr %otherwise, ptr %args, i64 %given, ptr %keywords)
  call void @Py_DecRef(ptr %otherwise)
  ret ptr %their_result
}}
"""

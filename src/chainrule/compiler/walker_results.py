"""Objects with slots made at once, in LLVM's language (see :mod:`.walker` for how it is written).

``made(*values)`` is a new object of a class whose first slots hold these; the others hold None.  Its table: the class, None, how
many slots, and where each is.
"""

TEXT = """\
declare ptr @PyType_GenericAlloc(ptr, i64)
declare void @Py_IncRef(ptr)

define ptr @made(ptr %self, ptr %args, i64 %given) {{
  %code = ptr at %self + {data}
  %object = call ptr @filled(ptr %code, ptr %args, i64 %given)
  ret ptr %object
}}

define internal ptr @filled(ptr %code, ptr %args, i64 %given) {{
entry:
  %class = load ptr, ptr %code
  %none = ptr at %code + 8
  %count = i64 at %code + 16
  %offsets = getelementptr i8, ptr %code, i64 24
  %object = call ptr @PyType_GenericAlloc(ptr %class, i64 0)
  %failed = icmp eq ptr %object, null
  br i1 %failed, label %end, label %next
next:
  %i = phi i64 [ 0, %entry ], [ %i1, %fill ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %slot, label %end
slot:
  %i1 = add i64 %i, 1
  %own = icmp ult i64 %i, %given
  br i1 %own, label %take, label %fill
take:
  %value_at = getelementptr ptr, ptr %args, i64 %i
  %value = load ptr, ptr %value_at
  br label %fill
fill:
  %held = phi ptr [ %none, %slot ], [ %value, %take ]
  %offset_at = getelementptr i64, ptr %offsets, i64 %i
  %offset = load i64, ptr %offset_at
  %place = getelementptr i8, ptr %object, i64 %offset
  call void @Py_IncRef(ptr %held)
  store ptr %held, ptr %place
  br label %next
end:
  ret ptr %object
}}
"""

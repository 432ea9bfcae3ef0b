"""Kernels one after the other for the same rows, in LLVM's language (see :mod:`.walker` for how it is written).

A chain is a kernel that calls others: its words are their number, and for each its address, the block from which on it has work,
how many blocks it has, how many words on the next one begins, and what it takes.
"""

PART = 4  # words before a kernel's own
TEXT = """\
define i32 @chain(ptr %words, i64 %first, i64 %last) {{
  %count = load i64, ptr %words
  %parts = getelementptr i64, ptr %words, i64 1
  br label %blocks
blocks:
  %b = phi i64 [ %first, %0 ], [ %after, %part ]
  %found = phi i32 [ 0, %0 ], [ %status, %part ]
  %more = icmp slt i64 %b, %last
  br i1 %more, label %part, label %end
part:
  %k = phi i64 [ 0, %blocks ], [ %next, %went ]
  %at = phi ptr [ %parts, %blocks ], [ %following, %went ]
  %status = phi i32 [ %found, %blocks ], [ %both, %went ]
  %after = add i64 %b, 1
  %some = icmp ult i64 %k, %count
  br i1 %some, label %look, label %blocks
look:
  %kernel = load ptr, ptr %at
  %from = i64 at %at + 8
  %number = i64 at %at + 16
  %length = i64 at %at + 24
  %own = getelementptr i8, ptr %at, i64 {part}
  %following = getelementptr i64, ptr %at, i64 %length
  %next = add i64 %k, 1
  %block = sub i64 %b, %from
  %one = add i64 %block, 1
  %has = icmp ult i64 %block, %number
  br i1 %has, label %call, label %went
call:
  %gave = call i32 %kernel(ptr %own, i64 %block, i64 %one)
  br label %went
went:
  %mine = phi i32 [ 0, %look ], [ %gave, %call ]
  %both = or i32 %status, %mine
  br label %part
end:
  ret i32 %found
}}
"""

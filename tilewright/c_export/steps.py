"""The LLVM text of a step with a state: whole, in two halves, and what may be done with its state.

A state that is saved begins with a line that says which program it is of: no other takes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.c_export.calls import dispatch, parameters
from tilewright.c_export.gaps import Gaps, checked
from tilewright.c_export.inside import Inside, Names
from tilewright.c_export.pieces import Piece
from tilewright.c_export.stream import HEAD, HEAD_BYTES
from tilewright.codegen.context import LINE
from tilewright.codegen.object_file import DATA


def steps(names: Names, insides: Sequence[Inside], gaps: Gaps) -> str:
    """A step whole and in two halves, and what may be done with its state."""
    whole, answer = (insides[0].pieces[name] for name in ("run", "answer"))
    silent = Piece("settle", "", whole.image, (), 0)
    text = [
        dispatch("whole", insides, "run", whole, "internal "),
        dispatch("answered", insides, "answer", answer, "internal "),
        dispatch("settled", insides, "settle", silent, "internal "),
        dispatch("made_ready", insides, "prepare", silent, "internal "),
        _prepared(names),
        _kept(names, insides[0]),
        _reset(names, insides),
        checked(names.whole, whole, gaps, _WHOLE.format(arguments=parameters(whole))),
        checked(names("answer"), answer, gaps, _answering(names, answer)),
    ]
    return "\n".join(text)


_WHOLE = """
  call void @settle(ptr %s)
  store i64 0, ptr %prepared_at
  %result = call i32 @whole({arguments})
  ret i32 %result"""


def _answering(names: Names, answer: Piece) -> str:
    return f"""
  %prepared = load i64, ptr %prepared_at
  %ready = icmp ne i64 %prepared, 0
  br i1 %ready, label %on, label %first
first:
  %done = call i32 @{names("prepare")}(ptr %s)
  %late_at = getelementptr i8, ptr %s, i64 {HEAD["late"]}
  %late = load i64, ptr %late_at
  %more = add i64 %late, 1
  store i64 %more, ptr %late_at
  br label %on
on:
  %result = call i32 @answered({parameters(answer)})
  store i64 0, ptr %prepared_at
  store i64 1, ptr %unsettled_at
  ret i32 %result"""


def _prepared(names: Names) -> str:
    """What is done between two answers, once, whether it is asked for or not."""
    return f"""
define internal void @forget(ptr %s) nounwind {{
  %prepared_at = getelementptr i8, ptr %s, i64 {HEAD["prepared"]}
  %unsettled_at = getelementptr i8, ptr %s, i64 {HEAD["unsettled"]}
  store i64 0, ptr %prepared_at
  store i64 0, ptr %unsettled_at
  ret void
}}

define internal void @settle(ptr %s) nounwind {{
entry:
  %at = getelementptr i8, ptr %s, i64 {HEAD["unsettled"]}
  %unsettled = load i64, ptr %at
  %must = icmp ne i64 %unsettled, 0
  br i1 %must, label %do, label %leave
do:
  %done = call i32 @settled(ptr %s)
  store i64 0, ptr %at
  br label %leave
leave:
  ret void
}}

define i32 @{names("prepare")}(ptr %s) nounwind {{
entry:
  call void @settle(ptr %s)
  %at = getelementptr i8, ptr %s, i64 {HEAD["prepared"]}
  %prepared = load i64, ptr %at
  %is = icmp ne i64 %prepared, 0
  br i1 %is, label %leave, label %do
do:
  %done = call i32 @made_ready(ptr %s)
  store i64 1, ptr %at
  br label %leave
leave:
  ret i32 0
}}

define i64 @{names("late")}(ptr %s) nounwind {{
  %at = getelementptr i8, ptr %s, i64 {HEAD["late"]}
  %late = load i64, ptr %at
  ret i64 %late
}}
"""


def _kept(names: Names, inside: Inside) -> str:
    """The state goes out, after a line that marks the program, and comes back behind that mark."""
    size, mark = inside.layout.state_bytes, inside.mark
    return f"""
define i64 @{names("state_bytes")}() nounwind {{ ret i64 {LINE + size} }}

define void @{names("save")}(ptr %s, ptr %to) nounwind {{
  call void @settle(ptr %s)
  %mark = getelementptr i8, ptr @{DATA}, i64 {mark}
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %mark, i64 {LINE}, i1 false)
  %at = getelementptr i8, ptr %s, i64 {HEAD_BYTES}
  %behind = getelementptr i8, ptr %to, i64 {LINE}
  call void @llvm.memcpy.p0.p0.i64(ptr %behind, ptr %at, i64 {size}, i1 false)
  ret void
}}

define i32 @{names("restore")}(ptr %s, ptr %from) nounwind {{
entry:
  %mark = getelementptr i8, ptr @{DATA}, i64 {mark}
  br label %turn
turn:
  %i = phi i64 [0, %entry], [%next, %look]
  %more = icmp ult i64 %i, {LINE // 8}
  br i1 %more, label %look, label %good
look:
  %own_at = getelementptr i64, ptr %mark, i64 %i
  %its_at = getelementptr i64, ptr %from, i64 %i
  %own = load i64, ptr %own_at, align 8
  %its = load i64, ptr %its_at, align 1
  %next = add i64 %i, 1
  %same = icmp eq i64 %own, %its
  br i1 %same, label %turn, label %other
good:
  %at = getelementptr i8, ptr %s, i64 {HEAD_BYTES}
  %behind = getelementptr i8, ptr %from, i64 {LINE}
  call void @llvm.memcpy.p0.p0.i64(ptr %at, ptr %behind, i64 {size}, i1 false)
  call void @forget(ptr %s)
  ret i32 0
other:
  ret i32 1
}}
"""


def _reset(names: Names, insides: Sequence[Inside]) -> str:
    """As at the start, by the program of the level that was chosen."""
    resets = "\n".join(f"    i64 {n}, label %l{n}" for n in range(1, len(insides)))
    bodies = "\n".join(
        f"l{n}:\n  call void @reset{n}(ptr %s)\n  ret void" for n in range(len(insides))
    )
    return f"""
define void @{names("reset")}(ptr %s) nounwind {{
entry:
  call void @forget(ptr %s)
  %level = load i64, ptr %s
  switch i64 %level, label %l0 [
{resets}
  ]
{bodies}
}}
"""


def resetting(number: int, inside: Inside) -> str:
    lines = []
    for i, (at, source) in enumerate(zip(inside.layout.state, inside.initial, strict=True)):
        end = [*inside.layout.state, HEAD_BYTES + inside.layout.state_bytes][i + 1]
        lines.append(f"  %t{i} = getelementptr i8, ptr %s, i64 {at}")
        lines.append(f"  %f{i} = getelementptr i8, ptr @{DATA}, i64 {source}")
        call = f"ptr %t{i}, ptr %f{i}, i64 {end - at}, i1 false"
        lines.append(f"  call void @llvm.memcpy.p0.p0.i64({call})")
    body = "\n".join(lines)
    return f"define internal void @reset{number}(ptr %s) nounwind {{\n{body}\n  ret void\n}}"

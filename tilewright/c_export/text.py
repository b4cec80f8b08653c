"""The LLVM text of a library beside its programs: a module for any x86-64.

In: names, levels with their layouts, and where arrays lie among the data. Out: text. Nothing here
allocates but `start`, nothing locks, and nothing asks the system for anything, except to give way
where threads that help are too many for the processors (`gang.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.c_export import gang
from tilewright.c_export.calls import call, dispatch
from tilewright.c_export.gaps import TEXT as GAPS
from tilewright.c_export.gaps import Gaps
from tilewright.c_export.inside import ALLOCATE, FREE, Inside, Names, symbol
from tilewright.c_export.opening import opening
from tilewright.c_export.steps import resetting, steps
from tilewright.c_export.stream import HEAD, trips_stride
from tilewright.codegen.context import FIELDS
from tilewright.codegen.object_file import DATA


def module(names: Names, insides: Sequence[Inside], gaps: Gaps, tiles: int = 1) -> str:
    """`gaps` are for a program with a state; with several tiles, others may help."""
    first = insides[0]
    has_state = bool(first.layout.state)
    text = [_HEAD, opening(names, insides), _starting(names, insides, has_state)]
    text.append(gang.ALONE if tiles == 1 else gang.TOGETHER)
    if tiles > 1:
        text.append(gang.joining(names("join"), names("tiles"), tiles))
    for number, inside in enumerate(insides):
        text.append(_declarations(number, inside))
        text.append(_pointing(number, inside))
        text += [call(number, inside, piece) for piece in inside.pieces.values()]
        if has_state:
            text.append(resetting(number, inside))
    if has_state:
        text += [GAPS, steps(names, insides, gaps)]
    else:
        text.append(dispatch(names.whole, insides, "run", first.pieces["run"]))
    return "\n".join(text)


_HEAD = f"""
@{DATA} = external hidden constant i8
@models = internal constant [8 x i32] [i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7]
declare ptr @{ALLOCATE}(i64, i64)
declare void @{FREE}(ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)

; Nobody cancels, and nobody takes results before the end.
define hidden i32 @tw_cancelled(ptr %context, i64 %worker) nounwind {{ ret i32 0 }}
define hidden i32 @tw_wait_slot(ptr %context, i64 %instance) nounwind {{ ret i32 0 }}
define hidden void @tw_finished(ptr %context, i64 %instance) nounwind {{ ret void }}

; Run a program: denormals are zero, as everywhere in tilewright; the caller's mode comes back.
define internal i32 @drive(ptr %stream, i64 %context, i64 %control, i64 %bytes, i64 %filled,
                           i64 %count, ptr %function) nounwind {{
  %old = alloca i32
  %new = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %old)
  store i32 40896, ptr %new
  call void @llvm.x86.sse.ldmxcsr(ptr %new)
  %zeros = getelementptr i8, ptr %stream, i64 %control
  call void @llvm.memset.p0.i64(ptr %zeros, i8 0, i64 %bytes, i1 false)
  %filled_at = getelementptr i8, ptr %stream, i64 %filled
  store i64 %count, ptr %filled_at
  %context_at = getelementptr i8, ptr %stream, i64 %context
  %result = call i32 @together(ptr %stream, ptr %context_at, ptr %function)
  call void @llvm.x86.sse.ldmxcsr(ptr %old)
  ret i32 %result
}}
"""


def _starting(names: Names, insides: Sequence[Inside], has_state: bool) -> str:
    cases, bodies = "", ""
    for number, inside in enumerate(insides):
        cases += f" i32 {number}, label %l{number}"
        reset = f"call void @reset{number}(ptr %s{number})" if has_state else ""
        bodies += f"""
l{number}:
  %s{number} = call ptr @{ALLOCATE}(i64 4096, i64 {inside.layout.size})
  %n{number} = icmp eq ptr %s{number}, null
  br i1 %n{number}, label %none, label %f{number}
f{number}:
  call void @llvm.memset.p0.i64(ptr %s{number}, i8 0, i64 {inside.layout.size}, i1 false)
  store i64 {number}, ptr %s{number}
  %w{number} = getelementptr i8, ptr %s{number}, i64 {HEAD["workers"]}
  store i64 1, ptr %w{number}
  call void @point{number}(ptr %s{number})
  {reset}
  ret ptr %s{number}
"""
    return f"""
define ptr @{names("start")}(ptr %model) nounwind {{
entry:
  %absent = icmp eq ptr %model, null
  br i1 %absent, label %none, label %known
known:
  %level = load i32, ptr %model
  switch i32 %level, label %none [{cases.replace(" i32", chr(10) + "    i32")}
  ]
{bodies}
none:
  ret ptr null
}}

define void @{names("stop")}(ptr %stream) nounwind {{
  call void @{FREE}(ptr %stream)
  ret void
}}
"""


def _declarations(number: int, inside: Inside) -> str:
    return "\n".join(
        f"declare hidden i32 @{symbol(number, name)}(ptr, i64)" for name in inside.pieces
    )


def _pointing(number: int, inside: Inside) -> str:
    """Fill the contexts and tables of a new stream."""
    lines: list[str] = []

    def store(value: str, kind: str, at: int) -> None:
        name = f"%p{len(lines)}"
        lines.append(f"  {name} = getelementptr i8, ptr %s, i64 {at}")
        lines.append(f"  store {kind} {value}, ptr {name}")

    def address(base: str, offset: int) -> str:
        name = f"%q{len(lines)}"
        lines.append(f"  {name} = getelementptr i8, ptr {base}, i64 {offset}")
        return name

    layout = inside.layout
    for name, piece in inside.pieces.items():
        room = layout.rooms[name]
        pointers = dict(room.fields) | {
            "shared": layout.shared,
            "tile_arenas": layout.tile,
            "inputs": room.inputs,
            "outputs": room.outputs,
        }
        for field, offset in pointers.items():
            store(address("%s", offset), "ptr", room.context + 8 * FIELDS[field])
        count = piece.image.streamed.count if piece.image.streamed else 0
        numbers = {"workers": 1, "ring_slots": max(1, count)}
        numbers |= {"tile_arena_stride": layout.tile_stride, "trips_stride": trips_stride(piece)}
        for field, number_ in numbers.items():
            store(str(number_), "i64", room.context + 8 * FIELDS[field])
        for position, (kind, at) in enumerate(inside.inputs[name]):
            if kind in ("data", "stream"):
                base = f"@{DATA}" if kind == "data" else "%s"
                store(address(base, at), "ptr", room.inputs + 8 * position)
    body = "\n".join(lines)
    return f"define internal void @point{number}(ptr %s) nounwind {{\n{body}\n  ret void\n}}"

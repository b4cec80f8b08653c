"""The LLVM text of what a C program calls: opening, starting, running, and saving states.

In: names, levels with their layouts, and where arrays lie among the data. Out: a module's text, for
any x86-64; what it calls of levels are their programs. Nothing here allocates but `start`, nothing
locks, and nothing asks the system for anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tilewright.c_export.levels import Level
from tilewright.c_export.pieces import Piece
from tilewright.c_export.stream import HEAD, Layout
from tilewright.codegen.context import FIELDS
from tilewright.codegen.object_file import DATA

ABI = 1
ALLOCATE, FREE = "aligned_alloc", "free"


@dataclass(frozen=True)
class Inside:
    """One level of a library: its layout, its pieces, and places of arrays among the data."""

    level: Level
    layout: Layout
    pieces: dict[str, Piece]
    inputs: dict[str, list[tuple[str, int]]]
    """Of each piece, where its inputs lie: ("data", byte), ("stream", byte) or ("given", n)."""
    initial: tuple[int, ...]
    """Where the state's first values lie among the data."""


@dataclass(frozen=True)
class Names:
    """`prefix` begins every name; `verb` is what the whole call is called."""

    prefix: str
    verb: str

    def __call__(self, name: str) -> str:
        return f"{self.prefix}_{name}"

    @property
    def whole(self) -> str:
        return self(self.verb)


def symbol(level: int, piece: str) -> str:
    """Of a level's program."""
    return f"tw_level{level}_{piece}"


def exports(names: Names, has_state: bool) -> list[str]:
    """What others may call."""
    plain = ["abi", "open", "open_level", "level", "start", "stop"]
    kept = ["reset", "answer", "prepare", "late", "state_bytes", "save", "restore"]
    return [names.whole, *map(names, plain + kept * has_state)]


def module(names: Names, insides: Sequence[Inside], finite: Sequence[tuple[int, str, int]]) -> str:
    """`finite` are the given floats of a tick, as (argument, dtype, count): a step refuses others.

    Empty for a program without a state.
    """
    first = insides[0]
    has_state = bool(first.layout.state)
    text = [_HEAD, _opening(names, insides), _starting(names, insides, has_state)]
    for number, inside in enumerate(insides):
        text.append(_declarations(number, inside))
        text.append(_pointing(number, inside))
        text += [_call(number, inside, piece) for piece in inside.pieces.values()]
        if has_state:
            text.append(_resetting(number, inside))
    if has_state:
        text.append(_halves(names, insides, finite))
    else:
        text.append(_dispatch(names.whole, insides, "run", first.pieces["run"]))
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

; One worker: nobody to wait for, nobody who cancels.
define hidden i32 @tw_barrier(ptr %context, i64 %worker) nounwind {{ ret i32 0 }}
define hidden i32 @tw_cancelled(ptr %context, i64 %worker) nounwind {{ ret i32 0 }}
define hidden i32 @tw_wait_slot(ptr %context, i64 %instance) nounwind {{ ret i32 0 }}
define hidden void @tw_finished(ptr %context, i64 %instance) nounwind {{ ret void }}
define hidden i64 @tw_next(ptr %context, i64 %line) nounwind {{
  %at = getelementptr i64, ptr %context, i64 {FIELDS["queues"]}
  %queues = load ptr, ptr %at
  %byte = shl i64 %line, 6
  %queue = getelementptr i8, ptr %queues, i64 %byte
  %number = load i64, ptr %queue
  %next = add i64 %number, 1
  store i64 %next, ptr %queue
  ret i64 %number
}}

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
  %result = call i32 %function(ptr %context_at, i64 0)
  call void @llvm.x86.sse.ldmxcsr(ptr %old)
  ret i32 %result
}}

; Whether no exponent is all ones.
define internal i1 @finite32(ptr %array, i64 %count) nounwind {{
entry:
  br label %turn
turn:
  %i = phi i64 [0, %entry], [%next, %on]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %look, label %good
look:
  %at = getelementptr i32, ptr %array, i64 %i
  %word = load i32, ptr %at, align 4
  %exponent = and i32 %word, 2139095040
  %bad = icmp eq i32 %exponent, 2139095040
  br i1 %bad, label %found, label %on
on:
  %next = add i64 %i, 1
  br label %turn
good:
  ret i1 true
found:
  ret i1 false
}}
"""


def _opening(names: Names, insides: Sequence[Inside]) -> str:
    """By cpuid: the last level whose every bit is set."""
    checks, last = [], len(insides) - 1
    for number, inside in enumerate(insides):
        level, v = inside.level, f"l{number}"
        words = (("c1", level.one), ("b7", level.seven_b), ("c7", level.seven_c))
        words = (*words, ("cx", level.extended), ("xs", level.saved))
        lines = []
        for i, (word, mask) in enumerate(words):
            lines += [f"  %{v}a{i} = and i32 %{word}, {mask}"]
            lines += [f"  %{v}e{i} = icmp eq i32 %{v}a{i}, {mask}"]
        lines += [f"  %{v}s1 = and i1 %{v}e0, %{v}e1"]
        lines += [f"  %{v}s{i} = and i1 %{v}s{i - 1}, %{v}e{i}" for i in range(2, len(words))]
        lines += [f"  %{v}n = select i1 %{v}s{len(words) - 1}, i32 {number}, i32 {_before(number)}"]
        checks += lines
    quad = "{ i32, i32, i32, i32 }"
    asm = 'asm sideeffect "cpuid", "={ax},={bx},={cx},={dx},{ax},{cx}"'
    return f"""
define internal i32 @best() nounwind {{
entry:
  %r0 = call {quad} {asm}(i32 0, i32 0)
  %most = extractvalue {quad} %r0, 0
  %old = icmp ult i32 %most, 7
  br i1 %old, label %none, label %ask
ask:
  %r1 = call {quad} {asm}(i32 1, i32 0)
  %c1 = extractvalue {quad} %r1, 2
  %saves = and i32 %c1, 134217728
  %osxsave = icmp ne i32 %saves, 0
  br i1 %osxsave, label %known, label %none
known:
  %r7 = call {quad} {asm}(i32 7, i32 0)
  %b7 = extractvalue {quad} %r7, 1
  %c7 = extractvalue {quad} %r7, 2
  %rx = call {quad} {asm}(i32 -2147483647, i32 0)
  %cx = extractvalue {quad} %rx, 2
  %xs = call i32 asm sideeffect "xgetbv", "={{ax}},{{cx}},~{{dx}}"(i32 0)
{chr(10).join(checks)}
  ret i32 %l{last}n
none:
  ret i32 -1
}}

define ptr @{names("open")}() nounwind {{
  %best = call i32 @best()
  %model = call ptr @{names("open_level")}(i32 %best)
  ret ptr %model
}}

define ptr @{names("open_level")}(i32 %level) nounwind {{
  %best = call i32 @best()
  %small = icmp sge i32 %level, 0
  %able = icmp sle i32 %level, %best
  %good = and i1 %small, %able
  %wide = sext i32 %level to i64
  %at = getelementptr i32, ptr @models, i64 %wide
  %model = select i1 %good, ptr %at, ptr null
  ret ptr %model
}}

define i32 @{names("level")}(ptr %model) nounwind {{
  %level = load i32, ptr %model
  ret i32 %level
}}

define i32 @{names("abi")}() nounwind {{ ret i32 {ABI} }}
"""


def _before(number: int) -> str:
    """What is best among the levels below."""
    return "-1" if number == 0 else f"%l{number - 1}n"


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
        for field, number_ in (("workers", 1), ("ring_slots", max(1, count))):
            store(str(number_), "i64", room.context + 8 * FIELDS[field])
        for position, (kind, at) in enumerate(inside.inputs[name]):
            if kind in ("data", "stream"):
                base = f"@{DATA}" if kind == "data" else "%s"
                store(address(base, at), "ptr", room.inputs + 8 * position)
    body = "\n".join(lines)
    return f"define internal void @point{number}(ptr %s) nounwind {{\n{body}\n  ret void\n}}"


def _call(number: int, inside: Inside, piece: Piece) -> str:
    """Of a piece, given the stream and the arrays that come with the call."""
    room = inside.layout.rooms[piece.name]
    given = _given(piece)
    lines = []
    for position, (kind, at) in enumerate(inside.inputs[piece.name]):
        if kind == "given":
            lines.append(f"  %i{at} = getelementptr i8, ptr %s, i64 {room.inputs + 8 * position}")
            lines.append(f"  store ptr %a{at}, ptr %i{at}")
    for result in range(piece.results):
        lines.append(f"  %o{result} = getelementptr i8, ptr %s, i64 {room.outputs + 8 * result}")
        lines.append(f"  store ptr %r{result}, ptr %o{result}")
    count = piece.image.streamed.count if piece.image.streamed else 0
    numbers = (room.context, room.control, room.control_bytes, dict(room.fields)["filled"], count)
    arguments = ", ".join(f"i64 {n}" for n in numbers)
    body = "\n".join(lines)
    return f"""
define internal i32 @call{number}_{piece.name}({_parameters(piece)}) nounwind {{
{body}
  %result = call i32 @drive(ptr %s, {arguments}, ptr @{symbol(number, piece.name)})
  ret i32 %result
}}
; {len(given)} arrays are given
"""


def _given(piece: Piece) -> list[int]:
    return sorted(at for kind, at in piece.places if kind == "given")


def _parameters(piece: Piece) -> str:
    own = [f"ptr %a{i}" for i in _given(piece)] + [f"ptr %r{i}" for i in range(piece.results)]
    return ", ".join(["ptr %s", *own])


def _dispatch(
    name: str, insides: Sequence[Inside], piece: str, like: Piece, linkage: str = ""
) -> str:
    """The piece of the stream's level."""
    cases = "\n".join(f"    i64 {n}, label %l{n}" for n in range(1, len(insides)))
    bodies = []
    for number, inside in enumerate(insides):
        bodies.append(f"l{number}:")
        if piece in inside.pieces:
            arguments = _parameters(like)
            bodies.append(f"  %x{number} = call i32 @call{number}_{piece}({arguments})")
            bodies.append(f"  ret i32 %x{number}")
        else:
            bodies.append("  ret i32 0")
    body = "\n".join(bodies)
    return f"""
define {linkage}i32 @{name}({_parameters(like)}) nounwind {{
entry:
  %level = load i64, ptr %s
  switch i64 %level, label %l0 [
{cases}
  ]
{body}
}}
"""


def _resetting(number: int, inside: Inside) -> str:
    lines = []
    for i, (at, source) in enumerate(zip(inside.layout.state, inside.initial, strict=True)):
        end = [*inside.layout.state, 64 + inside.layout.state_bytes][i + 1]
        lines.append(f"  %t{i} = getelementptr i8, ptr %s, i64 {at}")
        lines.append(f"  %f{i} = getelementptr i8, ptr @{DATA}, i64 {source}")
        call = f"ptr %t{i}, ptr %f{i}, i64 {end - at}, i1 false"
        lines.append(f"  call void @llvm.memcpy.p0.p0.i64({call})")
    body = "\n".join(lines)
    return f"define internal void @reset{number}(ptr %s) nounwind {{\n{body}\n  ret void\n}}"


def _halves(names: Names, insides: Sequence[Inside], finite: Sequence[tuple[int, str, int]]) -> str:
    """A step whole and in two halves, and what may be done with its state."""
    whole, answer = (insides[0].pieces[name] for name in ("run", "answer"))
    silent = Piece("settle", "", whole.image, (), 0)
    text = [
        _dispatch("whole", insides, "run", whole, "internal "),
        _dispatch("answered", insides, "answer", answer, "internal "),
        _dispatch("settled", insides, "settle", silent, "internal "),
        _dispatch("made_ready", insides, "prepare", silent, "internal "),
        _words(names, insides),
        _checked(names.whole, whole, finite, _WHOLE.format(arguments=_parameters(whole))),
        _checked(names("answer"), answer, finite, _answering(names, answer)),
    ]
    return "\n".join(text)


def _checked(name: str, piece: Piece, finite: Sequence[tuple[int, str, int]], body: str) -> str:
    """A tick that is not finite changes nothing."""
    lines, good = [], []
    for argument, _, count in finite:
        lines.append(f"  %g{argument} = call i1 @finite32(ptr %a{argument}, i64 {count})")
        good.append(f"%g{argument}")
    both = "true"
    for i, one in enumerate(good):
        lines.append(f"  %all{i} = and i1 {both}, {one}")
        both = f"%all{i}"
    checks = "\n".join(lines)
    return f"""
define i32 @{name}({_parameters(piece)}) nounwind {{
entry:
{checks}
  br i1 {both}, label %go, label %refuse
refuse:
  ret i32 1
go:
  %prepared_at = getelementptr i8, ptr %s, i64 {HEAD["prepared"]}
  %unsettled_at = getelementptr i8, ptr %s, i64 {HEAD["unsettled"]}
{body}
}}
"""


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
  %result = call i32 @answered({_parameters(answer)})
  store i64 0, ptr %prepared_at
  store i64 1, ptr %unsettled_at
  ret i32 %result"""


def _words(names: Names, insides: Sequence[Inside]) -> str:
    resets = "\n".join(f"    i64 {n}, label %l{n}" for n in range(1, len(insides)))
    bodies = "\n".join(
        f"l{n}:\n  call void @reset{n}(ptr %s)\n  ret void" for n in range(len(insides))
    )
    size = insides[0].layout.state_bytes
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

define i64 @{names("state_bytes")}() nounwind {{ ret i64 {size} }}

define void @{names("save")}(ptr %s, ptr %to) nounwind {{
  call void @settle(ptr %s)
  %at = getelementptr i8, ptr %s, i64 64
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %at, i64 {size}, i1 false)
  ret void
}}

define void @{names("restore")}(ptr %s, ptr %from) nounwind {{
  %at = getelementptr i8, ptr %s, i64 64
  call void @llvm.memcpy.p0.p0.i64(ptr %at, ptr %from, i64 {size}, i1 false)
  call void @forget(ptr %s)
  ret void
}}

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

"""The LLVM text of one call: of a level's program, and of that of a stream's own level."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.c_export.inside import Inside, symbol
from tilewright.c_export.pieces import Piece


def call(number: int, inside: Inside, piece: Piece) -> str:
    """Of a piece, given the stream and the arrays that come with the call."""
    room = inside.layout.rooms[piece.name]
    count_given = len(given(piece))
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
define internal i32 @call{number}_{piece.name}({parameters(piece)}) nounwind {{
{body}
  %result = call i32 @drive(ptr %s, {arguments}, ptr @{symbol(number, piece.name)})
  ret i32 %result
}}
; {count_given} arrays are given
"""


def given(piece: Piece) -> list[int]:
    return sorted(at for kind, at in piece.places if kind == "given")


def parameters(piece: Piece) -> str:
    own = [f"ptr %a{i}" for i in given(piece)] + [f"ptr %r{i}" for i in range(piece.results)]
    return ", ".join(["ptr %s", *own])


def dispatch(
    name: str, insides: Sequence[Inside], piece: str, like: Piece, linkage: str = ""
) -> str:
    """The piece of the stream's level."""
    cases = "\n".join(f"    i64 {n}, label %l{n}" for n in range(1, len(insides)))
    bodies = []
    for number, inside in enumerate(insides):
        bodies.append(f"l{number}:")
        if piece in inside.pieces:
            arguments = parameters(like)
            bodies.append(f"  %x{number} = call i32 @call{number}_{piece}({arguments})")
            bodies.append(f"  ret i32 %x{number}")
        else:
            bodies.append("  ret i32 0")
    body = "\n".join(bodies)
    return f"""
define {linkage}i32 @{name}({parameters(like)}) nounwind {{
entry:
  %level = load i64, ptr %s
  switch i64 %level, label %l0 [
{cases}
  ]
{body}
}}
"""

"""The LLVM text of what a step does about floats that are not finite, before anything else.

    refuse   it returns 1, and nothing has changed
    hold     the last value of that place stands for it; where there was none, as above
    pass     nothing

In: which arguments of a call are float32, and where in a stream's memory the last values lie. Those
belong to its state: they are saved with it, and are no numbers at first.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.c_export.calls import parameters
from tilewright.c_export.pieces import Piece
from tilewright.c_export.stream import HEAD
from tilewright.errors import ArgumentError
from tilewright.frozen import frozen

POLICIES = ("refuse", "hold", "pass")


@frozen
class Gaps:
    """`counts` are (argument, floats). Held ones have a place for the last, and one for the tick
    without its gaps, as bytes from a stream's beginning."""

    policy: str
    counts: Sequence[tuple[int, int]]
    last: Sequence[int] = ()
    filled: Sequence[int] = ()


def check_policy(policy: str) -> None:
    if policy not in POLICIES:
        raise ArgumentError(f"nan must be one of {', '.join(POLICIES)}, not {policy!r}.")


def checked(name: str, piece: Piece, gaps: Gaps, body: str) -> str:
    """A call of that name, which is `body` once its floats are as they should be."""
    given, checks, kept = parameters(piece), [], []
    good = "true"
    for i, (argument, count) in enumerate(gaps.counts if gaps.policy != "pass" else ()):
        if gaps.policy == "hold":
            given = given.replace(f"ptr %a{argument},", f"ptr %in{argument},")
            checks += [
                f"  %last{i} = getelementptr i8, ptr %s, i64 {gaps.last[i]}",
                f"  %a{argument} = getelementptr i8, ptr %s, i64 {gaps.filled[i]}",
                f"  %good{i} = call i1 @hold32(ptr %in{argument}, ptr %last{i}, "
                f"ptr %a{argument}, i64 {count})",
            ]
            copied = f"ptr %last{i}, ptr %a{argument}, i64 {4 * count}, i1 false"
            kept.append(f"  call void @llvm.memcpy.p0.p0.i64({copied})")
        else:
            checks.append(f"  %good{i} = call i1 @finite32(ptr %a{argument}, i64 {count})")
        checks.append(f"  %all{i} = and i1 {good}, %good{i}")
        good = f"%all{i}"
    lines, copies = "\n".join(checks), "\n".join(kept)
    return f"""
define i32 @{name}({given}) nounwind {{
entry:
{lines}
  br i1 {good}, label %go, label %refuse
refuse:
  ret i32 1
go:
{copies}
  %prepared_at = getelementptr i8, ptr %s, i64 {HEAD["prepared"]}
  %unsettled_at = getelementptr i8, ptr %s, i64 {HEAD["unsettled"]}
{body}
}}
"""


TEXT = """
; Whether no exponent is all ones.
define internal i1 @finite32(ptr %array, i64 %count) nounwind {
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
}

; An array with the last values in its gaps; whether there is then none left.
define internal i1 @hold32(ptr %array, ptr %last, ptr %filled, i64 %count) nounwind {
entry:
  br label %turn
turn:
  %i = phi i64 [0, %entry], [%next, %look]
  %full = phi i1 [true, %entry], [%still, %look]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %look, label %end
look:
  %at = getelementptr i32, ptr %array, i64 %i
  %word = load i32, ptr %at, align 4
  %exponent = and i32 %word, 2139095040
  %gap = icmp eq i32 %exponent, 2139095040
  %last_at = getelementptr i32, ptr %last, i64 %i
  %old = load i32, ptr %last_at, align 4
  %taken = select i1 %gap, i32 %old, i32 %word
  %to = getelementptr i32, ptr %filled, i64 %i
  store i32 %taken, ptr %to, align 4
  %its = and i32 %taken, 2139095040
  %fine = icmp ne i32 %its, 2139095040
  %still = and i1 %full, %fine
  %next = add i64 %i, 1
  br label %turn
end:
  ret i1 %full
}
"""

"""A barrier: the tree of meetings that workers go through, as memory and as LLVM text.

Workers meet in fours; the last of each four goes on to the next meeting, where it stands for them.
Who is last of all lets go whom it met, and who is let go lets go those that it met before. With one
counter for all, each worker costs a message to the one before it: 0.4 µs for 2 workers of a
Sapphire Rapids, 1.2 for 4, 2.3 for 8, 4.5 for 16.

A meeting is four lines: who has arrived, the generation, sleepers (i32 each), and room.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

from tilewright.codegen.context import FIELDS, LINE
from tilewright.machine.meetings import FAN, levels

LEVELS = 5
"""Of the tree, at most: 1,024 workers."""
MEETING = 4 * LINE
"""Bytes."""

_TEXT = Template("""
define $linkage i32 @tw_barrier(ptr %context, i64 %worker) nounwind {
entry:
  %path = alloca [$levels x ptr], align 8
  %workers_at = getelementptr i64, ptr %context, i64 $workers
  %workers = load i64, ptr %workers_at, align 8
  %alone = icmp eq i64 %workers, 1
  br i1 %alone, label %leave, label %begin
begin:
  %barrier_at = getelementptr i64, ptr %context, i64 $barrier
  %meetings = load ptr, ptr %barrier_at, align 8
  %patience_at = getelementptr i64, ptr %context, i64 $spin
  %patience = load i64, ptr %patience_at, align 8
  br label %arrive
arrive:
  %number = phi i64 [ %worker, %begin ], [ %group, %climb ]
  %members = phi i64 [ %workers, %begin ], [ %groups, %climb ]
  %level = phi ptr [ %meetings, %begin ], [ %above, %climb ]
  %met = phi i64 [ 0, %begin ], [ %one_met, %climb ]
  %group = udiv i64 %number, $fan
  %byte = mul i64 %group, $meeting
  %arrived = getelementptr i8, ptr %level, i64 %byte
  %generation_at = getelementptr i8, ptr %arrived, i64 64
  %sleepers = getelementptr i8, ptr %arrived, i64 128
  %generation = load atomic i32, ptr %generation_at acquire, align 4
  %before = atomicrmw add ptr %arrived, i32 1 acq_rel
  %first = mul i64 %group, $fan
  %rest = sub i64 %members, %first
  %are_few = icmp ult i64 %rest, $fan
  %all = select i1 %are_few, i64 %rest, i64 $fan
  %all_here = trunc i64 %all to i32
  %count = add i32 %before, 1
  %last = icmp eq i32 %count, %all_here
  br i1 %last, label %last_of_it, label %wait
last_of_it:
  store atomic i32 0, ptr %arrived monotonic, align 4
  %filled = add i64 %members, $fan_less_one
  %groups = udiv i64 %filled, $fan
  %top = icmp eq i64 %groups, 1
  br i1 %top, label %free, label %climb
climb:
  %step = getelementptr ptr, ptr %path, i64 %met
  store ptr %arrived, ptr %step, align 8
  %one_met = add i64 %met, 1
  %bytes = mul i64 %groups, $meeting
  %above = getelementptr i8, ptr %level, i64 %bytes
  br label %arrive
$wait
let_go:
  %held = phi i64 $waited, $freed
  %nobody_held = icmp eq i64 %held, 0
  br i1 %nobody_held, label %leave, label %back
back:
  %fewer = sub i64 %held, 1
  %step_back = getelementptr ptr, ptr %path, i64 %fewer
  %its = load ptr, ptr %step_back, align 8
  %its_generation_at = getelementptr i8, ptr %its, i64 64
  %its_sleepers = getelementptr i8, ptr %its, i64 128
  %its_generation = load atomic i32, ptr %its_generation_at monotonic, align 4
  br label %free
free:
  %word = phi ptr [ %generation_at, %last_of_it ], [ %its_generation_at, %back ]
  %asleep_at = phi ptr [ %sleepers, %last_of_it ], [ %its_sleepers, %back ]
  %old = phi i32 [ %generation, %last_of_it ], [ %its_generation, %back ]
  %below = phi i64 [ %met, %last_of_it ], [ %fewer, %back ]
  %following = add i32 %old, 1
  store atomic i32 %following, ptr %word seq_cst, align 4
$free
leave:
$leave
}
""")


def barrier_bytes(workers: int) -> int:
    """Of all meetings."""
    return MEETING * sum(-(-members // FAN) for members in levels(workers))


def barrier_text(
    linkage: str, wait: str, waited: Sequence[str], free: str, freed: Sequence[str], leave: str
) -> str:
    """`tw_barrier`, given what differs.

    `wait` is from the label `wait`, for %generation_at to differ from %generation, to the blocks
    `waited`, which go on to `let_go` and leave %met alone; `free` wakes sleepers on %word, by way
    of the blocks `freed`; `leave` returns.
    """
    fields = {name: str(FIELDS[name]) for name in ("workers", "barrier", "spin")}
    return _TEXT.substitute(
        fields,
        linkage=linkage,
        levels=LEVELS,
        fan=FAN,
        fan_less_one=FAN - 1,
        meeting=MEETING,
        wait=wait.strip("\n"),
        waited=", ".join(f"[ %met, %{block} ]" for block in waited),
        free=free.strip("\n"),
        freed=", ".join(f"[ %below, %{block} ]" for block in freed),
        leave=leave.strip("\n"),
    )

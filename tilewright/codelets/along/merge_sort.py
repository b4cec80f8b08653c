"""A stable merge sort in LLVM text, of numbers that fit a register.

In: two arrays of n elements, the first holds what is to be sorted; the LLVM type of an element
and text that says whether one comes before another. Out: the address of whichever array holds the
result. Always: of equal elements the first stays first. Runs of 16 are sorted by insertion, then
merged in pairs, level by level, from one array into the other; a merge chooses without branching.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tilewright.codelets.emit.llvm import Module, Written

Less = Callable[[str, str], str]
"""(x, y) -> an instruction of type i1: whether x comes before y, strictly."""


def add_merge_sort(
    module: Module,
    symbol: str,
    kind: str,
    size: int,
    less: Less,
    context: str = "",
    calls: Iterable[str] = (),
) -> None:
    """Add `ptr @symbol(ptr data, ptr spare, i64 n, context...)`; `size` is an element's bytes.

    `calls` are the functions that the text of `less` calls.
    """
    if symbol in module.functions:
        return
    module.declare("llvm.smin.i64", "i64", "i64", "i64")
    module.declare("llvm.memcpy.p0.p0.i64", "void", "ptr", "ptr", "i64", "i1 immarg")
    body = _BODY.format(
        kind=kind, size=size, insert_before=less("%x", "%y"), take_right=less("%q", "%p")
    )
    arguments = f"ptr %data, ptr %spare, i64 %n{context}"
    module.add(Written(symbol, "ptr", arguments, "noinline nounwind", body, frozenset(calls)))


_BODY = """\
entry:
  br label %runs
runs:
  %low = phi i64 [ 0, %entry ], [ %high, %sorted ]
  %left.over = icmp slt i64 %low, %n
  br i1 %left.over, label %run, label %levels
run:
  %far = add i64 %low, 16
  %high = call i64 @llvm.smin.i64(i64 %far, i64 %n)
  br label %insert
insert:
  %i = phi i64 [ %low, %run ], [ %i.next, %place ]
  %inside = icmp slt i64 %i, %high
  br i1 %inside, label %take, label %sorted
take:
  %x.at = getelementptr {kind}, ptr %data, i64 %i
  %x = load {kind}, ptr %x.at
  br label %shift
shift:
  %j = phi i64 [ %i, %take ], [ %j.before, %move ]
  %at.low = icmp eq i64 %j, %low
  br i1 %at.low, label %place, label %compare
compare:
  %j.before = add i64 %j, -1
  %y.at = getelementptr {kind}, ptr %data, i64 %j.before
  %y = load {kind}, ptr %y.at
  %earlier = {insert_before}
  br i1 %earlier, label %move, label %place
move:
  %y.to = getelementptr {kind}, ptr %data, i64 %j
  store {kind} %y, ptr %y.to
  br label %shift
place:
  %x.to = getelementptr {kind}, ptr %data, i64 %j
  store {kind} %x, ptr %x.to
  %i.next = add i64 %i, 1
  br label %insert
sorted:
  br label %runs
levels:
  %width = phi i64 [ 16, %runs ], [ %wider, %level.done ]
  %from = phi ptr [ %data, %runs ], [ %to, %level.done ]
  %to = phi ptr [ %spare, %runs ], [ %from, %level.done ]
  %unsorted = icmp slt i64 %width, %n
  br i1 %unsorted, label %pairs, label %done
pairs:
  %start = phi i64 [ 0, %levels ], [ %stop, %pair.done ]
  %more = icmp slt i64 %start, %n
  br i1 %more, label %pair, label %level.done
pair:
  %middle.far = add i64 %start, %width
  %middle = call i64 @llvm.smin.i64(i64 %middle.far, i64 %n)
  %stop.far = add i64 %middle, %width
  %stop = call i64 @llvm.smin.i64(i64 %stop.far, i64 %n)
  br label %merge
merge:
  %a = phi i64 [ %start, %pair ], [ %a.next, %step ]
  %b = phi i64 [ %middle, %pair ], [ %b.next, %step ]
  %k = phi i64 [ %start, %pair ], [ %k.next, %step ]
  %k.at = getelementptr {kind}, ptr %to, i64 %k
  %a.left = icmp slt i64 %a, %middle
  %b.left = icmp slt i64 %b, %stop
  %both = and i1 %a.left, %b.left
  br i1 %both, label %step, label %rest
step:
  %p.at = getelementptr {kind}, ptr %from, i64 %a
  %q.at = getelementptr {kind}, ptr %from, i64 %b
  %p = load {kind}, ptr %p.at
  %q = load {kind}, ptr %q.at
  %right = {take_right}
  %chosen = select i1 %right, {kind} %q, {kind} %p
  store {kind} %chosen, ptr %k.at
  %b.step = zext i1 %right to i64
  %b.next = add i64 %b, %b.step
  %k.next = add i64 %k, 1
  %a.moved = add i64 %a, 1
  %a.next = sub i64 %a.moved, %b.step
  br label %merge
rest:
  %rest.from = select i1 %a.left, i64 %a, i64 %b
  %rest.stop = select i1 %a.left, i64 %middle, i64 %stop
  %rest.count = sub i64 %rest.stop, %rest.from
  %rest.size = mul i64 %rest.count, {size}
  %rest.at = getelementptr {kind}, ptr %from, i64 %rest.from
  call void @llvm.memcpy.p0.p0.i64(ptr %k.at, ptr %rest.at, i64 %rest.size, i1 false)
  br label %pair.done
pair.done:
  br label %pairs
level.done:
  %wider = shl i64 %width, 1
  br label %levels
done:
  ret ptr %from"""

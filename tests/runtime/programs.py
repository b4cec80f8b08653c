"""Small programs in LLVM text, by the contract of `codegen/context.py`, for tests."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

from tilewright.codegen.context import FIELDS
from tilewright.codegen.host import compile_text
from tilewright.graph.ir import Type
from tilewright.image import Image, Interface, Streamed
from tilewright.runtime.executable import Executable
from tilewright.runtime.made import Made

INTERFACE = {field.name for field in dataclasses.fields(Interface)}

DECLARATIONS = """
declare i32 @tw_barrier(ptr, i64)
declare i32 @tw_cancelled(ptr, i64)
declare i64 @tw_next(ptr, i64)
declare i32 @tw_wait_slot(ptr, i64)
declare void @tw_finished(ptr, i64)
"""


def field(name: str, kind: str = "ptr") -> str:
    """Lines that load a field of the context as %name."""
    return f"""
  %{name}_at = getelementptr i64, ptr %context, i64 {FIELDS[name]}
  %{name} = load {kind}, ptr %{name}_at, align 8"""


def pointers(inputs: int, outputs: int) -> str:
    """Lines that load %in0, ... and %out0, ..."""
    lines = [field("inputs"), field("outputs")]
    for kind, table, count in (("in", "inputs", inputs), ("out", "outputs", outputs)):
        for i in range(count):
            lines.append(f"  %{kind}{i}_at = getelementptr ptr, ptr %{table}, i64 {i}")
            lines.append(f"  %{kind}{i} = load ptr, ptr %{kind}{i}_at, align 8")
    return "\n".join(lines)


def program(body: str) -> str:
    """A module with one program; `body` starts in %entry and ends with a `ret i32`."""
    header = "define i32 @tilewright_run(ptr %context, i64 %worker) nounwind {\nentry:"
    return f"{DECLARATIONS}\n{header}{body}\n}}\n"


@cache
def compiled_object(text: str) -> Any:
    return compile_text(text)


def executable(text: str, **fields: Any) -> Executable:
    called = {name: fields.pop(name) for name in INTERFACE & fields.keys()}
    image = Image(Interface(**called), compiled_object(text), **fields)
    return Executable(Made(image, llvm=text))


def add(n: int = 4, **fields: Any) -> Executable:
    """x + y of float32[n], by worker 0."""
    body = f"""{pointers(2, 1)}
  %x = load <{n} x float>, ptr %in0, align 4
  %y = load <{n} x float>, ptr %in1, align 4
  %z = fadd <{n} x float> %x, %y
  store <{n} x float> %z, ptr %out0, align 4
  ret i32 0"""
    kind = Type("float32", (n,))
    options = {"inputs": (kind, kind), "outputs": (kind,)} | fields
    return executable(program(body), **options)


def barriers(rounds: int, workers: int, **fields: Any) -> Executable:
    """In every round each worker adds its neighbour's last number to its own: a race shows.

    Input: int64[workers, 8] (one line each). Output: the numbers after `rounds`, int64[workers, 8].
    """
    body = f"""{pointers(1, 1)}{field("workers", "i64")}{field("trips")}
{field("trips_stride", "i64")}
  %trips_byte = mul i64 %trips_stride, %worker
  %turns = getelementptr i8, ptr %trips, i64 %trips_byte
  %mine_index = mul i64 %worker, 8
  %next = add i64 %worker, 1
  %neighbour = urem i64 %next, %workers
  %its_index = mul i64 %neighbour, 8
  %source = getelementptr i64, ptr %in0, i64 %mine_index
  %mine = getelementptr i64, ptr %out0, i64 %mine_index
  %its = getelementptr i64, ptr %out0, i64 %its_index
  %first = load i64, ptr %source, align 8
  store i64 %first, ptr %mine, align 8
  br label %round
round:
  %i = phi i64 [ 0, %entry ], [ %j, %after ]
  %over = icmp eq i64 %i, {rounds}
  br i1 %over, label %done, label %read
read:
  %stop1 = call i32 @tw_barrier(ptr %context, i64 %worker)
  %bad1 = icmp ne i32 %stop1, 0
  br i1 %bad1, label %cancelled, label %between
between:
  %a = load i64, ptr %its, align 8
  %stop2 = call i32 @tw_barrier(ptr %context, i64 %worker)
  %bad2 = icmp ne i32 %stop2, 0
  br i1 %bad2, label %cancelled, label %after
after:
  %b = load i64, ptr %mine, align 8
  %c = mul i64 %b, 3
  %d = add i64 %a, %c
  store i64 %d, ptr %mine, align 8
  %j = add i64 %i, 1
  store atomic i64 %j, ptr %turns monotonic, align 8
  br label %round
cancelled:
  ret i32 1
done:
  ret i32 0"""
    kind = Type("int64", (workers, 8))
    options = {
        "inputs": (kind,), "outputs": (kind,), "shared_work": workers > 1, "tiles": workers,
        "loops": ("rounds",),
    } | fields  # fmt: skip
    return executable(program(body), **options)


def endless(workers: int = 2, loops: tuple[str, ...] = ()) -> Executable:
    """Worker 0 works until cancelled; the others wait for it at a barrier."""
    body = """
  %first = icmp eq i64 %worker, 0
  br i1 %first, label %work, label %meet
work:
  %stop = call i32 @tw_cancelled(ptr %context, i64 %worker)
  %over = icmp ne i32 %stop, 0
  br i1 %over, label %meet, label %work
meet:
  %result = call i32 @tw_barrier(ptr %context, i64 %worker)
  ret i32 %result"""
    return executable(
        program(body), inputs=(), outputs=(), shared_work=workers > 1, tiles=workers, loops=loops
    )


def squares(count: int, workers: int = 2, spin: int = 0, **fields: Any) -> Executable:
    """A map: row i of float32[count, 4] squared, instances from a queue, `spin` turns each."""
    body = f"""{pointers(1, 1)}{field("ring_slots", "i64")}
  br label %next
next:
  %i = call i64 @tw_next(ptr %context, i64 0)
  %more = icmp slt i64 %i, {count}
  br i1 %more, label %wait, label %done
wait:
  %stop = call i32 @tw_wait_slot(ptr %context, i64 %i)
  %cancelled = icmp ne i32 %stop, 0
  br i1 %cancelled, label %leave, label %spin
spin:
  %k = phi i64 [ 0, %wait ], [ %l, %spin ]
  %l = add i64 %k, 1
  %flag = call i32 @tw_cancelled(ptr %context, i64 %worker)
  %short = icmp slt i64 %l, {spin}
  %free = icmp eq i32 %flag, 0
  %on = and i1 %short, %free
  br i1 %on, label %spin, label %work
work:
  %slot = urem i64 %i, %ring_slots
  %index = mul i64 %slot, 4
  %from = getelementptr float, ptr %in0, i64 %index
  %to = getelementptr float, ptr %out0, i64 %index
  %x = load <4 x float>, ptr %from, align 4
  %y = fmul <4 x float> %x, %x
  store <4 x float> %y, ptr %to, align 4
  call void @tw_finished(ptr %context, i64 %i)
  br label %next
leave:
  ret i32 1
done:
  %meet = call i32 @tw_barrier(ptr %context, i64 %worker)
  ret i32 %meet"""
    kind = Type("float32", (count, 4))
    options = {
        "inputs": (kind,), "outputs": (kind,), "shared_work": workers > 1, "tiles": workers,
        "maps": 1, "streamed": Streamed(count, (0,), (0,)),
    } | fields  # fmt: skip
    return executable(program(body), **options)

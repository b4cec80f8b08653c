"""Loops of known length, written so that the loop body is one block tested at its end.

In: a `Function` being written. Out: the same, inside the loop. Counts are at least 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tilewright.codelets.base import LANES
from tilewright.codelets.emit.llvm import Function, LoopHandle
from tilewright.codelets.emit.vectors import offset

Body = Callable[[list[str], int], None]
"""(pointers, lanes that exist) -> writes what is done with up to 16 neighbours."""


@contextmanager
def repeat(
    function: Function, count: int | str, carry: Sequence[tuple[str, str]] = ()
) -> Iterator[LoopHandle]:
    """Write the body once, to be run `count` >= 1 times (tested at the bottom, so no empty turn).

    `count` is a number, or a register. A single turn is written without a loop, and there the index
    is the text "0".
    """
    firsts = [first for _, first in carry]
    if count == 1:
        yield from _once(firsts)
        return
    body, done, before = function.name("body"), function.name("done"), function.block
    function.do(f"br label %{body}")
    function.label(body)
    mark = len(function.lines)
    index = "%" + function.name("i")
    phis = ["%" + function.name("c") for _ in carry]
    handle = LoopHandle(index, list(phis), list(phis), list(phis))
    yield handle
    after = function.let(f"add i64 {index}, 1")
    test = function.let(f"icmp ult i64 {after}, {count}")
    last = function.block
    function.do(f"br i1 {test}, label %{body}, label %{done}")
    rows = [f"  {index} = phi i64 [ 0, %{before} ], [ {after}, %{last} ]"]
    rows += [
        f"  {phi} = phi {kind} [ {first}, %{before} ], [ {following}, %{last} ]"
        for phi, (kind, first), following in zip(phis, carry, handle.next, strict=True)
    ]
    function.lines[mark:mark] = rows
    function.label(done)
    handle.result[:] = handle.next


def _once(firsts: list[str]) -> Iterator[LoopHandle]:
    handle = LoopHandle("0", list(firsts), list(firsts), list(firsts))
    yield handle
    handle.result[:] = handle.next


def stretch(function: Function, count: int, length: int, number: str) -> int | str:
    """Turns in the stretch of a number, of `count` in stretches of so many: the last is shorter."""
    if count % length == 0:
        return length
    left = function.let(f"sub i64 {count}, {function.let(f'mul i64 {number}, {length}')}")
    shorter = function.let(f"icmp ult i64 {left}, {length}")
    return function.let(f"select i1 {shorter}, i64 {left}, i64 {length}")


@contextmanager
def walk(
    function: Function,
    counts: Sequence[int],
    pointers: Sequence[str],
    dtypes: Sequence[str],
    strides: Sequence[Sequence[int]],
) -> Iterator[list[str]]:
    """Nested loops over `counts` (none of them 0) that carry pointers along their strides.

    The body is written inside the innermost loop, with the pointers there.
    """
    yield from _walk(function, counts, pointers, dtypes, strides)


def _walk(
    function: Function,
    counts: Sequence[int],
    pointers: Sequence[str],
    dtypes: Sequence[str],
    strides: Sequence[Sequence[int]],
) -> Iterator[list[str]]:
    if not counts:
        yield list(pointers)
        return
    with repeat(function, counts[0], [("ptr", pointer) for pointer in pointers]) as turn:
        inner = [steps[1:] for steps in strides]
        yield from _walk(function, counts[1:], turn.carry, dtypes, inner)
        turn.next[:] = [
            offset(function, pointer, dtype, steps[0])
            for pointer, dtype, steps in zip(turn.carry, dtypes, strides, strict=True)
        ]


def in_chunks(
    function: Function,
    count: int,
    pointers: Sequence[str],
    dtypes: Sequence[str],
    strides: Sequence[int],
    body: Body,
    lanes: int = LANES,
) -> None:
    """`body` on every 16 neighbours (or as many `lanes`), and once more on those left."""

    def moved(bases: Sequence[str], chunks: int) -> list[str]:
        rows = zip(bases, dtypes, strides, strict=True)
        return [offset(function, base, dtype, chunks * lanes * s) for base, dtype, s in rows]

    whole, rest = divmod(count, lanes)
    if whole:
        with repeat(function, whole, [("ptr", pointer) for pointer in pointers]) as turn:
            body(list(turn.carry), lanes)
            turn.next[:] = moved(turn.carry, 1)
    if rest:
        body(moved(pointers, whole), rest)

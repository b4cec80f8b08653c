"""Windows on strided arrays: where one begins, and what is done with its elements.

In: a `Function` being written, pointers to the first elements, static shapes and strides. Out: the
same function, with loops appended. Always: two arrays of a window have one shape and do not
overlap, so dimensions are reordered and merged freely; nothing is written where a size is 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tilewright.codelets.emit.branch import branch
from tilewright.codelets.emit.combination import Combination
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function
from tilewright.codelets.emit.loops import in_chunks, walk
from tilewright.codelets.emit.vectors import (
    itemsize,
    load,
    load_scalar,
    offset,
    store,
    store_scalar,
)

_LARGEST = (1 << 63) - 1


def as_i64(function: Function, dtype: str, value: str) -> str:
    """An index of any width as i64; an unsigned one beyond that is as good as the largest."""
    if dtype == "uint64":
        return least(function, value, _LARGEST, "u")
    if dtype == "int64":
        return value
    extend = "sext" if dtype.startswith("int") else "zext"
    return function.let(f"{extend} {MEMORY_TYPE[dtype]} {value} to i64")


def least(function: Function, value: str, bound: int | str, sign: str = "s") -> str:
    """The smaller of an i64 and a bound."""
    symbol = f"llvm.{sign}min.i64"
    function.module.declare(symbol, "i64", "i64", "i64")
    return function.call("i64", symbol, ("i64", value), ("i64", str(bound)))


def clamp(function: Function, value: str, last: int) -> str:
    """An i64 moved into [0, last]."""
    function.module.declare("llvm.smax.i64", "i64", "i64", "i64")
    above = function.call("i64", "llvm.smax.i64", ("i64", value), ("i64", "0"))
    return least(function, above, max(last, 0))


def load_index(function: Function, dtype: str, pointer: str) -> str:
    return as_i64(function, dtype, load_scalar(function, dtype, pointer))


def simplified(shape: Sequence[int], *strides: Sequence[int]) -> tuple[list[int], list[list[int]]]:
    """The same elements in as few dimensions as can be, the last array's widest stride first."""
    rows = [row for row in zip(shape, *strides, strict=True) if row[0] != 1]
    rows.sort(key=lambda row: -abs(row[-1]))
    merged: list[tuple[int, ...]] = []
    for n, *steps in rows:
        if merged and all(
            outer == inner * n for outer, inner in zip(merged[-1][1:], steps, strict=True)
        ):
            merged[-1] = (merged[-1][0] * n, *steps)
        else:
            merged.append((n, *steps))
    return [row[0] for row in merged], [[row[1 + i] for row in merged] for i in range(len(strides))]


def copy_window(
    function: Function,
    dtype: str,
    shape: Sequence[int],
    pointers: tuple[str, str],
    strides: tuple[Sequence[int], Sequence[int]],
) -> None:
    """Move the bits of a window from the first pointer to the second."""
    if 0 in shape:
        return
    counts, (from_steps, to_steps) = simplified(shape, *strides)
    row = 1
    if counts and from_steps[-1] == to_steps[-1] == 1:
        row = counts.pop()
    with walk(function, counts, pointers, (dtype, dtype), (from_steps, to_steps)) as (
        source,
        target,
    ):
        _copy_row(function, dtype, row, source, target)


def _copy_row(function: Function, dtype: str, count: int, source: str, target: str) -> None:
    """Neighbours; LLVM writes short copies in place and calls `memcpy` for long ones."""
    symbol, align = "llvm.memcpy.p0.p0.i64", itemsize(dtype)
    function.module.declare(symbol, "void", "ptr", "ptr", "i64", "i1 immarg")
    size = count * itemsize(dtype)
    function.do(
        f"call void @{symbol}(ptr align {align} {target}, ptr align {align} {source}, "
        f"i64 {size}, i1 false)"
    )


def fill_window(
    function: Function,
    dtype: str,
    shape: Sequence[int],
    bits: int,
    pointer: str,
    strides: Sequence[int],
) -> None:
    """Write the same bits to every element."""
    if 0 in shape:
        return
    counts, (steps,) = simplified(shape, strides)
    size = itemsize(dtype)
    with walk(function, counts, (pointer,), (dtype,), (steps,)) as (target,):
        function.do(f"store i{8 * size} {bits}, ptr {target}, align {size}")


def combine_window(
    function: Function,
    combination: Combination,
    shape: Sequence[int],
    pointers: tuple[str, str],
    strides: tuple[Sequence[int], Sequence[int]],
) -> None:
    """Combine each element of the second window with one of the first, into the second."""
    if 0 in shape:
        return
    dtype = combination.dtype
    counts, (new_steps, old_steps) = simplified(shape, *strides)
    row = 1
    if counts and new_steps[-1] == old_steps[-1] == 1:
        row = counts.pop()

    def combine(chunk: list[str], valid: int) -> None:
        for start, width in _in_powers(valid):
            places = [offset(function, place, dtype, start) for place in chunk]
            _combine(function, combination, width, *places)

    with walk(function, counts, pointers, (dtype, dtype), (new_steps, old_steps)) as row_pointers:
        in_chunks(function, row, row_pointers, (dtype, dtype), (1, 1), combine)


def _in_powers(count: int) -> Iterator[tuple[int, int]]:
    """(start, width) of neighbours in as few vectors as whole ones can be: what is written under a
    mask, and read again by the next row that falls there, is waited for twice as long."""
    start = 0
    while start < count:
        width = 1 << (count - start).bit_length() - 1
        yield start, width
        start += width


def _combine(function: Function, combination: Combination, width: int, new: str, old: str) -> None:
    """So many neighbours of the second with those of the first."""
    dtype = combination.dtype
    if width > 1:
        x, y = (load(function, dtype, place, 1, width) for place in (old, new))
        result = combination.rounded(function, width, x, y)
        store(function, dtype, result, old, 1, width)
        return
    x, y = (load_scalar(function, dtype, place) for place in (old, new))
    if combination.is_extreme_of_floats:
        _put_extreme(function, combination, (x, y), old)
        return
    store_scalar(function, dtype, combination.rounded(function, 0, x, y), old)


def _put_extreme(
    function: Function, combination: Combination, values: tuple[str, str], old: str
) -> None:
    """The greater or lesser of two: one comparison, but for equal ones (zeros of both signs) and
    NaN, which a function apart sees to (selects for all of it take 1.3 times as long)."""
    x, y = values
    dtype, kind = combination.dtype, combination.register
    relation = "olt" if combination.operation == "min" else "ogt"
    words = f"i{8 * itemsize(dtype)}"
    bits = [function.let(f"bitcast {kind} {value} to {words}") for value in values]
    same = function.let(f"icmp eq {words} {bits[0]}, {bits[1]}")
    apart = function.let(f"fcmp one {kind} {y}, {x}")
    with branch(function, function.let(f"or i1 {apart}, {same}")) as otherwise:
        better = function.let(f"fcmp {relation} {kind} {y}, {x}")
        chosen = function.let(f"select i1 {better}, {kind} {y}, {kind} {x}")
        store_scalar(function, dtype, chosen, old)
        otherwise()
        symbol = f"{combination.operation}_{dtype}_apart"
        if symbol not in function.module.functions:
            apart = function.module.function(symbol, kind, [kind, kind])
            apart.close(
                f"{kind} {combination.rounded(apart, 0, apart.argument(0), apart.argument(1))}"
            )
        store_scalar(function, dtype, function.call(kind, symbol, (kind, x), (kind, y)), old)

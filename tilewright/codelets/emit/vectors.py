"""LLVM text for vectors in memory: loads and stores at any stride, and changes of dtype.

In: a `Function` being written, names of registers. Out: names of new registers. A vector of `width`
lanes of which only the first `valid` exist in memory never touches bytes beyond them; its other
lanes read as zero. Narrowing to bfloat16 rounds to nearest even and makes every NaN quiet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function, vector
from tilewright.graph.ir import numpy_dtype

FLOATS = ("float32", "float64", "bfloat16", "float16")


def itemsize(dtype: str) -> int:
    """Bytes of one element in memory."""
    return numpy_dtype(dtype).itemsize


def kind_bits(kind: str) -> int:
    """Bits of an LLVM scalar type."""
    return {"float": 32, "double": 64, "half": 16}.get(kind) or int(kind[1:])


def suffix(kind: str, width: int) -> str:
    """How intrinsics spell a type: `v16f32`, `i32`."""
    letter = "i" if kind.startswith("i") else "f"
    return f"v{width}{letter}{kind_bits(kind)}" if width else f"{letter}{kind_bits(kind)}"


def constants(kind: str, values: Sequence[int]) -> str:
    """A constant vector of integers."""
    return "<" + ", ".join(f"{kind} {value}" for value in values) + ">"


def splat_constant(kind: str, value: str | int, width: int) -> str:
    """The same constant in every lane; the scalar itself at width 0."""
    return f"splat ({kind} {value})" if width else str(value)


def mask(width: int, valid: int) -> str:
    """The first `valid` of `width` lanes."""
    return constants("i1", [int(lane < valid) for lane in range(width)])


def shuffle(function: Function, kind: str, width: int, x: str, y: str, lanes: Sequence[int]) -> str:
    """Lanes picked from x (0 ... width-1) and y (width ...); -1 leaves a lane undefined."""
    picks = ", ".join("i32 poison" if lane < 0 else f"i32 {lane}" for lane in lanes)
    source = vector(kind, width)
    return function.let(f"shufflevector {source} {x}, {source} {y}, <{len(lanes)} x i32> <{picks}>")


def splat(function: Function, kind: str, width: int, scalar: str) -> str:
    """A scalar in every lane."""
    row = vector(kind, width)
    first = function.let(f"insertelement {row} poison, {kind} {scalar}, i64 0")
    return shuffle(function, kind, width, first, "poison", [0] * width)


def offset(function: Function, pointer: str, dtype: str, elements: int | str) -> str:
    """A pointer moved by a number of elements."""
    return pointer if elements == 0 else function.address(pointer, MEMORY_TYPE[dtype], elements)


def number_of(function: Function, pointer: str) -> str:
    """A pointer as a number."""
    return function.let(f"ptrtoint ptr {pointer} to i64")


def load_scalar(function: Function, dtype: str, pointer: str) -> str:
    return function.let(f"load {MEMORY_TYPE[dtype]}, ptr {pointer}, align {itemsize(dtype)}")


def load_number(function: Function, pointer: str) -> str:
    """An int32 of a table, as i64."""
    return function.let(f"sext i32 {load_scalar(function, 'int32', pointer)} to i64")


def store_scalar(function: Function, dtype: str, value: str, pointer: str) -> None:
    """Write one element of memory type."""
    function.do(f"store {MEMORY_TYPE[dtype]} {value}, ptr {pointer}, align {itemsize(dtype)}")


def load(
    function: Function,
    dtype: str,
    pointer: str,
    stride: int,
    width: int,
    valid: int | None = None,
    fill: str = "zeroinitializer",
) -> str:
    """`width` lanes of memory type, the first `valid` read `stride` elements apart.

    The others are those of the constant vector `fill`.
    """
    kind, row, align = MEMORY_TYPE[dtype], vector(MEMORY_TYPE[dtype], width), itemsize(dtype)
    valid = width if valid is None else valid
    if stride == 0 and valid == width:
        return splat(function, kind, width, load_scalar(function, dtype, pointer))
    if stride == 1 and valid == width:
        return function.let(f"load {row}, ptr {pointer}, align {align}")
    if stride == 1 and valid > 1:
        symbol = f"llvm.masked.load.{suffix(kind, width)}.p0"
        function.module.declare(symbol, row, "ptr", "i32 immarg", f"<{width} x i1>", row)
        arguments = f"ptr {pointer}, i32 {align}, <{width} x i1> {mask(width, valid)}"
        return function.let(f"call {row} @{symbol}({arguments}, {row} {fill})")
    value = fill
    for lane in range(valid):
        scalar = load_scalar(function, dtype, offset(function, pointer, dtype, lane * stride))
        value = function.let(f"insertelement {row} {value}, {kind} {scalar}, i64 {lane}")
    return value


def store(
    function: Function,
    dtype: str,
    value: str,
    pointer: str,
    stride: int,
    width: int,
    valid: int | None = None,
) -> None:
    """Write the first `valid` lanes of a vector of memory type, `stride` elements apart."""
    kind, row, align = MEMORY_TYPE[dtype], vector(MEMORY_TYPE[dtype], width), itemsize(dtype)
    valid = width if valid is None else valid
    if stride == 1 and valid == width:
        function.do(f"store {row} {value}, ptr {pointer}, align {align}")
    elif stride == 1 and valid > 1:
        symbol = f"llvm.masked.store.{suffix(kind, width)}.p0"
        function.module.declare(symbol, "void", row, "ptr", "i32 immarg", f"<{width} x i1>")
        arguments = (
            f"{row} {value}, ptr {pointer}, i32 {align}, <{width} x i1> {mask(width, valid)}"
        )
        function.do(f"call void @{symbol}({arguments})")
    else:
        for lane in range(valid):
            scalar = function.let(f"extractelement {row} {value}, i64 {lane}")
            target = offset(function, pointer, dtype, lane * stride)
            function.do(f"store {kind} {scalar}, ptr {target}, align {align}")


def store_past(function: Function, dtype: str, value: str, pointer: str, width: int) -> None:
    """Write whole cache lines past the caches: they are not fetched first, nor kept.

    Other threads see them after the next instruction with a lock: barriers have one.
    """
    row = vector(MEMORY_TYPE[dtype], width)
    function.do(f"store {row} {value}, ptr {pointer}, align 64, !nontemporal !{{i32 1}}")


def prefetch(
    function: Function,
    pointer: str,
    nbytes: int,
    use: Literal["read", "write"] = "read",
    into: Literal["L1", "L2"] = "L1",
) -> None:
    """Ask for bytes that will be read or written soon; they need not exist."""
    symbol = "llvm.prefetch.p0"
    function.module.declare(symbol, "void", "ptr", *["i32 immarg"] * 3)
    near = 3 if into == "L1" else 2
    for line in range(0, nbytes, 64):
        where = function.address(pointer, "i8", line) if line else pointer
        arguments = f"ptr {where}, i32 {int(use == 'write')}, i32 {near}, i32 1"
        function.do(f"call void @{symbol}({arguments})")


def widen(function: Function, value: str, dtype: str, wide: str, width: int) -> str:
    """A value of memory type, exactly, in the register type of dtype `wide` (width 0: a scalar)."""
    source, target = MEMORY_TYPE[dtype], MEMORY_TYPE[wide]
    if dtype == "bfloat16":
        words = vector("i32", width)
        value = function.let(f"zext {vector('i16', width)} {value} to {words}")
        value = function.let(f"shl {words} {value}, {splat_constant('i32', 16, width)}")
        value = function.let(f"bitcast {words} {value} to {vector('float', width)}")
        source = "float"
    if source == target:
        return value
    if wide in FLOATS:
        operation = "fpext" if source in ("half", "float") else _from_integer(dtype)
    elif kind_bits(source) > kind_bits(target):
        operation = "trunc"
    else:
        operation = "sext" if dtype.startswith("int") else "zext"
    return function.let(f"{operation} {vector(source, width)} {value} to {vector(target, width)}")


def _from_integer(dtype: str) -> str:
    return "sitofp" if dtype.startswith("int") else "uitofp"


def narrow(function: Function, value: str, wide: str, dtype: str, width: int) -> str:
    """A value of dtype `wide`'s register type, rounded to nearest even, in dtype's memory type."""
    source, target = MEMORY_TYPE[wide], MEMORY_TYPE[dtype]
    if dtype == "bfloat16" and wide == "float32":
        return _narrow_bfloat16(function, value, width)
    if source == target:
        return value
    operation = "fptrunc" if wide in FLOATS else "trunc"
    return function.let(f"{operation} {vector(source, width)} {value} to {vector(target, width)}")


def _narrow_bfloat16(function: Function, value: str, width: int) -> str:
    words, floats, flags = vector("i32", width), vector("float", width), vector("i1", width)

    def word(number: int) -> str:
        return splat_constant("i32", number, width)

    bits = function.let(f"bitcast {floats} {value} to {words}")
    high = function.let(f"lshr {words} {bits}, {word(16)}")
    odd = function.let(f"and {words} {high}, {word(1)}")
    bias = function.let(f"add {words} {odd}, {word(0x7FFF)}")
    rounded = function.let(f"add {words} {bits}, {bias}")
    rounded = function.let(f"lshr {words} {rounded}, {word(16)}")
    sign = function.let(f"and {words} {high}, {word(0x8000)}")
    quiet = function.let(f"or {words} {sign}, {word(0x7FC0)}")
    nan = function.let(f"fcmp uno {floats} {value}, {value}")
    chosen = function.let(f"select {flags} {nan}, {words} {quiet}, {words} {rounded}")
    return function.let(f"trunc {words} {chosen} to {vector('i16', width)}")

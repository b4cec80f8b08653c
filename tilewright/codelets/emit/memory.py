"""Elements between memory and registers: a bool is a byte in memory and an i1 in a register, 16-bit
floats are two bytes and a float.

In: a pointer, a stride in elements, static lanes. Out: registers (`load`), bytes (`store`).
Always: both are exact. A value in a register has been rounded to its dtype by the operation that
made it, so that `store` only drops bits that are zero; NaN payloads pass through. Of `width`
lanes, the first `valid` exist in memory; the others read as zero. Width 0 is a scalar.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.emit.vectors import itemsize, load_scalar, offset, splat
from tilewright.codelets.emit.vectors import load as load_memory
from tilewright.codelets.emit.vectors import store as store_memory


def load(
    function: Function, dtype: str, pointer: str, width: int, stride: int, valid: int | None = None
) -> str:
    """Lanes `stride` elements apart, in the register type of `dtype`."""
    raw = load_raw(function, dtype, pointer, width, stride, valid)
    return to_register(function, dtype, raw, width)


def store(
    function: Function,
    dtype: str,
    value: str,
    pointer: str,
    width: int,
    stride: int,
    valid: int | None = None,
) -> None:
    """Write lanes of register type `stride` elements apart."""
    raw = to_memory(function, dtype, value, width)
    store_raw(function, dtype, raw, pointer, width, stride, valid)


def load_raw(
    function: Function, dtype: str, pointer: str, width: int, stride: int, valid: int | None = None
) -> str:
    """Lanes as they lie in memory, unconverted."""
    if not width:
        return load_scalar(function, dtype, pointer)
    if stride == 0:
        return splat(function, MEMORY_TYPE[dtype], width, load_scalar(function, dtype, pointer))
    valid = width if valid is None else valid
    if stride == -1 and valid > 1:
        first = offset(function, pointer, dtype, 1 - valid)
        raw = load_memory(function, dtype, first, 1, width, valid)
        return _reversed(function, dtype, raw, width, valid)
    return load_memory(function, dtype, pointer, stride, width, valid)


def store_raw(
    function: Function,
    dtype: str,
    raw: str,
    pointer: str,
    width: int,
    stride: int,
    valid: int | None = None,
) -> None:
    """Write lanes of memory type as they are."""
    if not width:
        kind = MEMORY_TYPE[dtype]
        function.do(f"store {kind} {raw}, ptr {pointer}, align {itemsize(dtype)}")
        return
    valid = width if valid is None else valid
    if stride == -1 and valid > 1:
        raw = _reversed(function, dtype, raw, width, valid)
        pointer, stride = offset(function, pointer, dtype, 1 - valid), 1
    store_memory(function, dtype, raw, pointer, stride, width, valid)


def _reversed(function: Function, dtype: str, raw: str, width: int, valid: int) -> str:
    """The valid lanes in opposite order."""
    lanes = [valid - 1 - lane if lane < valid else lane for lane in range(width)]
    return Register(function, MEMORY_TYPE[dtype], width, raw).lanes(lanes).name


def to_register(function: Function, dtype: str, raw: str, width: int) -> str:
    """From memory type to register type."""
    return _convert(function, _TO_REGISTER, dtype, MEMORY_TYPE[dtype], raw, width)


def to_memory(function: Function, dtype: str, value: str, width: int) -> str:
    """From register type to memory type."""
    kind = "i1" if dtype == "bool" else "float"
    return _convert(function, _TO_MEMORY, dtype, kind, value, width)


def _convert(
    function: Function,
    table: dict[str, Callable[[Register], Register]],
    dtype: str,
    kind: str,
    value: str,
    width: int,
) -> str:
    change = table.get(dtype)
    return change(Register(function, kind, width, value)).name if change else value


_TO_REGISTER: dict[str, Callable[[Register], Register]] = {
    "bool": lambda byte: byte.unequal(0),
    "float16": lambda half: half.cast("fpext", "float"),
    "bfloat16": lambda word: (word.cast("zext", "i32") << 16).bitcast("float"),
}
_TO_MEMORY: dict[str, Callable[[Register], Register]] = {
    "bool": lambda flag: flag.cast("zext", "i8"),
    "float16": lambda value: value.cast("fptrunc", "half"),
    "bfloat16": lambda value: value.bitcast("i32").shift_right(16).cast("trunc", "i16"),
}

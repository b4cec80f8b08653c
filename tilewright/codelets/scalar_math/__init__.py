"""Transcendental functions on registers: `emit("tanh", [x])` calls a function of the module.

In: float or double registers of any width. Out: the result, not rounded any further. A function is
added to the module when it is first called, once for each width. Always: the bits of a lane depend
on its number alone, not on the width or the instruction set: formulas use operations that IEEE 754
defines, and explicit fma. Functions without a formula here go lane by lane to the C library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.codelets.libm import LIBM_NAME
from tilewright.codelets.llvm import Module, vector
from tilewright.codelets.registers import Register
from tilewright.codelets.scalar_math import hyperbolic

Formula = Callable[..., Register]

_SHORT = {"float": "f32", "double": "f64"}


def formulas(kind: str) -> dict[str, Formula]:
    """Those that are written out here, by operation."""
    return _FLOAT if kind == "float" else _DOUBLE


_FLOAT: dict[str, Formula] = {
    "tanh": hyperbolic.tanh,
    "tanh_approximate": hyperbolic.tanh_approximate,
}
_DOUBLE: dict[str, Formula] = {}


def emit(op: str, operands: Sequence[Register], *, approximate: bool = False) -> Register:
    """The function on every lane; `approximate` takes the faster one, where there is one."""
    first = operands[0]
    known = formulas(first.kind)
    name = f"{op}_approximate" if approximate and f"{op}_approximate" in known else op
    symbol = f"tw_{name}_{_SHORT[first.kind]}" + (f"_x{first.width}" if first.width else "")
    if name not in known and not first.width:
        symbol = _libm_symbol(name, first.kind)
        first.function.module.declare(symbol, first.kind, *[first.kind] * len(operands))
    elif symbol not in first.function.module.functions:
        if name in known:
            _define(first.function.module, symbol, known[name], operands)
        else:
            _define_by_lanes(first.function.module, symbol, name, operands)
    arguments = ", ".join(f"{first.type} {operand.name}" for operand in operands)
    return first.let(f"call {first.type} @{symbol}({arguments})")


def _libm_symbol(op: str, kind: str) -> str:
    return LIBM_NAME[op] + ("f" if kind == "float" else "")


def _define(module: Module, symbol: str, formula: Formula, like: Sequence[Register]) -> None:
    kind, width = like[0].kind, like[0].width
    row = vector(kind, width)
    function = module.function(symbol, row, [row] * len(like), "alwaysinline nounwind")
    arguments = [Register(function, kind, width, f"%a{i}") for i in range(len(like))]
    result = formula(*arguments)
    function.close(f"{row} {result.name}")


def _define_by_lanes(module: Module, symbol: str, op: str, like: Sequence[Register]) -> None:
    """Through memory, in a loop: short to compile."""
    kind, width, count = like[0].kind, like[0].width, len(like)
    row, name = vector(kind, width), _libm_symbol(op, kind)
    module.declare(name, kind, *[kind] * count)
    function = module.function(symbol, row, [row] * count)
    slots = [function.let(f"alloca {row}") for _ in like]
    for i, slot in enumerate(slots):
        function.do(f"store {row} %a{i}, ptr {slot}")
    with function.loop(0, width) as turn:
        places = [function.address(slot, kind, turn.index) for slot in slots]
        lanes = [(kind, function.let(f"load {kind}, ptr {place}")) for place in places]
        result = function.call(kind, name, *lanes)
        function.do(f"store {kind} {result}, ptr {places[0]}")
    function.close(f"{row} {function.let(f'load {row}, ptr {slots[0]}')}")

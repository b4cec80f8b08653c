"""Functions of the C library, lane by lane.

In: registers. Out: the library's results. Vectors go through memory in a loop, in a function of its
own: short to compile. `where_rare` calls it only if some lane asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.emit.libm import LIBM_NAME
from tilewright.codelets.emit.llvm import Module, vector
from tilewright.codelets.emit.registers import Register


def call(op: str, operands: Sequence[Register]) -> Register:
    """The library's function on every lane."""
    first = operands[0]
    symbol = _declared(first.function.module, op, first.kind, len(operands))
    if first.width:
        by_lanes = f"tw_{symbol}_x{first.width}"
        if by_lanes not in first.function.module.functions:
            _define(first.function.module, by_lanes, symbol, first, len(operands))
        symbol = by_lanes
    return first.call(symbol, *operands[1:])


def _declared(module: Module, op: str, kind: str, count: int) -> str:
    symbol = LIBM_NAME[op] + ("f" if kind == "float" else "")
    module.declare(symbol, kind, *[kind] * count)
    return symbol


def _define(module: Module, name: str, symbol: str, like: Register, count: int) -> None:
    kind, row = like.kind, vector(like.kind, like.width)
    function = module.function(name, row, [row] * count)
    slots = [function.let(f"alloca {row}") for _ in range(count)]
    for i, slot in enumerate(slots):
        function.do(f"store {row} %a{i}, ptr {slot}")
    with function.loop(0, like.width) as turn:
        places = [function.address(slot, kind, turn.index) for slot in slots]
        lanes = [(kind, function.let(f"load {kind}, ptr {place}")) for place in places]
        result = function.call(kind, symbol, *lanes)
        function.do(f"store {kind} {result}, ptr {places[0]}")
    function.close(f"{row} {function.let(f'load {row}, ptr {slots[0]}')}")


def where_rare(condition: Register, op: str, x: Register, result: Register) -> Register:
    """`result`, but the library's function of x where `condition` holds."""
    function, any_lane = x.function, condition
    if x.width:
        bits = function.let(f"bitcast {condition.type} {condition.name} to i{x.width}")
        any_lane = Register(function, "i1", 0, function.let(f"icmp ne i{x.width} {bits}, 0"))
    rare, after, before = function.name("rare"), function.name("after"), function.block
    function.do(f"br i1 {any_lane.name}, label %{rare}, label %{after}")
    function.label(rare)
    chosen = condition.select(call(op, [x]), result)
    function.do(f"br label %{after}")
    function.label(after)
    return result.let(f"phi {result.type} [ {result.name}, %{before} ], [ {chosen.name}, %{rare} ]")

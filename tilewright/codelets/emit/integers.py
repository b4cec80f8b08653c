"""Integer arithmetic where machines leave results open or trap.

In: registers of one integer type; `signed` says how to read them. Out: the same type. Always as
`SCALAR` of `graph/scalar.py`: x / 0 is -1, x % 0 is x, the least integer over -1 is itself; a
shift by the width or more leaves zeros (or the sign); powers wrap.
"""

from __future__ import annotations

from tilewright.codelets.emit.registers import Register


def divide(a: Register, b: Register, signed: bool) -> Register:
    """Truncated towards zero."""
    if not signed:
        quotient = a.operate("udiv", b.equal(0).select(1, b))
    else:
        quotient = a.operate("sdiv", _special_divisor(b).select(1, b))
        quotient = b.equal(-1).select(-a, quotient)
    return b.equal(0).select(-1, quotient)


def remainder(a: Register, b: Register, signed: bool) -> Register:
    """With the sign of `a`."""
    if not signed:
        rest = a.operate("urem", b.equal(0).select(1, b))
    else:
        rest = a.operate("srem", _special_divisor(b).select(1, b))
    return b.equal(0).select(a, rest)


def _special_divisor(b: Register) -> Register:
    return (b + 1).compare("ult", 2)


def shift_left(a: Register, by: Register) -> Register:
    return _shift("shl", a, by)


def shift_right_logical(a: Register, by: Register) -> Register:
    return _shift("lshr", a, by)


def shift_right_arithmetic(a: Register, by: Register) -> Register:
    return a.operate("ashr", by.intrinsic("umin", a.bits - 1))


def _shift(operation: str, a: Register, by: Register) -> Register:
    inside = by.compare("ult", a.bits)
    return inside.select(a.operate(operation, inside.select(by, 0)), 0)


def power(base: Register, exponent: Register, signed: bool) -> Register:
    """By squaring, in a function of its own."""
    symbol = f"tw_pow_{'s' if signed else 'u'}_{base.kind}_{base.width}"
    if symbol not in base.function.module.functions:
        _power_function(base, symbol, signed)
    return base.call(symbol, exponent)


def _power_function(like: Register, symbol: str, signed: bool) -> None:
    row = like.type
    function = like.function.module.function(symbol, row, [row, row])
    base, exponent = (Register(function, like.kind, like.width, f"%a{i}") for i in range(2))
    carry = [(row, base.full(1).name), (row, base.name), (row, exponent.name)]
    with function.loop(0, like.bits, carry=carry) as turn:
        result, square, left = (Register(function, like.kind, like.width, c) for c in turn.carry)
        odd = (left & 1).unequal(0)
        turn.next[:] = [
            odd.select(result * square, result).name,
            (square * square).name,
            left.shift_right(1).name,
        ]
    result = Register(function, like.kind, like.width, turn.result[0])
    if signed:
        result = (exponent < 0).select(_negative_power(base, exponent), result)
    function.close(f"{row} {result.name}")


def _negative_power(base: Register, exponent: Register) -> Register:
    """1 / base ** |exponent|, truncated; of 0 it is -1."""
    parity = (exponent & 1).unequal(0).select(base, 1)
    result = base.equal(-1).select(parity, 0)
    return base.equal(1).select(1, base.equal(0).select(-1, result))

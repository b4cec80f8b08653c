"""The LLVM text of every elementwise operation that is exact or rounds once.

In: the dtype of the operands and registers that hold them. Out: a register of the result, which for
16-bit floats is not yet rounded (`expression.py` does that). Always as `SCALAR` of
`graph/scalar.py`; functions such as tanh are in `scalar_math`.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.codelets.emit import integers
from tilewright.codelets.emit.conversions import FLOATS, flushed
from tilewright.codelets.emit.registers import Register

Operation = Callable[..., Register]
"""(dtype of the operands, *operands) -> result."""


def is_signed(dtype: str) -> bool:
    return dtype.startswith("int")


def _add(dtype: str, a: Register, b: Register) -> Register:
    return a | b if dtype == "bool" else a + b


def _multiply(dtype: str, a: Register, b: Register) -> Register:
    return a & b if dtype == "bool" else a * b


def _divide(dtype: str, a: Register, b: Register) -> Register:
    return a / b if dtype in FLOATS else integers.divide(a, b, is_signed(dtype))


def _remainder(dtype: str, a: Register, b: Register) -> Register:
    if dtype in FLOATS:
        return a.operate("frem", b)
    return integers.remainder(a, b, is_signed(dtype))


def _extreme(which: str) -> Operation:
    """`max` or `min`; NaN is passed on, -0 lies below +0."""

    def extreme(dtype: str, a: Register, b: Register) -> Register:
        if dtype == "bool":
            return a | b if which == "max" else a & b
        if dtype in FLOATS:
            return a.intrinsic("maximum" if which == "max" else "minimum", b)
        return a.intrinsic(("s" if is_signed(dtype) else "u") + which, b)

    return extreme


def _compare(name: str) -> Operation:
    def compare(dtype: str, a: Register, b: Register) -> Register:
        if dtype in FLOATS:
            return a.compare("une" if name == "ne" else f"o{name}", b)
        if name in ("eq", "ne"):
            return a.compare(name, b)
        return a.compare(("s" if is_signed(dtype) else "u") + name, b)

    return compare


def _absolute(dtype: str, a: Register) -> Register:
    if dtype in FLOATS:
        return a.magnitude()
    return a.intrinsic("abs", flags="false") if is_signed(dtype) else a


def _sign(dtype: str, a: Register) -> Register:
    if dtype in FLOATS:
        ordinary = a.compare("one", 0.0)
        return ordinary.select(a.full(1.0).with_sign_of(a), flushed(a))
    positive = a.compare("ne", 0).cast("zext", a.kind)
    return (a < 0).select(-1, positive) if is_signed(dtype) else positive


def _plain(name: str) -> Operation:
    return lambda dtype, a: a.intrinsic(name)


def _bitwise(name: str) -> Operation:
    return lambda dtype, a, b: a.operate(name, b)


def _is_finite(dtype: str, a: Register) -> Register:
    return a.magnitude() < float("inf")


def _reciprocal_root(dtype: str, a: Register) -> Register:
    return 1.0 / a.intrinsic("sqrt")


def _shift(shift: Callable[[Register, Register], Register]) -> Operation:
    return lambda dtype, a, by: shift(a, by)


def select(which_dtype: str, which: Register, *cases: Register) -> Register:
    """The case that `which` numbers, clamped."""
    if which_dtype == "bool":
        return which.select(cases[1], cases[0])
    result, condition = cases[0], "sge" if is_signed(which_dtype) else "uge"
    for number, case in enumerate(cases[1:], 1):
        result = which.compare(condition, number).select(case, result)
    return result


OPERATIONS: dict[str, Operation] = {
    "neg": lambda dtype, a: -a,
    "abs": _absolute,
    "sign": _sign,
    "floor": _plain("floor"),
    "ceil": _plain("ceil"),
    "round_even": _plain("roundeven"),
    "round_away": _plain("round"),
    "sqrt": _plain("sqrt"),
    "rsqrt": _reciprocal_root,
    "not": lambda dtype, a: ~a,
    "is_finite": _is_finite,
    "popcount": _plain("ctpop"),
    "clz": lambda dtype, a: a.intrinsic("ctlz", flags="false"),
    "add": _add,
    "sub": lambda dtype, a, b: a - b,
    "mul": _multiply,
    "div": _divide,
    "rem": _remainder,
    "max": _extreme("max"),
    "min": _extreme("min"),
    **{name: _compare(name) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{name: _bitwise(name) for name in ("and", "or", "xor")},
    "shift_left": _shift(integers.shift_left),
    "shift_right_logical": _shift(integers.shift_right_logical),
    "shift_right_arithmetic": _shift(integers.shift_right_arithmetic),
}

EXACT = frozenset(
    "neg abs sign floor ceil round_even round_away max min rem eq ne lt le gt ge is_finite".split()
)
"""Those whose results a 16-bit float holds if it held the operands."""

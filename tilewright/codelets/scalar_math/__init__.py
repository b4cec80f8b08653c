"""Transcendental functions on registers: `emit("tanh", [x])` calls a function of the module.

In: float or double registers of any width. Out: the result, not rounded any further. A function is
added to the module when it is first called, once for each width; short ones are inlined. Always:
the bits of a lane depend on its number alone, not on the width or the instruction set: formulas use
operations that IEEE 754 defines, and explicit fma. Functions without a formula go lane by lane to
the C library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.codelets.emit.llvm import Module
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.scalar_math import (
    double,
    error,
    exponential,
    gamma,
    hyperbolic,
    inverse_hyperbolic,
    lanewise,
    logarithm,
    power,
    trigonometric,
)

Formula = Callable[..., Register]

_FLOAT: dict[str, Formula] = {
    "acosh": inverse_hyperbolic.acosh,
    "asinh": inverse_hyperbolic.asinh,
    "atanh": inverse_hyperbolic.atanh,
    "cos": trigonometric.cos,
    "cosh": hyperbolic.cosh,
    "digamma": gamma.digamma_float,
    "erf": error.erf,
    "erf_inv": error.erf_inv,
    "erfc": error.erfc,
    "exp": exponential.exp,
    "exp2": exponential.exp2,
    "expm1": exponential.expm1,
    "lgamma": gamma.lgamma_float,
    "log": logarithm.log,
    "log1p": logarithm.log1p,
    "logistic": exponential.logistic,
    "pow": power.power,
    "sin": trigonometric.sin,
    "sinh": hyperbolic.sinh,
    "tanh": hyperbolic.tanh,
    "tanh_approximate": hyperbolic.tanh_approximate,
}
_DOUBLE: dict[str, Formula] = {
    "cosh": double.cosh,
    "digamma": gamma.digamma,
    "erf_inv": error.erf_inv_double,
    "exp": double.exp,
    "expm1": double.expm1,
    "log": double.log,
    "logistic": double.logistic,
    "sinh": double.sinh,
    "tanh": double.tanh,
}
FORMULAS = {"float": _FLOAT, "double": _DOUBLE}
"""By LLVM type and operation."""
PIECES: dict[str, Formula] = {
    "log1p_unit": logarithm.log1p_unit,
    "tanh_halves": hyperbolic.tanh_halves,
    "tanh_rest": hyperbolic.tanh_rest,
    "tanh_end": hyperbolic.tanh_end,
}
"""Of float32: formulas that are no operation of their own, by names that only emission knows."""

_NAMES = {"float": "f32", "double": "f64"}
_SHORT = 45
"""Lines up to which a function is inlined: calls cost a cycle and lose constants in registers."""


def emit(op: str, operands: Sequence[Register], *, approximate: bool = False) -> Register:
    """The function on every lane; `approximate` takes the faster one, where there is one."""
    first = operands[0]
    formulas = FORMULAS[first.kind]
    name = f"{op}_approximate" if approximate and f"{op}_approximate" in formulas else op
    formula = formulas.get(name) or PIECES.get(name)
    if formula is None:
        return lanewise.call(op, operands)
    width = f"_x{first.width}" if first.width else ""
    symbol = f"tw_{name}_{_NAMES[first.kind]}{width}"
    if symbol not in first.function.module.functions:
        _define(first.function.module, symbol, formula, operands)
    return first.call(symbol, *operands[1:])


def _define(module: Module, symbol: str, formula: Formula, like: Sequence[Register]) -> None:
    row = like[0].type
    function = module.function(symbol, row, [row] * len(like))
    arguments = [
        Register(function, operand.kind, operand.width, function.argument(i))
        for i, operand in enumerate(like)
    ]
    result = formula(*arguments)
    if len(function.lines) <= _SHORT:
        function.attributes = function.attributes.replace("noinline", "alwaysinline")
    function.close(f"{row} {result.name}")

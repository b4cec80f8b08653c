"""Primitives that work element by element; operands may be scalars or have dimensions of one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tilewright.graph.ir import Type, Value
from tilewright.trace import jax_internals as internals
from tilewright.trace.scope import Scope
from tilewright.trace.session import Rule
from tilewright.trace.types import type_of


def direct(op: str) -> Callable[..., Value]:
    """A primitive that is one op of the graph."""

    def rule(scope: Scope, equation: internals.Equation, *operands: Value) -> Value:
        shape = type_of(equation.outvars[0].aval).shape
        return scope.op(op, *(scope.broadcast(v, shape) for v in operands))

    return rule


def on_bools(op: str, bool_op: str) -> Rule:
    """A primitive that is a logical op on bools."""

    def rule(scope: Scope, equation: internals.Equation, *operands: Value) -> Value:
        return direct(bool_op if operands[0].dtype == "bool" else op)(scope, equation, *operands)

    return rule


def divide(scope: Scope, equation: internals.Equation, left: Value, right: Value) -> Value:
    """By a number that the function's text says: a product with its reciprocal, as XLA has it.

    That may differ in the last bit from a division, and what counts steps or draws by the bits of a
    time must count as under `jax.jit`. XLA does so but for bfloat16.
    """
    number = scope.number(right)
    inverse = None if number is None or scope.number(left) is not None else _reciprocal(number)
    if inverse is None:
        return direct("div")(scope, equation, left, right)
    return direct("mul")(scope, equation, left, scope.small(inverse))


def _reciprocal(array: np.ndarray) -> np.ndarray | None:
    """In its own type; None for a type that keeps its divisions, and where it would vanish."""
    if array.dtype.name not in _INVERTED:
        return None
    with np.errstate(all="ignore"):
        inverse = np.reciprocal(array)
    return inverse if np.finfo(array.dtype.name).tiny <= abs(inverse) < np.inf else None


def ordering(op: str) -> Callable[..., Value]:
    """Comparisons of order; bools are compared as numbers."""

    def rule(scope: Scope, equation: internals.Equation, *operands: Value) -> Value:
        if operands[0].dtype == "bool":
            operands = tuple(scope.convert(v, "uint8") for v in operands)
        return direct(op)(scope, equation, *operands)

    return rule


def equality(op: str) -> Rule:
    """Comparisons for equality, which PRNG keys have too."""

    def rule(scope: Scope, equation: internals.Equation, *operands: Value) -> Value:
        if not internals.is_key(equation.invars[0].aval):
            return direct(op)(scope, equation, *operands)
        words = internals.key_shape(equation.invars[0].aval)
        before = equation.outvars[0].aval.shape
        shape = (*before, *words)
        missing = (1,) * len(before)
        aligned = [
            v if len(v.shape) == len(shape) else scope.reshape(v, missing + v.shape)
            for v in operands
        ]
        different = scope.op(op, *(scope.broadcast(v, shape) for v in aligned))
        kind = "and" if op == "eq" else "or"
        axes = tuple(range(len(before), len(shape)))
        return scope.op("reduce", different, kind=kind, axes=axes)

    return rule


def total_order(op: str) -> Rule:
    """`eq_to`, `le_to`, `lt_to`: floats compared in the total order of IEEE 754."""

    def rule(scope: Scope, equation: internals.Equation, *operands: Value) -> Value:
        return direct(op)(scope, equation, *(total_key(scope, v) for v in operands))

    return rule


def sort_key(scope: Scope, value: Value) -> Value:
    """Integers that are ordered as JAX sorts: -0 equals 0, a NaN of any sign comes last."""
    if is_float(value.dtype):
        zero = scope.full(0, value.type)
        value = scope.op("select", scope.op("eq", value, zero), value, zero)
        nan = scope.full(np.nan, value.type)
        value = scope.op("select", scope.op("ne", value, value), value, nan)
    return total_key(scope, value)


def total_key(scope: Scope, value: Value) -> Value:
    """Integers in the total order of IEEE 754: -NaN, -inf, ..., -0, 0, ..., inf, NaN."""
    if value.dtype == "bool":
        return scope.convert(value, "uint8")
    if not is_float(value.dtype):
        return value
    bits = value.type.numpy.itemsize * 8
    whole = scope.op("bitcast", value, dtype=f"int{bits}")
    sign = scope.op("shift_right_arithmetic", whole, scope.full(bits - 1, whole.type))
    flip = scope.op("and", sign, scope.full(2 ** (bits - 1) - 1, whole.type))
    return scope.op("xor", whole, flip)


def is_float(dtype: str) -> bool:
    return "float" in dtype


def round_(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    even = int(equation.params["rounding_method"]) == 1
    return scope.op("round_even" if even else "round_away", operand)


def multiply(scope: Scope, equation: internals.Equation, left: Value, right: Value) -> Value:
    """JAX can ask for a product of another type than the factors'."""
    dtype = type_of(equation.outvars[0].aval).dtype
    return direct("mul")(scope, equation, *(scope.convert(v, dtype) for v in (left, right)))


def square(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    return scope.op("mul", operand, operand)


def integer_pow(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    """By repeated squaring, in JAX's own order."""
    power = equation.params["y"]
    result, left = None, abs(power)
    while left:
        if left & 1:
            result = operand if result is None else scope.op("mul", result, operand)
        left >>= 1
        if left:
            operand = scope.op("mul", operand, operand)
    one = scope.full(1, operand.type)
    if result is None:
        return one
    return scope.op("div", one, result) if power < 0 else result


def power(scope: Scope, equation: internals.Equation, base: Value, exponent: Value) -> Value:
    exponent = scope.convert(exponent, base.dtype)
    return direct("pow")(scope, equation, base, exponent)


def clamp(
    scope: Scope, equation: internals.Equation, low: Value, operand: Value, high: Value
) -> Value:
    shape = operand.shape
    raised = scope.op("max", scope.broadcast(low, shape), operand)
    return scope.op("min", raised, scope.broadcast(high, shape))


def select_n(scope: Scope, equation: internals.Equation, which: Value, *cases: Value) -> Value:
    """A scalar `which` chooses whole arrays; keys are chosen with all their words."""
    shape = cases[0].shape
    if which.dtype not in ("bool", "int32"):
        which = scope.convert(which, "int32")
    if which.shape != shape:
        kept = tuple(range(len(which.shape)))
        which = scope.op("broadcast", which, shape=shape, dimensions=kept)
    return scope.op("select", which, *cases)


def convert(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    return scope.convert(operand, type_of(equation.outvars[0].aval).dtype)


def reduce_precision(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    params = equation.params
    exponent, mantissa = int(params["exponent_bits"]), int(params["mantissa_bits"])
    return scope.op("reduce_precision", operand, exponent=exponent, mantissa=mantissa)


def bitcast(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    """Between widths, the narrow type has one more dimension, least significant part first."""
    target = type_of(equation.outvars[0].aval)
    before, after = operand.type.numpy.itemsize * 8, target.numpy.itemsize * 8
    if operand.dtype == target.dtype:
        return operand
    if before == after:
        return scope.op("bitcast", operand, dtype=target.dtype)
    bits = _as_unsigned(scope, operand)
    bits = _narrow(scope, bits, target) if before > after else _widen(scope, bits, target)
    return bits if bits.dtype == target.dtype else scope.op("bitcast", bits, dtype=target.dtype)


def _as_unsigned(scope: Scope, value: Value) -> Value:
    dtype = f"uint{value.type.numpy.itemsize * 8}"
    return value if value.dtype == dtype else scope.op("bitcast", value, dtype=dtype)


def _positions(scope: Scope, type_: Type, width: int) -> Value:
    """How far to the right each part of the last dimension lies, in bits."""
    parts = scope.op("iota", dimension=len(type_.shape) - 1, shape=type_.shape, dtype=type_.dtype)
    return scope.op("mul", parts, scope.full(width, type_))


def _narrow(scope: Scope, bits: Value, target: Type) -> Value:
    width = target.numpy.itemsize * 8
    wide = Type(bits.dtype, target.shape)
    dimensions = tuple(range(len(bits.shape)))
    bits = scope.op("broadcast", bits, shape=target.shape, dimensions=dimensions)
    part = scope.op("shift_right_logical", bits, _positions(scope, wide, width))
    return scope.convert(part, f"uint{width}")


def _widen(scope: Scope, bits: Value, target: Type) -> Value:
    width = bits.type.numpy.itemsize * 8
    wide = scope.convert(bits, f"uint{target.numpy.itemsize * 8}")
    wide = scope.op("shift_left", wide, _positions(scope, wide.type, width))
    return scope.op("reduce", wide, kind="or", axes=(len(wide.shape) - 1,))


def mulhi(scope: Scope, equation: internals.Equation, left: Value, right: Value) -> Value:
    """The upper half of a product, by way of the next width, if there is one."""
    bits = left.type.numpy.itemsize * 8
    sign = "" if left.dtype.startswith("int") else "u"
    shift = "shift_right_arithmetic" if not sign else "shift_right_logical"
    shape = type_of(equation.outvars[0].aval).shape
    factors = [scope.broadcast(v, shape) for v in (left, right)]
    if bits == 64:
        return _upper_of_128(scope, shift, *factors)
    product = scope.op("mul", *(scope.convert(v, f"{sign}int{2 * bits}") for v in factors))
    upper = scope.op(shift, product, scope.full(bits, product.type))
    return scope.convert(upper, left.dtype)


def _upper_of_128(scope: Scope, shift: str, left: Value, right: Value) -> Value:
    """By halves of 32 bits; Warren, Hacker's Delight, 2nd edition, section 8-2.

    `shift` to the right is logical for unsigned numbers, arithmetic for signed ones.
    """
    half, mask = scope.full(32, left.type), scope.full(2**32 - 1, left.type)
    low = [scope.op("and", v, mask) for v in (left, right)]
    high = [scope.op(shift, v, half) for v in (left, right)]
    carried = scope.op("shift_right_logical", scope.op("mul", *low), half)
    middle = scope.op("add", scope.op("mul", high[0], low[1]), carried)
    lower = scope.op("add", scope.op("mul", low[0], high[1]), scope.op("and", middle, mask))
    carried = scope.op("add", scope.op(shift, middle, half), scope.op(shift, lower, half))
    return scope.op("add", scope.op("mul", *high), carried)


def identity(scope: Scope, equation: internals.Equation, *operands: Value) -> tuple[Value, ...]:
    return operands


def approximate_tanh(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    return scope.op("tanh", operand, approximate=True)


_SAME_NAME = (
    "neg abs sign floor ceil sqrt rsqrt cbrt exp exp2 expm1 log log1p sin cos tan asin acos atan "
    "sinh cosh tanh asinh acosh atanh logistic erf erfc erf_inv lgamma digamma not is_finite clz "
    "add sub rem atan2 nextafter and or xor shift_left shift_right_logical "
    "shift_right_arithmetic"
)
_INVERTED = ("float16", "float32", "float64")
_IDENTITIES = (
    "copy stop_gradient optimization_barrier name device_put sharding_constraint reshard "
    "layout_constraint pvary stage shard_alike xla_metadata_value"
)

RULES: dict[str, Rule] = {
    **{name: direct(name) for name in _SAME_NAME.split()},
    **{name: ordering(name) for name in ("lt", "le", "gt", "ge")},
    **{name: equality(name) for name in ("eq", "ne")},
    **{f"{name}_to": total_order(name) for name in ("eq", "le", "lt")},
    **dict.fromkeys(_IDENTITIES.split(), identity),
    "add_any": direct("add"),
    "approximate_tanh": approximate_tanh,
    "population_count": direct("popcount"),
    "div": divide,
    "mul": multiply,
    "max": on_bools("max", "or"),
    "min": on_bools("min", "and"),
    "round": round_,
    "square": square,
    "integer_pow": integer_pow,
    "pow": power,
    "clamp": clamp,
    "select_n": select_n,
    "convert_element_type": convert,
    "reduce_precision": reduce_precision,
    "bitcast_convert_type": bitcast,
    "mulhi": mulhi,
}

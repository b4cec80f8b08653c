"""Primitives that combine elements: reductions, scans of one operation, sorts, contractions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp

from tilewright.graph.ir import Value
from tilewright.trace import jax_internals as internals
from tilewright.trace.decompose import combine, select
from tilewright.trace.rules.elementwise import sort_key, total_key
from tilewright.trace.rules.movement import integers, part
from tilewright.trace.scope import Scope
from tilewright.trace.session import Rule
from tilewright.trace.types import type_of


def reduce(kind: str) -> Rule:
    def rule(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
        axes = integers(equation.params["axes"])
        if not axes:
            return operand
        how = {"max": "or", "min": "and"}.get(kind, kind) if operand.dtype == "bool" else kind
        return scope.op("reduce", operand, kind=how, axes=axes)

    return rule


def reduce_by_function(
    scope: Scope, equation: internals.Equation, *operands: Value
) -> Sequence[Value]:
    """`lax.reduce` with a function of the user's."""
    params = equation.params
    function = partial(
        combine.reduce,
        function=internals.as_function(params["jaxpr"]),
        axes=integers(params["dimensions"]),
    )
    return scope.inline(function, [atom.aval for atom in equation.invars], operands)


def argreduce(kind: str) -> Rule:
    def rule(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
        (axis,) = integers(equation.params["axes"])
        if operand.dtype == "bool":
            operand = scope.convert(operand, "uint8")
        dtype = type_of(equation.outvars[0].aval).dtype
        return scope.op("argreduce", operand, kind=kind, axis=axis, dtype=dtype)

    return rule


def cumulative(kind: str) -> Rule:
    def rule(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
        params = equation.params
        axis, reverse = int(params["axis"]), bool(params["reverse"])
        return scope.op("cumulative", operand, kind=kind, axis=axis, reverse=reverse)

    return rule


def cumlogsumexp(scope: Scope, equation: internals.Equation, operand: Value) -> Value:
    """An associative scan of logaddexp, as JAX does it."""
    axis, reverse = equation.params["axis"], equation.params["reverse"]

    def function(x: jax.Array) -> jax.Array:
        return jax.lax.associative_scan(jnp.logaddexp, x, reverse=reverse, axis=axis)

    key = ("cumlogsumexp", axis, reverse)
    return scope.inline(function, [equation.invars[0].aval], [operand], key=key)[0]


def sort(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
    """Keys become integers in front of the operands; all operands are carried along."""
    dimension, count = int(equation.params["dimension"]), int(equation.params["num_keys"])
    keys = [sort_key(scope, v) for v in operands[:count]]
    if all(key is operand for key, operand in zip(keys, operands, strict=False)):
        keys = []
    inputs = [*keys, *operands]
    results = scope.builder.add(
        "sort", inputs, [v.type for v in inputs], dimension=dimension, keys=count
    )
    return results[len(keys) :]


def top_k(scope: Scope, equation: internals.Equation, operand: Value) -> Sequence[Value]:
    return _first(scope, equation, operand, equation.params["axis"], equation.params["k"], True)


def _first(
    scope: Scope, equation: internals.Equation, operand: Value, axis: int, count: int, largest: bool
) -> Sequence[Value]:
    """A sort by the total order, or by its complement: descending, the first of equals first."""
    axis, count = int(axis) % len(operand.shape), int(count)
    key = total_key(scope, operand)
    key = scope.op("not", key) if largest else key
    dtype = type_of(equation.outvars[1].aval).dtype
    if operand.type.size and select.is_worth_it(operand.shape[axis], count, key.dtype):
        options = dict(axis=axis, count=count, dtype=dtype)
        structs = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (key, operand)]
        function, named = partial(select.first, **options), (select.first, *options.values())
        return scope.inline(function, structs, [key, operand], key=named)
    positions = scope.op("iota", dimension=axis, shape=operand.shape, dtype=dtype)
    inputs = [key, operand, positions]
    results = scope.builder.add("sort", inputs, [v.type for v in inputs], dimension=axis, keys=1)
    return [part(scope, v, axis, 0, count) for v in results[1:]]


def approximate_top_k(
    scope: Scope, equation: internals.Equation, operand: Value
) -> Sequence[Value]:
    """Exact, which an approximation may be."""
    params = equation.params
    if params["aggregate_to_topk"] is False:
        raise scope.unsupported(equation, "without its last step")
    return _first(
        scope, equation, operand, params["reduction_dimension"], params["k"], params["is_max_k"]
    )


def collective(kind: str) -> Rule:
    """`psum` and the like over an axis that `vmap` has made a dimension."""

    def rule(scope: Scope, equation: internals.Equation, *operands: Value) -> Sequence[Value]:
        axes = equation.params["axes"]
        if equation.params["axis_index_groups"] is not None:
            raise scope.unsupported(equation, "over groups")
        if any(isinstance(axis, str) for axis in axes):
            raise scope.unsupported(equation, "over devices")
        axes = integers(axes)
        return [scope.op("reduce", v, kind=kind, axes=axes) if axes else v for v in operands]

    return rule


def dot(scope: Scope, equation: internals.Equation, left: Value, right: Value) -> Value:
    """Operands keep a narrow floating-point type; other mixtures are converted to the result's."""
    params = equation.params
    (left_contract, right_contract), (left_batch, right_batch) = params["dimension_numbers"]
    left, right, accumulator = product_operands(scope, equation, left, right)
    product = scope.op(
        "dot",
        left,
        right,
        contract=(integers(left_contract), integers(right_contract)),
        batch=(integers(left_batch), integers(right_batch)),
        dtype=accumulator,
    )
    return scope.convert(product, type_of(equation.outvars[0].aval).dtype)


def product_operands(
    scope: Scope, equation: internals.Equation, left: Value, right: Value
) -> tuple[Value, Value, str]:
    """What a product or a convolution reads, by its precision, and the type of its sums."""
    operand, accumulator = _arithmetic(scope, equation, left, right)
    left, right = (scope.convert(v, operand or v.dtype) for v in (left, right))
    if not (left.dtype == right.dtype and _widens(left.dtype, accumulator)):
        left, right = (scope.convert(v, accumulator) for v in (left, right))
    return left, right, accumulator


def _widens(operand: str, result: str) -> bool:
    """The forms that contractions have: one type throughout, or 16-bit floats into float32."""
    return operand == result or (operand in ("bfloat16", "float16") and result == "float32")


def _arithmetic(
    scope: Scope, equation: internals.Equation, left: Value, right: Value
) -> tuple[str | None, str]:
    """What operands are rounded to (None: nothing), and the type that products are summed in.

    Precisions beyond the default ask for what is done anyway. The default is JAX's on a CPU, unless
    the user has set `jax.default_matmul_precision("bfloat16")` around the compilation.
    """
    precision = equation.params["precision"]
    result = type_of(equation.outvars[0].aval).dtype
    if precision is None or isinstance(precision, tuple):
        default = precision and all(p == jax.lax.Precision.DEFAULT for p in precision)
        rounds = default and jax.config.jax_default_matmul_precision == "bfloat16"
        return ("bfloat16" if rounds and left.dtype == right.dtype == "float32" else None), result
    name = getattr(precision, "name", None)
    if name not in _ALGORITHMS:
        raise scope.unsupported(equation, f"with algorithm {precision}")
    operand, accumulator = _ALGORITHMS[name]
    return operand, accumulator or result


_ALGORITHMS = {
    "DEFAULT": (None, None),
    "F16_F16_F16": ("float16", "float16"),
    "F16_F16_F32": ("float16", "float32"),
    "BF16_BF16_BF16": ("bfloat16", "bfloat16"),
    "BF16_BF16_F32": ("bfloat16", "float32"),
    "F64_F64_F64": ("float64", "float64"),
    **dict.fromkeys(
        "F32_F32_F32 TF32_TF32_F32 TF32_TF32_F32_X3 BF16_BF16_F32_X3 BF16_BF16_F32_X6 "
        "BF16_BF16_F32_X9".split(),
        ("float32", "float32"),
    ),
}
"""Operand and accumulator of `DotAlgorithmPreset`s; those that emulate float32 are float32."""


RULES: dict[str, Rule] = {
    **{f"reduce_{kind}": reduce(kind) for kind in "sum prod max min and or xor".split()},
    "reduce": reduce_by_function,
    "argmax": argreduce("argmax"),
    "argmin": argreduce("argmin"),
    **{f"cum{kind}": cumulative(kind) for kind in ("sum", "prod", "max", "min")},
    "cumlogsumexp": cumlogsumexp,
    "sort": sort,
    "top_k": top_k,
    "approx_top_k": approximate_top_k,
    "psum": collective("sum"),
    "pmax": collective("max"),
    "pmin": collective("min"),
    "dot_general": dot,
}

"""Every operation a graph may hold, and the type of its result.

Elementwise (operands of one shape; `scalar.py` gives each its meaning on numbers):

    one operand     neg abs sign floor ceil round_even round_away sqrt rsqrt cbrt exp exp2 expm1 log
                    log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh logistic erf
                    erfc erf_inv lgamma digamma not is_finite popcount clz
    two operands    add sub mul div rem pow max min atan2 nextafter and or xor shift_left
                    shift_right_logical shift_right_arithmetic
    comparisons     eq ne lt le gt ge                                 -> bool
    select          (which: bool or int32, case 0, case 1, ...)       bool: false takes case 0
    convert         dtype=        bitcast  dtype= (same width)
    reduce_precision  exponent=, mantissa=
    tanh            may have approximate=True: a relative error of 5e-5 is allowed

Movement:

    constant value=                     iota dimension=, shape=, dtype=
    broadcast shape=, dimensions=       operand dimension i becomes dimensions[i]
    reshape shape=                      transpose permutation=
    slice start=, limit=, stride=       reverse dimensions=
    pad (operand, value) low=, high=, interior=   (negative low / high crop, as in lax.pad)
    concatenate dimension=              copy  (a dense, aligned copy: a decision about layout)
    pack                                a matrix (k, n) in the order of `packed.py`: another one

Indexed (index operands are integers of any width):

    dynamic_slice (operand, *starts) sizes=          starts are scalars, clamped as in lax
    dynamic_update_slice (operand, update, *starts)
    gather (operand, indices) and scatter (operand, indices, updates):
        params as in lax: for gather `offset_dims`, `collapsed_slice_dims`, `start_index_map`,
        `operand_batching_dims`, `start_indices_batching_dims`, `slice_sizes`; for scatter
        `update_window_dims`, `inserted_window_dims`, `scatter_dims_to_operand_dims`,
        `operand_batching_dims`, `scatter_indices_batching_dims`, `kind` in set add mul min max.
        `mode` in clip, drop (gather: fill with `fill`), promise (as clip for gather, drop for
        scatter).

Across elements:

    reduce kind=, axes=         kind in sum prod max min and or xor
    argreduce kind=, axis=, dtype=      argmax argmin; the first of equals; a NaN wins
    cumulative kind=, axis=, reverse=   kind in sum prod max min
    sort (*operands) dimension=, keys=  lexicographic by the first `keys` operands, which are
                                        integers; stable; the others are carried along
    dot (lhs, rhs) contract=((lhs dims), (rhs dims)), batch=((...), (...)), dtype=
                                        result: batch, lhs free, rhs free; sums kept in float32 for
                                        16-bit floats
    dot_packed (lhs, packed) columns=   (m, k) times a packed (k, columns): (m, columns)

Factorisations, of float32 or float64 matrices (*batch, rows, columns) (see `linalg.py`):

    cholesky (a)                the lower factor; NaN in its triangle where a pivot is not positive
    triangular_solve (a, b) lower=, unit=       x of a x = b; unit: the diagonal is taken to be ones
    lu (a)                      factors, int32 pivots, int32 order of rows: three results

Control flow: loop, scan, map, branch, strips (see `ir.py`): `consts` = number of leading constant
operands; scan also has `carry`, `length`, `reverse`; map has `length`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tilewright.graph.ir import Type
from tilewright.graph.packed import shape as packed_shape

UNARY = frozenset(
    "neg abs sign floor ceil round_even round_away sqrt rsqrt cbrt exp exp2 expm1 log log1p sin "
    "cos tan asin acos atan sinh cosh tanh asinh acosh atanh logistic erf erfc erf_inv lgamma "
    "digamma not is_finite popcount clz".split()
)
COMPARISONS = frozenset("eq ne lt le gt ge".split())
BINARY = COMPARISONS | frozenset(
    "add sub mul div rem pow max min atan2 nextafter and or xor shift_left shift_right_logical "
    "shift_right_arithmetic".split()
)
ELEMENTWISE = UNARY | BINARY | {"select", "convert", "bitcast", "reduce_precision"}
MOVEMENT = frozenset(
    "constant iota broadcast reshape transpose slice reverse pad concatenate copy pack".split()
)
INDEXED = frozenset("dynamic_slice dynamic_update_slice gather scatter".split())
ACROSS = frozenset("reduce argreduce cumulative sort dot dot_packed".split())
LINALG = frozenset("cholesky triangular_solve lu".split())
CONTROL = frozenset("loop scan map branch strips".split())
OPS = ELEMENTWISE | MOVEMENT | INDEXED | ACROSS | LINALG | CONTROL


def result_type(op: str, operands: Sequence[Type], params: Mapping[str, Any]) -> Type:
    """The type of the single result of `op`, where it follows from the operands."""
    if op in ELEMENTWISE:
        return Type(_elementwise_dtype(op, operands, params), operands[-1].shape)
    return Type(_dtype(operands, params), _SHAPES[op](operands, params))


def _elementwise_dtype(op: str, operands: Sequence[Type], params: Mapping[str, Any]) -> str:
    if op in COMPARISONS or op == "is_finite":
        return "bool"
    if op in ("convert", "bitcast"):
        return params["dtype"]
    return operands[-1].dtype


def _dtype(operands: Sequence[Type], params: Mapping[str, Any]) -> str:
    return params["dtype"] if "dtype" in params else operands[0].dtype


def _slice_shape(operands: Sequence[Type], params: Mapping[str, Any]) -> tuple[int, ...]:
    bounds = zip(params["start"], params["limit"], params["stride"], strict=True)
    return tuple(max(0, -(-(limit - start) // stride)) for start, limit, stride in bounds)


def _pad_shape(operands: Sequence[Type], params: Mapping[str, Any]) -> tuple[int, ...]:
    rows = zip(operands[0].shape, params["low"], params["high"], params["interior"], strict=True)
    return tuple(max(0, low + n + max(n - 1, 0) * inner + high) for n, low, high, inner in rows)


def _concatenate_shape(operands: Sequence[Type], params: Mapping[str, Any]) -> tuple[int, ...]:
    shape = list(operands[0].shape)
    shape[params["dimension"]] = sum(t.shape[params["dimension"]] for t in operands)
    return tuple(shape)


def _without(shape: tuple[int, ...], axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _dot_shape(operands: Sequence[Type], params: Mapping[str, Any]) -> tuple[int, ...]:
    lhs, rhs = (t.shape for t in operands)
    (lhs_contract, rhs_contract), (lhs_batch, rhs_batch) = params["contract"], params["batch"]
    return (
        tuple(lhs[i] for i in lhs_batch)
        + _without(lhs, (*lhs_contract, *lhs_batch))
        + _without(rhs, (*rhs_contract, *rhs_batch))
    )


_SHAPES = {
    "iota": lambda operands, params: params["shape"],
    "broadcast": lambda operands, params: params["shape"],
    "reshape": lambda operands, params: params["shape"],
    "transpose": lambda operands, params: tuple(
        operands[0].shape[i] for i in params["permutation"]
    ),
    "slice": _slice_shape,
    "reverse": lambda operands, params: operands[0].shape,
    "copy": lambda operands, params: operands[0].shape,
    "pack": lambda operands, params: packed_shape(operands[0].dtype, *operands[0].shape),
    "pad": _pad_shape,
    "concatenate": _concatenate_shape,
    "dynamic_slice": lambda operands, params: params["sizes"],
    "dynamic_update_slice": lambda operands, params: operands[0].shape,
    "scatter": lambda operands, params: operands[0].shape,
    "reduce": lambda operands, params: _without(operands[0].shape, params["axes"]),
    "argreduce": lambda operands, params: _without(operands[0].shape, (params["axis"],)),
    "cumulative": lambda operands, params: operands[0].shape,
    "dot": _dot_shape,
    "dot_packed": lambda operands, params: (operands[0].shape[0], params["columns"]),
    "cholesky": lambda operands, params: operands[0].shape,
    "triangular_solve": lambda operands, params: operands[1].shape,
}

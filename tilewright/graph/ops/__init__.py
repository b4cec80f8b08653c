"""Every operation a graph may hold: one row in its family's file.

Elementwise (operands of one shape; `graph/scalar.py` gives each its meaning on numbers):

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

The others, whose operands and parameters stand in the files of their families:

    movement        constant iota broadcast reshape transpose slice reverse pad concatenate copy
    indexed         dynamic_slice dynamic_update_slice gather scatter
    across          reduce argreduce cumulative sort
    dot, packed     dot; pack dot_packed; dot_blocks dot_across; dot_sampled add_sampled
    conv, window    conv conv_data conv_filter; window window_scatter
    linalg          cholesky triangular_solve lu
    control, strips loop scan map branch; strips

A new operation is a row there (`operation.py` says what of), a codelet in a folder of `codelets/`,
a row in the `KINDS` of a family in `plan/`, and a rule in `trace/rules/` for what it comes from.
An elementwise one is an entry in `graph/scalar.py` and how it is written in
`codelets/emit/operations.py` or as a formula of `codelets/scalar_math/`; nothing in `plan/`.
"""

from __future__ import annotations

from tilewright.graph import scalar
from tilewright.graph.ir import Type
from tilewright.graph.ops import (
    across,
    blocks,
    control,
    conv,
    dot,
    elementwise,
    indexed,
    linalg,
    movement,
    packed,
    sampled,
    strips,
    window,
)
from tilewright.graph.ops.operation import Control, Operation, Params, Types

OPERATIONS: dict[str, Operation] = {
    **elementwise.ROWS,
    **movement.ROWS,
    **indexed.ROWS,
    **across.ROWS,
    **dot.ROWS,
    **conv.ROWS,
    **window.ROWS,
    **packed.ROWS,
    **blocks.ROWS,
    **sampled.ROWS,
    **linalg.ROWS,
}
"""Without bodies."""

CONTROL: dict[str, Control] = {**control.ROWS, **strips.ROWS}
"""With bodies."""

ELEMENTWISE = frozenset(elementwise.ROWS)
UNARY = frozenset(scalar.UNARY)
COMPARISONS = frozenset(scalar.COMPARISONS)
BINARY = frozenset(scalar.BINARY) | COMPARISONS
"""Those of `ELEMENTWISE` that take one operand and no parameters, or two."""
VIEWS = frozenset(op for op, row in OPERATIONS.items() if row.is_view)
"""Movement that only reads its operand's memory in another way."""


def result_type(op: str, operands: Types, params: Params) -> Type:
    """The type of the single result of `op`."""
    (result,) = OPERATIONS[op].types(operands, params)
    return result

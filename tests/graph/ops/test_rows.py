"""Rows of operations: each is complete, and what it promises of its results holds."""

from typing import Any

import numpy as np
import pytest

from tilewright.graph.ir import Builder, Type, numpy_dtype
from tilewright.graph.ops import CONTROL, ELEMENTWISE, OPERATIONS, VIEWS, result_type
from tilewright.graph.scalar import BINARY, COMPARISONS, UNARY
from tilewright.graph.verify import GraphError, verify
from tilewright.plan.lower import KINDS
from tilewright.plan.views import MOVEMENT

WITHOUT_VERTEX = ELEMENTWISE | VIEWS | {"constant", "iota", "masked"}
"""Fused with others, read as they lie, written into code, or rewritten (`graph/declared.py`)."""

WHOLE = frozenset(
    "not and or xor popcount clz shift_left shift_right_logical shift_right_arithmetic".split()
)
"""Of integers only."""


def test_every_operation_is_lowered_and_nothing_else():
    assert {*OPERATIONS, *CONTROL} - WITHOUT_VERTEX == {*KINDS} - {"fused", "cell"}


def test_every_view_is_one_in_the_plan():
    assert {*MOVEMENT} == VIEWS


def test_every_operation_that_keeps_or_sums_rows_has_a_rule_for_strips():
    plain = OPERATIONS["sort"]
    linked = {op for op, row in OPERATIONS.items() if row.keeps_rows is not plain.keeps_rows}
    linked |= {op for op, row in OPERATIONS.items() if row.sums_rows is not plain.sums_rows}
    assert linked == {op for op, row in OPERATIONS.items() if row.in_strip is not None}


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("op", sorted((UNARY.keys() | BINARY.keys()) - WHOLE))
def test_what_is_said_to_flush_gives_no_denormals(op, dtype):
    kind = numpy_dtype(dtype)
    tiny = np.float64(2.0**-1022 if dtype == "float64" else 2.0**-126)
    denormals = np.array([tiny / 2, -tiny / 4, tiny, 1, 0, 3 * tiny / 4]).astype(kind)
    count = 1 if op in UNARY else 2
    operands = np.meshgrid(*[denormals] * count)
    result = OPERATIONS[op].meaning(*operands)
    small = np.abs(np.asarray(result).astype(np.float64))
    given = bool(np.any((small > 0) & (small < tiny)))
    assert given is not OPERATIONS[op].flushes


@pytest.mark.parametrize("op", sorted(COMPARISONS))
def test_comparisons_give_bool(op):
    assert result_type(op, [Type("float32", (3,))] * 2, {}) == Type("bool", (3,))


def test_results_of_several_operands_are_checked():
    """A sort gives what it takes, a factorisation its pivots: in types, too."""
    builder = Builder([Type("int32", (4,)), Type("float32", (4,))])
    given = [Type("int32", (4,)), Type("float32", (3,))]
    sorted_ = builder.add("sort", builder.inputs, given, dimension=0, keys=1)
    with pytest.raises(GraphError, match=r"should give int32\[4\], float32\[4\]"):
        verify(builder.graph(sorted_))
    builder = Builder([Type("float32", (4, 3))])
    pivots = [Type("int32", (3,)), Type("int32", (3,))]
    with pytest.raises(GraphError, match=r"int32\[3\], int32\[4\]"):
        verify(builder.graph(builder.add("lu", builder.inputs, [builder.inputs[0].type, *pivots])))


def test_the_shape_of_a_gather_follows_from_its_dimension_numbers():
    params: dict[str, Any] = dict(
        offset_dims=(1,),
        collapsed_slice_dims=(0,),
        start_index_map=(0,),
        operand_batching_dims=(),
        start_indices_batching_dims=(),
        slice_sizes=(1, 5),
        mode="clip",
    )
    operands = [Type("float32", (7, 5)), Type("int32", (3, 1))]
    assert result_type("gather", operands, params) == Type("float32", (3, 5))
    builder = Builder(operands)
    (wrong,) = builder.add("gather", builder.inputs, [Type("float32", (3, 4))], **params)
    with pytest.raises(GraphError, match=r"should give float32\[3,5\]"):
        verify(builder.graph([wrong]))

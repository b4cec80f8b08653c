"""What codelets say about being cut: pieces along the dimension, put together, are the whole."""

import numpy as np
import pytest

from tests.codelets.cases import arguments, dense
from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.contract import ContractOuter, ContractPanels, ContractVector
from tilewright.codelets.convolution import Convolution, FilterGradient, Window, WindowScatter
from tilewright.codelets.elementwise import Elementwise, Transpose
from tilewright.codelets.expression import Expression, Instruction
from tilewright.codelets.linalg import TriangularSolve
from tilewright.graph.law import LANES
from tilewright.graph.ops import packed

F = "float32"
ADD = Expression((F, F), (Instruction("add", (0, 1), F),), (2,))
NUMBERED = Expression(
    (F,),
    (Instruction("iota", (), F, (("dimension", 1),)), Instruction("add", (0, 1), F)),
    (2,),
)


def elementwise(expression: Expression, *shape: int) -> Elementwise:
    strides = dense(F, *shape).strides
    return Elementwise(expression, shape, (strides,) * len(expression.inputs), (strides,))


def outer(m: int, n: int, *batch: int) -> ContractOuter:
    return ContractOuter(dense(F, *batch, m, 5), dense(F, *batch, 5, n), dense(F, *batch, m, n))


def with_bias(m: int, n: int) -> ContractOuter:
    beside = (Operand(F, (m, n), (0, 1)),)
    return ContractOuter(dense(F, m, 5), dense(F, 5, n), dense(F, m, n), ADD, beside)


def panels(m: int, n: int) -> ContractPanels:
    return ContractPanels(dense(F, m, 5), dense(F, *packed.shape(F, 5, n)), dense(F, m, n))


def conv(n: int, height: int, stride: int) -> Convolution:
    image = dense(F, n, (height - 1) * stride + 5, 4, 2, 3)
    kernel, out = dense(F, 2, 3, 2, 3, 4), dense(F, n, height, 3, 2, 4)
    return Convolution(image, kernel, out, (stride, 1), (2, 1))


CASES = {
    "elementwise": elementwise(ADD, 3, 40),
    "a dimension that is numbered": elementwise(NUMBERED, 20, 33),
    "transpose": Transpose(Operand(F, (33, 7), (7, 1)), Operand(F, (33, 7), (1, 33))),
    "triangular solve": TriangularSolve(dense(F, 4, 4), dense(F, 4, 37), False),
    "rows": outer(40, 7),
    "columns": outer(3, 40),
    "a batch": outer(3, 4, 9),
    "rows with a bias": with_bias(40, 7),
    "columns with a bias": with_bias(3, 40),
    "matrix times vector": ContractVector(dense(F, 33, 8), dense(F, 8), dense(F, 33)),
    "rows of panels": panels(50, 33),
    "columns of panels": panels(2, 70),
    "images": conv(9, 3, 1),
    "rows of images": conv(2, 9, 2),
    "groups of images": Convolution(
        dense(F, 2, 5, 5, 20, 16),
        dense(F, 20, 3, 3, 16, 16),
        dense(F, 2, 3, 3, 20, 16),
        (1, 1),
        (1, 1),
    ),
    "windows": Window("max", dense(F, 1, 21, 5, 3), dense(F, 1, 10, 4, 3), (3, 2), (2, 1), (1, 1)),
    "channels of windows": WindowScatter(
        "max", dense(F, 1, 8, 8, 20), dense(F, 1, 4, 4, 20), dense(F, 1, 8, 8, 20), (2, 2), (2, 2)
    ),
    "filters": FilterGradient(
        dense(F, 2, 6, 6, 1, 3), dense(F, 2, 4, 4, 1, 20), dense(F, 1, 3, 3, 3, 20), (1, 1), (1, 1)
    ),
    "groups of filters": FilterGradient(
        dense(F, 2, 6, 6, 9, 1), dense(F, 2, 4, 4, 9, 1), dense(F, 9, 3, 3, 1, 1), (1, 1), (1, 1)
    ),
}


def pieces(codelet: Codelet, length: int):
    """(shorter codelet, slices of its arguments) one after the other."""
    cut = codelet.cut
    assert cut is not None
    operands = (*codelet.inputs, *codelet.outputs)
    for start in range(0, cut.length, length):
        count = min(length, cut.length - start)
        places = []
        for i, (operand, axis) in enumerate(zip(operands, cut.axes, strict=True)):
            slices = [slice(None)] * len(operand.shape)
            if axis is not None:
                taken, first, stride, reach = cut.share(i, count, start)
                first *= stride
                slices[axis] = slice(first, first + (taken - 1) * stride + reach)
            places.append(tuple(slices))
        shorter = [
            Operand(o.dtype, np.empty(o.shape, bool)[place].shape, o.strides)
            for o, place in zip(operands, places, strict=True)
        ]
        yield codelet.on(shorter), places


@pytest.mark.parametrize("name", CASES)
def test_pieces_put_together_are_the_whole(name):
    codelet = CASES[name]
    given = arguments(codelet)
    inputs, updated = given[: len(codelet.inputs)], given[len(codelet.inputs) :]
    whole = codelet.meaning(*given)
    made = [np.zeros_like(array) for array in whole]
    written = [np.zeros(array.shape, int) for array in whole]
    for short, places in pieces(codelet, LANES):
        here = [array[place] for array, place in zip(inputs, places, strict=False)]
        outside = places[len(inputs) :]
        old = [array[outside[i]] for array, i in zip(updated, codelet.in_place, strict=True)]
        assert [o.shape for o in short.inputs] == [array.shape for array in here]
        for i, result in enumerate(short.meaning(*here, *old)):
            made[i][outside[i]] = result
            written[i][outside[i]] += 1
    for array, parts, times in zip(whole, made, written, strict=True):
        assert (times == 1).all()
        assert array.tobytes() == parts.tobytes()


def test_what_is_numbered_everywhere_is_not_cut():
    assert (
        elementwise(
            Expression((F,), (Instruction("iota", (), F, (("dimension", 0),)),), (1,)), 40
        ).cut
        is None
    )


def turned(*sizes: int) -> Elementwise:
    """A copy of an array with all dimensions in the opposite order."""
    made, read = dense(F, *sizes), dense(F, *sizes[::-1])
    return Elementwise(Expression((F,), (), (0,)), sizes, (read.strides[::-1],), (made.strides,))


def test_pieces_of_what_is_turned_round_hold_whole_vectors_of_both():
    """Of the first and the last dimension each line is read and written in vectors."""
    cut = turned(40, 32, 30, 36).cut
    assert cut is not None
    assert (cut.axes, cut.grain, cut.along_lanes) == ((1, 1), 1, False)
    flat = turned(40, 100).cut
    assert flat is not None
    assert (flat.axes, flat.grain) == ((0, 0), LANES)


def test_one_number_a_row_is_no_line_of_them():
    """Read again for all the row, it leaves rows to be cut into pieces of any length."""
    copy = Elementwise(Expression((F,), (), (0,)), (40, 9), ((1, 0),), ((9, 1),))
    assert copy.cut is not None
    assert (copy.cut.axes, copy.cut.grain) == ((0, 0), 1)

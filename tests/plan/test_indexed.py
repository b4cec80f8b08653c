"""What is updated at positions that are data is updated where it lies, unless others read it."""

import numpy as np
import pytest

from tests.plan.by_hand import calls_of, run
from tilewright.codelets.index import DynamicUpdateSlice
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Type

X = np.arange(20, dtype=np.float32).reshape(4, 5)
UPDATE = np.full((2, 2), -1, np.float32)
STARTS = [np.array(1, np.int32), np.array(3, np.int32)]


def updated(made: bool, read_again: bool):
    """Of an input, or of what the program made; it may be read again beside the result."""
    types = [Type("float32", X.shape), Type("float32", UPDATE.shape), *[Type("int32", ())] * 2]
    b = Builder(types)
    x, update, *starts = b.inputs
    operand = b.op("neg", x) if made else x
    result = b.op("dynamic_update_slice", operand, update, *starts)
    return b.graph([b.op("add", result, operand) if read_again else b.op("abs", result)])


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("read_again", [False, True])
def test_what_others_read_later_is_copied(made, read_again):
    graph = updated(made, read_again)
    program, calls = calls_of(graph)
    inputs = [X, UPDATE, *STARTS]
    found = run(program, inputs)
    for ours, expected in zip(found, evaluate(graph, inputs), strict=True):
        np.testing.assert_array_equal(ours, expected.reshape(-1))
    assert sum(isinstance(call.codelet, DynamicUpdateSlice) for call in calls) == 1
    copies = [call for call in calls if call.codelet.name.startswith("copy")]
    assert len(copies) == (read_again or not made), "of the user's, too"


def test_starts_are_clamped():
    graph = updated(True, False)
    program, _ = calls_of(graph)
    inputs = [X, UPDATE, np.array(9, np.int32), np.array(-2, np.int32)]
    (found,) = run(program, inputs)
    assert (found.reshape(4, 5)[2:, :2] == 1).all()
    np.testing.assert_array_equal(found, evaluate(graph, inputs)[0].reshape(-1))

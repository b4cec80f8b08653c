"""Branches take the nearest case when their index is out of range, as graphs do."""

import numpy as np
import pytest

from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Graph, Type
from tilewright.runtime.executable import Executable
from tilewright.runtime.made import Made
from tilewright.stages import Stages


def choosing(dtype: str, size: int) -> Graph:
    """x + 0, x + 1 or x + 2."""
    kind = Type("float32", (size,))
    cases = []
    for number in range(3):
        case = Builder([kind])
        step = case.op("broadcast", case.constant(np.float32(number)), shape=(size,), dimensions=())
        cases.append(case.graph([case.op("add", *case.inputs, step)]))
    builder = Builder([Type(dtype, ()), kind])
    index, x = builder.inputs
    index = index if dtype == "int32" else builder.op("convert", index, dtype="int32")
    return builder.graph(builder.add("branch", [index, x], [kind], bodies=cases))


@pytest.mark.parametrize("size", [3, 1000], ids=["in registers", "in memory"])
@pytest.mark.parametrize(
    ("dtype", "index"),
    [("int32", i) for i in (-(2**31), -1, 0, 1, 2, 3, 2**31 - 1)] + [("bool", 0), ("bool", 1)],
)
def test_the_nearest_case(dtype, index, size):
    graph = choosing(dtype, size)
    program = Executable(Made(Stages(graph, Dump("test"), (), ()).image()))
    inputs = np.array(index, dtype), np.arange(size, dtype=np.float32)
    (expected,) = evaluate(graph, inputs)
    np.testing.assert_array_equal(program(*inputs), expected)

"""A product with what follows it: one vertex where that may be, two where sums are cut."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from tests.codelets.layouts import same_bits
from tests.machines import STATED, tiny
from tilewright.codelets.elementwise import Elementwise
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Graph, Type
from tilewright.graph.law import LEAF
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Call, Program, Step
from tilewright.plan.lower import lower
from tilewright.simulate import simulate

ROWS, COLUMNS = 24, 32


def multiplied(k: int, keep: bool = False, reshaped: bool = False) -> Graph:
    """-(x w + b), and the sums themselves if they are kept."""
    shape = (ROWS * COLUMNS,) if reshaped else (ROWS, COLUMNS)
    b = Builder([Type("float32", s) for s in ((ROWS, k), (k, COLUMNS), shape)])
    left, right, bias = b.inputs
    sums = b.op("dot", left, right, contract=((1,), (0,)), batch=((), ()), dtype="float32")
    y = b.op("reshape", sums, shape=shape) if reshaped else sums
    result = b.op("neg", b.op("add", y, bias))
    return b.graph([result, y] if keep else [result])


def arrays_of(graph: Graph) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(size=v.shape).astype(np.float32) for v in graph.inputs]


def planned(graph: Graph, machine: Machine) -> tuple[Program, int]:
    """The program, and how many vertices of it are elementwise alone."""
    program, _ = lower(graph, machine)
    found = [call.codelet for call in calls(program.steps)]
    assert found
    return program, sum(isinstance(codelet, Elementwise) for codelet in found)


def calls(steps: Sequence[Step]) -> Iterator[Call]:
    for step in steps:
        if isinstance(step, Call):
            yield step
        else:
            yield from calls(getattr(step, "steps", ()))


@pytest.mark.parametrize("keep", (False, True))
@pytest.mark.parametrize("reshaped", (False, True))
@pytest.mark.parametrize("k", (LEAF // 2, 2 * LEAF + 3))
@pytest.mark.parametrize("machine", (STATED, tiny(4, 1 << 20)), ids=("near", "apart"))
def test_the_same_bits_whether_one_vertex_or_two(machine, k, reshaped, keep):
    graph = multiplied(k, keep, reshaped)
    program, _ = planned(graph, machine)
    arrays = arrays_of(graph)
    result = simulate(program, arrays, 4)
    assert result.races == []
    for found, expected in zip(result.outputs, evaluate(graph, arrays), strict=True):
        same_bits(found.reshape(expected.shape), expected)


def test_what_follows_waits_only_where_tiles_may_each_have_some_terms():
    """Of more than a leaf, on tiles that share no memory."""
    short, long = multiplied(LEAF), multiplied(LEAF + 1)
    apart = tiny(4, 1 << 20)
    assert planned(short, STATED)[1] == 0
    assert planned(long, STATED)[1] == 0
    assert planned(short, apart)[1] == 0
    assert planned(long, apart)[1] > 0

"""Runs the vertices of a small program one after the other, each by its meaning in NumPy."""

from collections.abc import Sequence

import numpy as np

from tests.machines import STATED
from tilewright.graph.ir import Graph, numpy_dtype
from tilewright.plan.ir import Buffer, Call, Program, View
from tilewright.plan.lower import lower


def calls_of(graph: Graph) -> tuple[Program, list[Call]]:
    """The program of a graph for one tile, and its vertices: there is nothing else."""
    program, _ = lower(graph, STATED)
    calls = [step for step in program.steps if isinstance(step, Call)]
    assert len(calls) == len(program.steps)
    return program, calls


def run(program: Program, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Results, flat; the last of the program's inputs are the graph's."""
    memory: dict[Buffer, np.ndarray] = {}

    def window(view: View) -> np.ndarray:
        buffer = view.buffer
        if buffer not in memory:
            memory[buffer] = np.zeros(buffer.size, numpy_dtype(buffer.dtype))
        flat = memory[buffer]
        strides = [step * flat.itemsize for step in view.strides]
        return np.lib.stride_tricks.as_strided(flat[view.offset :], view.shape, strides)

    for buffer, array in zip(program.inputs[-len(inputs) :], inputs, strict=True):
        memory[buffer] = np.array(array).reshape(-1)
    for call in program.steps:
        assert isinstance(call, Call)
        count = len(call.codelet.inputs)
        read = [window(view).copy() for view in call.views[:count]]
        written = call.views[count : count + len(call.codelet.outputs)]
        read += [window(written[i]).copy() for i in call.codelet.in_place]
        for view, value in zip(written, call.codelet.meaning(*read), strict=True):
            window(view)[...] = value
    return [memory[buffer] for buffer in program.outputs]

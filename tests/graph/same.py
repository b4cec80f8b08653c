"""What every rewrite must keep: bits (but not a NaN's payload), interface, invariants."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.graph.evaluate import evaluate
from tilewright.graph.floats import bits_of
from tilewright.graph.ir import Graph
from tilewright.graph.verify import verify


def assert_same_bits(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    equal = bits_of(ours) == bits_of(theirs)
    if ours.dtype.kind in "fV":
        equal |= np.isnan(ours) & np.isnan(theirs)
    assert equal.all(), (ours[~equal][:5], theirs[~equal][:5])


def assert_same(rewrite: Callable[[Graph], Graph], graph: Graph, inputs: Sequence[Any]) -> Graph:
    """The rewritten graph, which gives the same."""
    verify(graph)
    new = rewrite(graph)
    verify(new)
    assert new.inputs == graph.inputs
    for a, b in zip(evaluate(new, inputs), evaluate(graph, inputs), strict=True):
        assert_same_bits(a, b)
    return new


def ops(graph: Graph) -> list[str]:
    """All operations, bodies after their node."""
    names = []
    for node in graph.nodes:
        names.append(node.op)
        for body in node.bodies:
            names += ops(body)
    return names

"""Checks that a graph is what `ir.py` says; for tests, and for the author of a rewrite.

In: any graph. Out: nothing, or a `GraphError` that names the first node that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.law import LAWS
from tilewright.graph.ops import CONTROL, OPERATIONS

Answer = TypeVar("Answer")


class GraphError(ValueError):
    """A graph breaks one of its invariants."""


def verify(graph: Graph) -> None:
    """Raise GraphError unless all invariants hold, in bodies too."""
    if graph.law not in LAWS:
        raise GraphError(f"{graph.law!r} is no law of sums; there is {', '.join(LAWS)}")
    defined: set[Value] = set()
    _define(defined, graph.inputs)
    for node in graph.nodes:
        for value in node.inputs:
            if value not in defined:
                raise _fault(node, f"reads {value.type} before it is defined")
        _define(defined, node.outputs, node)
        _check(node)
        for body in node.bodies:
            if body.state:
                raise _fault(node, "has a body with a state of its own")
            verify(body)
    for value in graph.outputs:
        if value not in defined:
            raise GraphError(f"an output, {value.type}, is never defined")
    _check_state(graph)


def _check_state(graph: Graph) -> None:
    """Each of the inputs that are overwritten once, by an output of its type."""
    state, count = graph.state, len(graph.inputs)
    if len(set(state)) < len(state) or not all(0 <= position < count for position in state):
        raise GraphError(f"the state, inputs {state} of {count}, is not so many different inputs")
    if len(state) > len(graph.outputs):
        raise GraphError(f"{len(graph.outputs)} outputs for a state of {len(state)}")
    for position, value in zip(state, graph.outputs, strict=False):
        old = graph.inputs[position]
        if old.type != value.type:
            raise GraphError(f"{value.type} takes the place of input {position}, {old.type}")


def describe(node: Node) -> str:
    """One line that lets a reader find the node."""
    operands = ", ".join(str(v.type) for v in node.inputs)
    results = ", ".join(str(v.type) for v in node.outputs)
    return f"{node.op}({operands}) -> {results}" + (f" at {node.source}" if node.source else "")


def _fault(node: Node, message: str) -> GraphError:
    return GraphError(f"{describe(node)}: {message}")


def _define(defined: set[Value], values: Sequence[Value], node: Node | None = None) -> None:
    """Results of a node, or inputs."""
    for value in values:
        if value in defined:
            where = describe(node) if node else "the inputs"
            raise GraphError(f"{where}: {value.type} is defined twice")
        defined.add(value)


def _check(node: Node) -> None:
    if node.op in CONTROL:
        _check_faults(node, CONTROL[node.op].faults)
        return
    row = OPERATIONS.get(node.op)
    if row is None:
        raise _fault(node, "no such operation")
    if node.bodies:
        raise _fault(node, "takes no bodies")
    _check_faults(node, row.faults)
    expected = _tried(node, lambda: list(row.types([v.type for v in node.inputs], node.params)))
    if [v.type for v in node.outputs] != expected:
        raise _fault(node, f"should give {', '.join(map(str, expected))}")


def _check_faults(node: Node, faults: Callable[[Node], Iterable[str]]) -> None:
    found = _tried(node, lambda: next(iter(faults(node)), ""))
    if found:
        raise _fault(node, found)


def _tried(node: Node, ask: Callable[[], Answer]) -> Answer:
    """What a row answers; parameters that are missing or senseless make it raise."""
    try:
        return ask()
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise GraphError(f"{describe(node)}: bad parameters: {error!r}") from error

"""Graphs as text, and back.

    graph(%0: float32[7,5], %1: float32[5,3]) {
      %2: float32[7,3] = dot(%0, %1; contract=((1,), (0,)), batch=((), ()), ...)  # a.py:3
      return %2
    }

`overwriting %0 %2` after the inputs are those that the first outputs take the place of. Bodies
follow the line of their node, indented. Values are numbered from zero in every graph, so equal
graphs have equal texts. Full text is exact: `parse(to_text(graph))` has the same text, and the same
bits in its constants. `short` text abbreviates large constants and cannot be parsed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from tilewright.graph.ir import Graph, Node, Type, Value, numpy_dtype

_SHORT_ITEMS = 6
_HEADER = re.compile(r"graph\((.*)\)(?: by (\w+))?(?: overwriting((?: %\d+)+))? \{")
_DEFINITION = re.compile(r"(%\d+): (\w+)\[([\d,]*)\]")


def to_text(graph: Graph, short: bool = False, sources: bool = True) -> str:
    """The graph as text that ends with a newline; without `sources`, no lines of the user's."""
    return "\n".join(_lines(graph, short, sources)) + "\n"


def _lines(graph: Graph, short: bool, sources: bool) -> Iterator[str]:
    names: dict[Value, str] = {}

    def define(values: tuple[Value, ...]) -> str:
        names.update((v, f"%{i}") for i, v in enumerate(values, len(names)))
        return ", ".join(f"{names[v]}: {v.type}" for v in values)

    by = "" if graph.law == "host" else f" by {graph.law}"
    inputs = define(graph.inputs)
    over = "".join(f" {names[graph.inputs[position]]}" for position in graph.state)
    yield f"graph({inputs}){by}{' overwriting' + over if over else ''} {{"
    for node in graph.nodes:
        source = f"  # {node.source}" if node.source and sources else ""
        yield _line(node, names, define, short) + source
        for body in node.bodies:
            yield from ("    " + line for line in _lines(body, short, sources))
    yield "  return " + ", ".join(names[v] for v in graph.outputs)
    yield "}"


def _line(node: Node, names: dict[Value, str], define: Any, short: bool) -> str:
    arguments = ", ".join(names.get(v, "%?") for v in node.inputs)
    params = ", ".join(f"{key}={_param(value, short)}" for key, value in node.params.items())
    inside = f"{arguments}; {params}" if params else arguments
    return f"  {define(node.outputs)} = {node.op}({inside})"


def _param(value: Any, short: bool) -> str:
    if isinstance(value, (np.ndarray, np.generic)):
        return _array(np.asarray(value), short)
    return repr(value)


def _array(array: np.ndarray, short: bool) -> str:
    dtype = array.dtype.name
    if array.ndim == 0:
        plain = array.astype(np.float64).item() if dtype == "bfloat16" else array.item()
        plain = plain if plain == plain else float("nan")  # without its payload
        if np.asarray(plain).astype(array.dtype).tobytes() == array.tobytes():
            return f"{dtype}({plain!r})"
    if short and array.size > _SHORT_ITEMS:
        first = " ".join(str(x) for x in array.flat[:_SHORT_ITEMS])
        return f"{Type(dtype, array.shape)}({first} ...)"
    return f"array('{dtype}', {array.shape}, '{array.tobytes().hex()}')"


def parse(text: str) -> Graph:
    """The graph of a full text. Raises ValueError with the line that it cannot read."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    graph, rest = _parse_graph(lines, 0)
    if rest != len(lines):
        raise ValueError(f"text after the graph: {lines[rest]}")
    return graph


def _parse_graph(lines: list[str], at: int) -> tuple[Graph, int]:
    """The graph that begins at line `at`, and the line after it."""
    values: dict[str, Value] = {}
    header = _HEADER.fullmatch(lines[at])
    if header is None:
        raise ValueError(f"a graph should begin here: {lines[at]}")
    inputs = _define(header[1], values)
    nodes: list[Node] = []
    at += 1
    while not lines[at].startswith("return"):
        head, at = lines[at], at + 1
        bodies = []
        while lines[at].startswith("graph("):
            body, at = _parse_graph(lines, at)
            bodies.append(body)
        nodes.append(_parse_node(head, values, tuple(bodies)))
    outputs = tuple(values[name] for name in re.findall(r"%\d+", lines[at]))
    state = tuple(inputs.index(values[name]) for name in (header[3] or "").split())
    return Graph(inputs, tuple(nodes), outputs, header[2] or "host", state), at + 2


def _define(text: str, values: dict[str, Value]) -> tuple[Value, ...]:
    defined = {}
    for name, dtype, shape in _DEFINITION.findall(text):
        defined[name] = Value(Type(dtype, tuple(int(n) for n in shape.split(",") if n)))
    values.update(defined)
    return tuple(defined.values())


def _parse_node(line: str, values: dict[str, Value], bodies: tuple[Graph, ...]) -> Node:
    match = re.fullmatch(r"(.*?) ?= (\w+)\(([%\d, ]*)(?:; (.*?))?\)(?:  # (.*))?", line)
    if match is None:
        raise ValueError(f"not a node: {line}")
    names, op, arguments, params, source = match.groups()
    try:
        inputs = tuple(values[name] for name in re.findall(r"%\d+", arguments))
    except KeyError as error:
        raise ValueError(f"{error.args[0]} is not defined: {line}") from None
    outputs = _define(names, values)
    return Node(op, inputs, outputs, _parse_params(params or ""), bodies, source or "")


def _parse_params(text: str) -> dict[str, Any]:
    call = ast.parse(f"f({text})", mode="eval").body
    assert isinstance(call, ast.Call)
    return {keyword.arg or "": _literal(keyword.value) for keyword in call.keywords}


def _literal(node: ast.expr) -> Any:
    """A Python literal, nan, inf, or one of the two forms of an array."""
    match node:
        case ast.Constant():
            return node.value
        case ast.Tuple() | ast.List():
            items = tuple(map(_literal, node.elts))
            return items if isinstance(node, ast.Tuple) else list(items)
        case ast.Name(id="nan" | "inf"):
            return float(node.id)
        case ast.UnaryOp(op=ast.USub()):
            return -_literal(node.operand)
        case ast.Call(func=ast.Name(id="array")):
            dtype, shape, data = map(_literal, node.args)
            return np.frombuffer(bytes.fromhex(data), numpy_dtype(dtype)).reshape(shape)
        case ast.Call(func=ast.Name(id=dtype)):
            return np.array(_literal(node.args[0])).astype(numpy_dtype(dtype))
    raise ValueError(f"not a parameter: {ast.unparse(node)}")

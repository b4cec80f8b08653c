"""A chain over rows, strip by strip.

    strips  (consts, xs) -> (ys, sums)      params consts, ys, rows, axes, first, strip, strips
                                            [, leaf]
        bodies: (consts, x) -> (y, partial sums), for `strip` rows; if rows % strip, another for the
        rest

Which chains become strips, and how they are cut, is said in `graph/strips.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tilewright.graph import law
from tilewright.graph.ir import Node, Type, Value
from tilewright.graph.ops.control import signature, types_of
from tilewright.graph.ops.operation import Arrays, Control, Run
from tilewright.machine.cost import Count


def _strips(node: Node, operands: Arrays, run: Run) -> Arrays:
    """Strips one after the other; their sums are nodes of the law's tree."""
    count, many, strip = (node.params[key] for key in ("consts", "ys", "strip"))
    consts, xs = operands[:count], operands[count:]
    rows: list[list[np.ndarray]] = [[] for _ in range(many)]
    parts: list[Arrays] = []
    for number in range(node.params["strips"]):
        places = np.arange(number * strip, min(node.params["rows"], (number + 1) * strip))
        here = [np.take(x, places, axis) for x, axis in zip(xs, node.params["axes"], strict=True)]
        results = run(node.bodies[0 if len(places) == strip else -1], [*consts, *here])
        for pieces, result in zip(rows, results[:many], strict=True):
            pieces.append(result)
        parts.append(results[many:])
    sums = [law.combine_pairs("sum", np.stack(column)) for column in zip(*parts, strict=True)]
    axis = 0 if node.params["first"] else -1
    return [*(np.concatenate(pieces, axis=axis) for pieces in rows), *sums]


def _strip_by_strip(node: Node, bodies: Sequence[Count]) -> Count:
    return bodies[0] * node.params["strips"]


def _strips_faults(node: Node) -> Iterator[str]:
    """`axes` says where the rows of xs are, `first` those of ys; bodies see a strip, the rest."""
    missing = {"consts", "ys", "rows", "axes", "first", "strip", "strips"} - set(node.params)
    if missing:
        yield f"bad parameters: no {', '.join(sorted(missing))}"
    consts, many, rows, strip = (node.params[name] for name in ("consts", "ys", "rows", "strip"))
    if not 1 <= strip <= rows:
        yield f"a strip of {strip} rows out of {rows}"
    sizes = [strip, rows % strip] if rows % strip else [strip]
    count = -(-rows // strip)
    if node.params["strips"] != count:
        yield f"the rows make {count} strips"
    leaf = node.params.get("leaf", law.LEAF)
    leaves, rest = divmod(strip, leaf)
    if count != 1 and (rest or leaves.bit_count() != 1):
        yield f"strips of 2^j times {leaf} rows"
    if len(node.bodies) != len(sizes):
        yield f"has a body for {sizes} rows"
    xs, ys = node.inputs[consts:], node.outputs[:many]
    if not xs:
        yield "has at least one x"
    axes = node.params["axes"]
    if len(axes) != len(xs):
        yield f"{len(axes)} axes of rows for {len(xs)} xs"
    ends = [0 if node.params["first"] else len(v.shape) - 1 for v in ys]
    for value, axis in (*zip(xs, axes, strict=True), *zip(ys, ends, strict=True)):
        if axis not in (0, len(value.shape) - 1) or value.shape[axis] != rows:
            yield f"an x or y has no first or last dimension of {rows}"
    for body, size in zip(node.bodies, sizes, strict=True):
        inputs = types_of(node.inputs[:consts])
        inputs += [_with_rows(x, axis, size) for x, axis in zip(xs, axes, strict=True)]
        results = [_with_rows(y, axis, size) for y, axis in zip(ys, ends, strict=True)]
        results += types_of(node.outputs[many:])
        yield from signature(body, inputs, results)


def _with_rows(value: Value, axis: int, rows: int) -> Type:
    return Type(value.dtype, (*value.shape[:axis], rows, *value.shape[axis + 1 :]))


ROWS = {"strips": Control(_strips, _strip_by_strip, _strips_faults)}

"""Movements that need not be made, or make one with the movement before them.

`COMPOSE[op]` are rules as in `identities.py`. A number that fills an array still fills it when
moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tilewright.graph.ir import Node, Value
from tilewright.graph.known import known_array
from tilewright.graph.rewrite import Rebuilder

Rule = Callable[[Rebuilder, Node], Value | None]


def _source(new: Rebuilder, value: Value, op: str) -> Node | None:
    """The node that makes `value`, if it is an `op`."""
    producer = new.producer(value)
    return producer if producer is not None and producer.op == op else None


def _wide(shape: Sequence[int]) -> list[int]:
    """The dimensions that are not 1."""
    return [i for i, n in enumerate(shape) if n != 1]


def _filled(new: Rebuilder, node: Node) -> Value | None:
    """Moving a broadcast scalar gives a broadcast scalar."""
    if node.output.shape == node.inputs[0].shape:
        return None
    inner = _source(new, node.inputs[0], "broadcast")
    if inner is None or inner.inputs[0].shape:
        return None
    return new.op("broadcast", inner.inputs[0], shape=node.output.shape, dimensions=())


def _broadcast(new: Rebuilder, node: Node) -> Value | None:
    (x,), shape = node.inputs, node.output.shape
    dimensions = tuple(node.params["dimensions"])
    if x.shape == shape and dimensions == tuple(range(len(shape))):
        return x
    if x.type.size == node.output.type.size > 0 and list(dimensions) == sorted(dimensions):
        return new.op("reshape", x, shape=shape)
    inner = _source(new, x, "broadcast")
    if inner is not None:
        composed = tuple(dimensions[d] for d in inner.params["dimensions"])
        return new.op("broadcast", inner.inputs[0], shape=shape, dimensions=composed)
    inner = _source(new, x, "reshape")
    if inner is not None:
        return _broadcast_without_units(new, inner.inputs[0], x, dimensions, shape)
    return None


def _broadcast_without_units(
    new: Rebuilder, source: Value, x: Value, dimensions: tuple[int, ...], shape: Any
) -> Value | None:
    """Dimensions of one need not be put in by a reshape first."""
    wide = _wide(x.shape)
    if source.shape != tuple(x.shape[i] for i in wide):
        return None
    composed = tuple(dimensions[i] for i in wide)
    return new.op("broadcast", source, shape=shape, dimensions=composed)


def _reshape(new: Rebuilder, node: Node) -> Value | None:
    (x,), shape = node.inputs, node.output.shape
    if x.shape == shape:
        return x
    inner = _source(new, x, "reshape")
    return None if inner is None else new.op("reshape", inner.inputs[0], shape=shape)


def _transpose(new: Rebuilder, node: Node) -> Value | None:
    (x,), permutation = node.inputs, tuple(node.params["permutation"])
    if permutation == tuple(range(len(permutation))):
        return x
    inner = _source(new, x, "transpose")
    if inner is not None:
        composed = tuple(inner.params["permutation"][i] for i in permutation)
        return new.op("transpose", inner.inputs[0], permutation=composed)
    inner = _source(new, x, "broadcast")
    if inner is not None:
        dimensions = tuple(permutation.index(d) for d in inner.params["dimensions"])
        shape = node.output.shape
        return new.op("broadcast", inner.inputs[0], shape=shape, dimensions=dimensions)
    moved = [i for i in permutation if x.shape[i] != 1]
    return new.op("reshape", x, shape=node.output.shape) if moved == sorted(moved) else None


def _slice(new: Rebuilder, node: Node) -> Value | None:
    (x,) = node.inputs
    if x.shape == node.output.shape:
        return x
    if node.output.type.size == 0:
        return None
    inner = _source(new, x, "slice")
    if inner is not None:
        return _slice_of_slice(new, node, inner)
    inner = _source(new, x, "concatenate")
    if inner is not None:
        return _slice_of_concatenate(new, node, inner)
    return _last_of_scan(new, node)


def _slice_of_slice(new: Rebuilder, node: Node, inner: Node) -> Value:
    start, limit, stride = [], [], []
    for d, n in enumerate(node.output.shape):
        step = inner.params["stride"][d]
        start.append(inner.params["start"][d] + node.params["start"][d] * step)
        stride.append(step * node.params["stride"][d])
        limit.append(start[-1] + (n - 1) * stride[-1] + 1)
    return _sliced(new, inner.inputs[0], start, limit, stride)


def _slice_of_concatenate(new: Rebuilder, node: Node, inner: Node) -> Value | None:
    """A slice that lies within one part is a slice of that part."""
    along = inner.params["dimension"]
    start, limit, stride = (list(node.params[key]) for key in ("start", "limit", "stride"))
    last = start[along] + (node.output.shape[along] - 1) * stride[along]
    at = 0
    for part in inner.inputs:
        n = part.shape[along]
        if at <= start[along] and last < at + n:
            start[along], limit[along] = start[along] - at, last - at + 1
            return _sliced(new, part, start, limit, stride)
        at += n
    return None


def _last_of_scan(new: Rebuilder, node: Node) -> Value | None:
    """What a scan's last trip gave is a carry's last value, if the body gives both alike.

    Nobody may then read the others, which are as many as there are trips.
    """
    (x,), scan = node.inputs, new.producer(node.inputs[0])
    if scan is None or scan.op != "scan" or node.output.shape[0] != 1:
        return None
    carry, outputs = scan.params["carry"], scan.bodies[0].outputs
    last = 0 if scan.params["reverse"] else scan.params["length"] - 1
    place = scan.outputs.index(x)
    same = [i for i in range(carry) if outputs[i] is outputs[place]]
    if place < carry or not same or node.params["start"][0] != last:
        return None
    row = new.op("reshape", scan.outputs[same[0]], shape=(1, *x.shape[1:]))
    start, limit = (0, *node.params["start"][1:]), (1, *node.params["limit"][1:])
    return _sliced(new, row, start, limit, (1, *node.params["stride"][1:]))


def _sliced(
    new: Rebuilder, x: Value, start: Sequence[int], limit: Sequence[int], stride: Sequence[int]
) -> Value:
    return new.op("slice", x, start=tuple(start), limit=tuple(limit), stride=tuple(stride))


def _reverse(new: Rebuilder, node: Node) -> Value | None:
    (x,), dimensions = node.inputs, node.params["dimensions"]
    if all(x.shape[d] <= 1 for d in dimensions):
        return x
    inner = _source(new, x, "reverse")
    if inner is not None and set(inner.params["dimensions"]) == set(dimensions):
        return inner.inputs[0]
    return None


def _pad(new: Rebuilder, node: Node) -> Value | None:
    rows = zip(*(node.params[key] for key in ("low", "high", "interior")), strict=True)
    same = all(
        low == high == 0 and (inner == 0 or n <= 1)
        for (low, high, inner), n in zip(rows, node.inputs[0].shape, strict=True)
    )
    return node.inputs[0] if same else None


def _concatenate(new: Rebuilder, node: Node) -> Value | None:
    """Without empty parts, without concatenations inside, neighbouring slices joined again."""
    along = node.params["dimension"]
    parts: list[Value] = []
    for part in node.inputs:
        inner = _source(new, part, "concatenate")
        nested = inner is not None and inner.params["dimension"] == along
        parts.extend(inner.inputs if nested and inner is not None else (part,))
    parts = [part for part in parts if part.shape[along]] or parts[:1]
    parts = _join_slices(new, parts, along)
    if len(parts) == 1:
        return parts[0]
    return None if parts == list(node.inputs) else new.op("concatenate", *parts, dimension=along)


def _join_slices(new: Rebuilder, parts: list[Value], along: int) -> list[Value]:
    joined: list[Value] = []
    for part in parts:
        first = _source(new, joined[-1], "slice") if joined else None
        second = _source(new, part, "slice")
        if first is not None and second is not None and _adjacent(first, second, along):
            limit = second.params["limit"]
            arguments = (first.params["start"], limit, first.params["stride"])
            joined[-1] = _sliced(new, first.inputs[0], *arguments)
        else:
            joined.append(part)
    return joined


def _adjacent(first: Node, second: Node, along: int) -> bool:
    """Whether two slices of one array are what is before and after a cut."""
    if first.inputs[0] is not second.inputs[0]:
        return False
    if {*first.params["stride"], *second.params["stride"]} != {1}:
        return False
    columns = (node.params[key] for node in (first, second) for key in ("start", "limit"))
    bounds = zip(*columns, strict=True)
    return all(
        (limit == start_too) if d == along else (start == start_too and limit == limit_too)
        for d, (start, limit, start_too, limit_too) in enumerate(bounds)
    )


def _dynamic_slice(new: Rebuilder, node: Node) -> Value | None:
    """At a known place it is a slice; of everything, it is the operand."""
    x, *starts = node.inputs
    if x.shape == node.output.shape:
        return x
    known = [known_array(new, start) for start in starts]
    if any(start is None for start in known):
        return None
    rows = zip(known, x.shape, node.output.shape, strict=True)
    first = [min(max(int(start), 0), n - size) for start, n, size in rows if start is not None]
    limit = [a + n for a, n in zip(first, node.output.shape, strict=True)]
    return _sliced(new, x, first, limit, [1] * len(first))


def _dynamic_update_slice(new: Rebuilder, node: Node) -> Value | None:
    x, update = node.inputs[:2]
    if x.shape == update.shape:
        return update
    return x if update.type.size == 0 else None


COMPOSE: dict[str, tuple[Rule, ...]] = {
    "broadcast": (_broadcast,),
    "reshape": (_reshape, _filled),
    "transpose": (_transpose, _filled),
    "slice": (_slice, _filled),
    "reverse": (_reverse,),
    "pad": (_pad,),
    "concatenate": (_concatenate,),
    "dynamic_slice": (_dynamic_slice, _filled),
    "dynamic_update_slice": (_dynamic_update_slice,),
}

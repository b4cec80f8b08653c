"""Sums over several axes as sums over one, and of several rows as of one: what a grid can cut.

In: a call of a `Reduce`. Out: the same over a domain of fewer dimensions, neighbours that lie one
after the other being one; None where they do not. Always: the same sums in the same order, as the
law takes reduced axes one after the other (`graph/law.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.codelets.reduce import Reduce
from tilewright.plan.ir import Call


def merged(call: Call) -> Call | None:
    """With two dimensions at most."""
    codelet = call.codelet
    assert isinstance(codelet, Reduce)
    if codelet.stored or any(step.op == "iota" for step in codelet.expression.instructions):
        return None
    out = dict(zip(codelet.kept, codelet.output_strides, strict=True))
    outputs = tuple(out.get(axis, 0) for axis in range(len(codelet.shape)))
    rows = (*codelet.input_strides, outputs)
    axes: list[tuple[int, bool, tuple[int, ...]]] = []
    for axis, length in enumerate(codelet.shape):
        steps, reduced = tuple(strides[axis] for strides in rows), axis in codelet.axes
        if length == 1:
            continue
        if axes and axes[-1][1] == reduced and _follow(axes[-1][2], steps, length, reduced):
            axes[-1] = (axes[-1][0] * length, reduced, steps)
        else:
            axes.append((length, reduced, steps))
    if len(axes) > 2 or sum(reduced for _, reduced, _ in axes) != 1:
        return None
    shape = tuple(length for length, _, _ in axes)
    inputs = [tuple(steps[i] for _, _, steps in axes) for i in range(len(rows) - 1)]
    kept = tuple(steps[-1] for _, reduced, steps in axes if not reduced)
    one = replace(
        codelet, shape=shape, axes=tuple(i for i, axis in enumerate(axes) if axis[1]),
        input_strides=tuple(inputs), output_strides=kept,
    )  # fmt: skip
    *read, made = call.views
    views = [replace(v, shape=shape, strides=s) for v, s in zip(read, inputs, strict=True)]
    width = tuple(length for length, reduced, _ in axes if not reduced)
    return Call(one, (*views, replace(made, shape=width, strides=kept)))


def _follow(outer: Sequence[int], inner: Sequence[int], length: int, reduced: bool) -> bool:
    """Whether one step along the outer axis is as far as all of the inner one."""
    sides = zip(outer, inner, strict=True)
    return all(a == b * length for a, b in (list(sides)[:-1] if reduced else sides))

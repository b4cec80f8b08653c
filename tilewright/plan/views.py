"""Movement without moving: what broadcast, transpose, slice, reverse and reshape do to a `View`.

Each function takes a view and gives the view of the result, over the same buffer; `reshape` gives
None where no strides can express it, and then the caller copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tilewright.graph.ir import Node
from tilewright.plan.ir import Buffer, Var, View, dense_strides


def whole(buffer: Buffer, shape: tuple[int, ...], strides: tuple[int, ...] | None = None) -> View:
    """All of a buffer, row-major unless `strides` say otherwise."""
    return View(buffer, shape, dense_strides(shape) if strides is None else strides)


def broadcast(view: View, shape: tuple[int, ...], dimensions: Sequence[int]) -> View:
    strides = [0] * len(shape)
    for source, target in enumerate(dimensions):
        if view.shape[source] == shape[target]:
            strides[target] = view.strides[source]
    return replace(view, shape=shape, strides=tuple(strides))


def transpose(view: View, permutation: Sequence[int]) -> View:
    return replace(
        view,
        shape=tuple(view.shape[i] for i in permutation),
        strides=tuple(view.strides[i] for i in permutation),
    )


def window(
    view: View, start: Sequence[int], shape: tuple[int, ...], step: Sequence[int] | None = None
) -> View:
    """The elements start, start + step, ... of each dimension, `shape` of them."""
    step = step or [1] * len(shape)
    offset = view.offset
    if view.size and all(shape):
        offset += sum(s * stride for s, stride in zip(start, view.strides, strict=True))
    strides = tuple(s * stride for s, stride in zip(step, view.strides, strict=True))
    return replace(view, shape=shape, strides=strides, offset=offset)


def reverse(view: View, dimensions: Sequence[int]) -> View:
    start = [n - 1 if i in dimensions else 0 for i, n in enumerate(view.shape)]
    step = [-1 if i in dimensions else 1 for i in range(len(view.shape))]
    return window(view, start, view.shape, step)


def row(view: View, var: Var, backwards: bool = False, every: int = 1) -> View:
    """Row number `var` * `every` of the first dimension, counted from the end if `backwards`."""
    stride, last = view.strides[0], view.shape[0] - 1
    offset = view.offset + (last * stride if backwards and view.shape[0] else 0)
    step = every * (-stride if backwards else stride)
    return View(view.buffer, view.shape[1:], view.strides[1:], offset, (*view.moves, (var, step)))


def fixed_row(view: View, number: int) -> View:
    """Row of that number of the first dimension."""
    start = (number, *(0 for _ in view.shape[1:]))
    return squeeze(window(view, start, (1, *view.shape[1:])), 0)


def shift(
    view: View,
    var: Var,
    dimension: int,
    length: int,
    start: int = 0,
    stride: int = 1,
    reach: int = 1,
) -> View:
    """What `length` windows from number start + var * length on read along one dimension.

    They are `stride` apart and `reach` long: by default, single elements.
    """
    step = view.strides[dimension] * stride
    read = (length - 1) * stride + reach
    shape = tuple(read if i == dimension else n for i, n in enumerate(view.shape))
    return replace(
        view,
        shape=shape,
        offset=view.offset + start * step,
        moves=(*view.moves, (var, length * step)),
    )


def squeeze(view: View, dimension: int) -> View:
    """Without a dimension of one element."""
    kept = [i for i in range(len(view.shape)) if i != dimension]
    return transpose(view, kept)


def elements(view: View, at: Mapping[Var, int]) -> np.ndarray:
    """Their numbers in the buffer, in the view's shape, for values of the variables."""
    found = np.array(view.offset + sum(at[var] * step for var, step in view.moves))
    for index, step in zip(np.indices(view.shape, sparse=True), view.strides, strict=True):
        found = found + index * step
    return np.broadcast_to(found, view.shape)


def is_dense(view: View) -> bool:
    """Row-major without gaps (dimensions of one element may have any stride)."""
    expected = 1
    for n, stride in zip(reversed(view.shape), reversed(view.strides), strict=True):
        if n != 1 and stride != expected:
            return view.size == 0
        expected *= n
    return True


def are_apart(one: View, other: View) -> bool:
    """Whether two windows of a buffer share no element; False if strides or moves differ."""
    alike = one.moves == other.moves and one.strides == other.strides
    if not alike or min(one.strides, default=0) < 0:
        return False
    sides = sorted(zip(one.strides, one.shape, other.shape, strict=True), reverse=True)
    return not _meet(other.offset - one.offset, [side for side in sides if side[0]])


def _meet(gap: int, sides: Sequence[tuple[int, int, int]]) -> bool:
    """Whether i - j steps along each side, i of the one and j of the other, can make the gap."""
    if not sides:
        return gap == 0
    (step, mine, theirs), *rest = sides
    low = max(1 - theirs, -(-(gap - sum((n - 1) * s for s, n, _ in rest)) // step))
    high = min(mine - 1, (gap + sum((n - 1) * s for s, _, n in rest)) // step)
    return any(_meet(gap - steps * step, rest) for steps in range(low, high + 1))


def reshape(view: View, shape: tuple[int, ...]) -> View | None:
    """The same elements, in row-major order, under another shape; None if strides cannot say so."""
    if view.size == 0 or is_dense(view):
        return replace(view, shape=shape, strides=dense_strides(shape))
    strides = _reshaped_strides(view, shape)
    return None if strides is None else replace(view, shape=shape, strides=strides)


def _reshaped_strides(view: View, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Match runs of old dimensions with runs of new ones of equal size, from the left."""
    old = [(n, s) for n, s in zip(view.shape, view.strides, strict=True) if n != 1]
    strides = [0] * len(shape)
    new = [i for i, n in enumerate(shape) if n != 1]
    at_old = at_new = 0
    while at_old < len(old):
        end_old, end_new = at_old + 1, at_new + 1
        size_old, size_new = old[at_old][0], shape[new[at_new]]
        while size_old != size_new:
            if size_old < size_new:
                size_old *= old[end_old][0]
                end_old += 1
            else:
                size_new *= shape[new[end_new]]
                end_new += 1
        for i in range(at_old, end_old - 1):
            if old[i][1] != old[i + 1][1] * old[i + 1][0]:
                return None
        step = old[end_old - 1][1]
        for i in reversed(new[at_new:end_new]):
            strides[i] = step
            step *= shape[i]
        at_old, at_new = end_old, end_new
    return tuple(strides)


MOVEMENT: dict[str, Callable[[View, Node], View | None]] = {
    "broadcast": lambda view, node: broadcast(
        view, node.params["shape"], node.params["dimensions"]
    ),
    "transpose": lambda view, node: transpose(view, node.params["permutation"]),
    "slice": lambda view, node: window(
        view, node.params["start"], node.output.shape, node.params["stride"]
    ),
    "reverse": lambda view, node: reverse(view, node.params["dimensions"]),
    "reshape": lambda view, node: reshape(view, node.params["shape"]),
}
"""What a node of each kind does to the view of its operand; None: only to that of a dense one."""

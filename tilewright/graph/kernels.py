"""Kernels of convolutions that never change lie as their codelet reads them.

In: a kernel (groups, kh, kw, in, out) or, in pairs, (groups, kh, kw, in / 2, out, 2), as it was
spelled: JAX has the outputs of all groups side by side. Out: the same value. If groups have few
outputs, lanes run over all of them, and that is how they should lie; if they have many, lanes are
those of one group, whose part of the kernel is read from first to last: elsewhere its lines lie as
far apart as all groups are wide, and meet in few sets of the caches.
"""

from __future__ import annotations

from math import prod

from tilewright.graph.ir import Value
from tilewright.graph.law import LANES
from tilewright.graph.rewrite import Rebuilder


def packed_kernel(new: Rebuilder, kernel: Value) -> Value:
    """The kernel, or a transpose of a `copy` of it."""
    order = wanted_order(kernel.shape)
    if _lies(new, kernel, order):
        return kernel
    turned = _transposed(new, kernel, order)
    return _transposed(new, new.op("copy", turned), tuple(map(order.index, range(len(order)))))


def wanted_order(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions of a kernel, outermost first, as its codelet reads it best."""
    groups, out, rest = shape[0], shape[4], tuple(range(4, len(shape)))
    return (1, 2, 3, 0, *rest) if groups > 1 and out < LANES else (0, 1, 2, 3, *rest)


def _lies(new: Rebuilder, kernel: Value, order: tuple[int, ...]) -> bool:
    """Whether the dimensions lie in this order; those of one element lie anywhere."""
    maker = new.producer(kernel)
    found = tuple(range(len(order)))
    if maker is not None and maker.op == "transpose":
        found = tuple(map(maker.params["permutation"].index, found))
    kept = [i for i in order if kernel.shape[i] != 1]
    return [i for i in found if kernel.shape[i] != 1] == kept or not prod(kernel.shape)


def _transposed(new: Rebuilder, value: Value, order: tuple[int, ...]) -> Value:
    if order == tuple(range(len(order))):
        return value
    return new.op("transpose", value, permutation=order)

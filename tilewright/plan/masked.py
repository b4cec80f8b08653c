"""Masks as ways to read and write, where tiles share no memory.

In: a view of an array, what is kept of it. Out: the same window on a buffer that stands for the
array with zeros; and, of such a window, the array's own. Always: which elements are gone is known
before anything runs. So whoever computes an array leaves what is gone of it aside, products find
zeros there, elementwise work does not load it, and nothing takes longer than without a mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from tilewright.graph.ir import Node
from tilewright.graph.law import LANES
from tilewright.graph.ops.blocks import masked as with_zeros
from tilewright.plan import views
from tilewright.plan.ir import Buffer, Masked, Var, View

MOST = 64
"""Windows that are brought one by one of what a mask leaves of a matrix."""


def masked(view: View, node: Node) -> View | None:
    """The view with zeros for what a `masked` node has not kept; None where an element is repeated,
    or where a mask of it moves that this one stays behind."""
    given = view.buffer
    repeated = any(n > 1 and not s for n, s in zip(view.shape, view.strides, strict=True))
    if repeated or (given.masked and view.moves):
        return None
    kept = with_zeros(np.ones(view.shape, bool), **node.params)
    before = given.masked or Masked(given, np.zeros(given.size, bool), view.moves)
    gone = before.gone.copy()
    gone[views.elements(replace(view, moves=()), {})] |= ~kept
    known = replace(before, gone=gone)
    return replace(view, buffer=_standing_for(known), moves=())


def unmasked(view: View) -> View:
    """The same elements as they are."""
    found = view.buffer.masked
    return replace(view, buffer=found.of, moves=(*view.moves, *found.moves)) if found else view


def on_place(view: View, place: View) -> View:
    """`place` is where the view's elements lie; if it is masked, they are still."""
    return replace(place, masked=view) if view.buffer.masked else place


def gone(view: View, at: dict[Var, int]) -> np.ndarray | None:
    """Which elements of a view of a place read as zeros, in its shape, for values of variables."""
    if view.masked is None:
        return None
    found = view.masked.buffer.masked
    assert found is not None
    return found.gone[views.elements(view.masked, at)].reshape(view.shape)


def left(view: View) -> list[View] | None:
    """Windows that have all elements of a matrix that its mask leaves, and no others; None where
    they are more than `MOST`, or the mask moves."""
    known = view.buffer.masked
    if known is None or view.moves or len(view.shape) != 2:
        return None
    kept, found = ~known.gone[views.elements(view, {})], []
    for first, end in _runs(kept.T):
        for top, below in _runs(kept[:, first : first + 1]):
            if kept[top, first]:
                found.append(((top, first), (below - top, end - first)))
    plain = unmasked(view)
    return [views.window(plain, *row) for row in found] if len(found) <= MOST else None


def _runs(rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """From ... to: neighbours that are alike."""
    differ = (rows[1:] != rows[:-1]).any(1)
    return pairwise([0, *(np.flatnonzero(differ) + 1).tolist(), len(rows)])


def where_gone(view: View) -> View:
    """Of a masked view, the same window on the pattern of what is gone."""
    known = view.buffer.masked
    assert known is not None
    return replace(view, buffer=pattern(known.gone))


def in_vectors(which: np.ndarray) -> bool:
    """Whether a choice is the same for all of a vector, along some dimension: one that differs from
    element to element is data, which a vertex reads."""
    return any(_is_in_vectors(np.moveaxis(which, axis, 0)) for axis in range(which.ndim))


def _is_in_vectors(which: np.ndarray) -> bool:
    first = which[::LANES]
    return len(which) >= LANES and bool((np.repeat(first, LANES, 0)[: len(which)] == which).all())


def pattern(which: np.ndarray) -> Buffer:
    """Of a constant that says which of two operands to take."""
    return Buffer("pattern", which.size, "pattern", known=np.ascontiguousarray(which).reshape(-1))


def _standing_for(known: Masked) -> Buffer:
    of = known.of
    return Buffer(of.dtype, of.size, of.space, of.index, masked=known)

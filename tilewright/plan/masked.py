"""Inputs that come masked, where tiles share no memory (see `graph/coming.py`).

In: a view of an input, what is kept of it. Out: the same view of a buffer that comes from where the
input does, masked on its way: zeros are as many bytes, so that nothing takes longer than it would
without a mask. Always: nobody writes to either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from tilewright.graph.ir import Node
from tilewright.graph.ops.blocks import masked as with_zeros
from tilewright.plan.ir import Buffer, Masked, View


def masked(view: View, node: Node) -> View:
    """The view of the input, with zeros for what a `masked` node has not kept."""
    given = view.buffer
    if given.space != "input" or view.moves:
        raise AssertionError("what comes masked is an input as it is")
    kept = with_zeros(np.ones(view.shape, bool), **node.params)
    gone = np.zeros(given.size, bool)
    gone[_elements(view)] = ~kept
    return replace(view, buffer=_masked(given, gone))


def of_hosts(
    buffers: Iterable[Buffer], hosts: Mapping[Buffer, tuple[Buffer, bool]]
) -> dict[Buffer, tuple[Buffer, bool]]:
    """Of an instance's inputs that come masked, what all instances have, and whether each has a row
    of it. `hosts` is the same of inputs as they are."""
    found = {}
    for buffer in buffers:
        if buffer.masked:
            every, is_row = hosts[buffer.masked.of]
            gone = np.tile(buffer.masked.gone, every.size // buffer.size if is_row else 1)
            found[buffer] = _masked(every, gone), is_row
    return found


def _masked(given: Buffer, gone: np.ndarray) -> Buffer:
    return Buffer(given.dtype, given.size, "input", given.index, masked=Masked(given, gone))


def _elements(view: View) -> np.ndarray:
    """Their numbers in the buffer, in the view's shape."""
    sides = zip(np.indices(view.shape), view.strides, strict=True)
    return sum((index * step for index, step in sides), np.array(view.offset))

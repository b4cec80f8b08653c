"""In which order an elementwise vertex walks its domain, and which dimension lies in vector lanes.

In: the domain's shape and a tuple of strides for each array that spans it. Out: a `Walk` over the
same elements in fewer dimensions. Always: dimensions of one element are gone, neighbours that all
arrays step through evenly are one; the last dimension is the one for lanes. Order is free: no
element reads another's result.
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.codelets.base import LANES
from tilewright.frozen import frozen

_STRIDED = 1.25
"""Cost of one lane read or written alone, in vectors."""


@frozen
class Walk:
    """Sizes from the outermost loop in; for each array a step (in elements) for each size."""

    sizes: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]

    def reordered(self, order: Sequence[int]) -> Walk:
        """The same walk with its dimensions in another order."""
        steps = tuple(tuple(array[i] for i in order) for array in self.steps)
        return Walk(tuple(self.sizes[i] for i in order), steps)


def collapse(
    shape: Sequence[int], strides: Sequence[Sequence[int]], written: int = 0, work: float = 1.0
) -> Walk:
    """`written`: how many arrays, the last ones, are outputs; `work`: cost of the expression."""
    rows = [
        (size, tuple(array[i] for array in strides)) for i, size in enumerate(shape) if size != 1
    ]
    rows.sort(key=lambda row: _distance(row[1], written), reverse=True)
    rows = _merged(rows)
    if rows:
        lanes = min(range(len(rows)), key=lambda i: (_cost(*rows[i], work), -i))
        rows.append(rows.pop(lanes))
    steps = tuple(tuple(row[1][i] for row in rows) for i in range(len(strides)))
    return Walk(tuple(row[0] for row in rows), steps)


def _distance(steps: tuple[int, ...], written: int) -> tuple[int, ...]:
    """How far a step goes: in outputs first."""
    split = len(steps) - written
    return tuple(abs(step) for step in (*steps[split:], *steps[:split]))


def _merged(rows: list[tuple[int, tuple[int, ...]]]) -> list[tuple[int, tuple[int, ...]]]:
    merged: list[tuple[int, tuple[int, ...]]] = []
    for size, steps in rows:
        if merged and all(a == b * size for a, b in zip(merged[-1][1], steps, strict=True)):
            merged[-1] = (merged[-1][0] * size, steps)
        else:
            merged.append((size, steps))
    return merged


def _cost(size: int, steps: tuple[int, ...], work: float) -> float:
    """Of one element, if this dimension lay in lanes."""
    lanes = min(LANES, size)
    strided = 1 + _STRIDED * lanes
    each = {0: 0.1, 1: 1.0, -1: 1.5}
    vectors = -(-size // LANES)
    return vectors * (1 + work + sum(each.get(step, strided) for step in steps)) / size

"""Lines of arrays along an axis, one by one or 16 neighbouring ones at a time.

In: operands that have the same shape but for an axis each (or lack the axis), none of them empty.
Out: loops around a body. Always: lines are taken 16 at a time where one other axis is contiguous
in all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.codelets.base import Operand
from tilewright.codelets.emit.llvm import Function
from tilewright.codelets.emit.loops import in_chunks, walk

Body = Callable[[Function, list[str], int], None]
"""(function, first element of the line in each operand, lines at once or 0 for one as scalars)"""


def lines(
    function: Function,
    operands: Sequence[Operand],
    axes: Sequence[int | None],
    pointers: Sequence[str],
    body: Body,
    *,
    together: bool = True,
) -> None:
    """Write loops over all lines; `together` allows neighbouring lines to be taken at once."""
    shape, strides = _across(operands, axes)
    dtypes = [operand.dtype for operand in operands]
    chosen = _contiguous(shape, strides) if together else None
    counts = [n for d, n in enumerate(shape) if d != chosen]
    steps = [[s for d, s in enumerate(row) if d != chosen] for row in strides]
    with walk(function, counts, pointers, dtypes, steps) as inner:
        if chosen is None:
            body(function, inner, 0)
        else:
            in_chunks(
                function,
                shape[chosen],
                inner,
                dtypes,
                [1] * len(inner),
                lambda chunk, valid: body(function, chunk, valid),
            )


def _across(
    operands: Sequence[Operand], axes: Sequence[int | None]
) -> tuple[list[int], list[list[int]]]:
    """Shape and strides without the axis."""
    rows = list(zip(operands, axes, strict=True))
    strides = [[s for d, s in enumerate(x.strides) if d != axis] for x, axis in rows]
    first, axis = rows[0]
    return [n for d, n in enumerate(first.shape) if d != axis], strides


def _contiguous(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> int | None:
    for d, n in enumerate(shape):
        if n > 1 and all(row[d] == 1 for row in strides):
            return d
    return None

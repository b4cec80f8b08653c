"""Which register tile a contraction uses: rows x columns of accumulators that fill the registers.

In: how many rows and columns there are, and what one step of k costs in loads. Out: `Tiling`, the
runs of equal tiles that cover the rows and the columns. Always: accumulators, one operand's
vectors and one vector of the other fit the registers. The choice never alters a result.

The model counts cycles of a core that does two multiply-adds and two loads a cycle with a latency
of four: enough to rank tiles.
"""

from __future__ import annotations

from functools import lru_cache

from tilewright.frozen import frozen

LATENCY = 4.0
"""Cycles from a multiply-add to the next one on the same accumulator."""


@frozen
class Run:
    """`count` tiles side by side of `size` units each, the first at unit `start`."""

    start: int
    size: int
    count: int


@frozen
class Tiling:
    rows: tuple[Run, ...]
    columns: tuple[Run, ...]


def split(total: int, size: int) -> tuple[Run, ...]:
    """As few tiles of at most `size` as cover `total`, as even as can be: one or two runs."""
    tiles = -(-total // size)
    small, larger = divmod(total, tiles)
    runs = (Run(0, small + 1, larger), Run(larger * (small + 1), small, tiles - larger))
    return tuple(run for run in runs if run.count)


@lru_cache(maxsize=4096)
def choose(
    rows: int,
    columns: int,
    steps: int,
    registers: int,
    *,
    parts: int = 1,
    row_load: float = 0.5,
    column_load: float = 0.5,
    finish: float = 1.0,
    tallest: int = 64,
) -> Tiling:
    """The cheapest tiling of rows x columns accumulators, each of `parts` registers.

    No tile is taller than `tallest` rows.

    `steps` of k are run for each tile; a row costs `row_load` cycles a step and part, a column
    `column_load`; an accumulator costs `finish` cycles at the end. The vectors of the shorter
    side, and one of the other, take a register each.
    """
    best, best_cost = None, 0.0
    for r in range(1, min(rows, registers // parts, tallest) + 1):
        for c in range(1, min(columns, registers // parts) + 1):
            if not _fits(r, c, parts, registers):
                break
            tiling = Tiling(split(rows, r), split(columns, c))
            cost = _cost(tiling, steps, parts, row_load, column_load, finish)
            if best is None or cost < best_cost:
                best, best_cost = tiling, cost
    assert best is not None
    return best


def _fits(r: int, c: int, parts: int, registers: int) -> bool:
    # Parts are taken one after the other: only accumulators stay for all of them.
    return r * c * parts + min(r, c) + 1 <= registers or r * c == 1


def _cost(
    tiling: Tiling, steps: int, parts: int, row_load: float, column_load: float, finish: float
) -> float:
    total = 0.0
    for rows in tiling.rows:
        for columns in tiling.columns:
            r, c = rows.size, columns.size
            loads = (r * row_load + c * column_load) * parts
            # Loads that crowd the ports delay multiply-adds even where they do not bound them.
            step = max(r * c * parts / 2 + 0.1 * loads, loads, LATENCY)
            tile = steps * step + r * c * parts * finish + 8
            total += rows.count * columns.count * tile
    return total + 30 * len(tiling.rows) * len(tiling.columns)

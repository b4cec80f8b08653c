"""LU factors of one matrix, vectors along its columns.

Panels of columns are factored one after the other. Then the columns right of a panel, some at a
time, have its rows exchanged, are solved for in the panel's rows, and have the rest subtracted by
tiles: almost all of the work of a large matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.codelets.emit.vectors import store_scalar
from tilewright.codelets.linalg.lu_columns import Columns

_PANEL = 32
_TOGETHER = 4
"""Columns that are updated together, so that a factor is read once for all."""


class Single(Columns):
    """Writes the whole factorisation."""

    def write(self) -> None:
        function, steps = self.function, min(self.m, self.n)
        with function.loop(0, self.m) as i:
            number = function.let(f"trunc i64 {i.index} to i32")
            store_scalar(function, "int32", number, self.number(self.order, i.index))
        last = steps - steps % _PANEL
        if last:
            with function.loop(0, last, _PANEL) as panel:
                self._panel(panel.index, _PANEL)
        if steps % _PANEL:
            self._panel(str(last), steps % _PANEL)

    def _panel(self, first: str, columns: int) -> None:
        """Factor some columns, from the row of their number on, and bring all others up to them."""
        function = self.function
        end = function.let(f"add i64 {first}, {columns}")
        with function.loop(first, end) as k:
            self.pivot(k.index, first, end)
            self.scale(k.index)
            after = function.let(f"add i64 {k.index}, 1")
            self._columns(after, end, lambda j, count: self.update(k.index, j, count, str(self.m)))
        self.exchange(first, end, "0", first)
        self.exchange(first, end, end, str(self.n))

        def catch_up(j: str, count: int) -> None:
            with function.loop(first, end) as k:
                self.update(k.index, j, count, end)
            if columns == _PANEL:
                self._subtract(first, end, j, count)

        self._columns(end, str(self.n), catch_up)

    def _columns(self, begin: str, end: str, body: Callable[[str, int], None]) -> None:
        """`body` for columns from `begin` to `end`, some at a time, then one by one."""
        function = self.function
        many = function.let(f"sub i64 {end}, {begin}")
        groups = function.let(f"sdiv i64 {many}, {_TOGETHER}")
        rest = function.let(f"add i64 {begin}, {function.let(f'mul i64 {groups}, {_TOGETHER}')}")
        with function.loop(begin, rest, _TOGETHER) as j:
            body(j.index, _TOGETHER)
        with function.loop(rest, end) as j:
            body(j.index, 1)

    def _subtract(self, first: str, end: str, j: str, count: int) -> None:
        """From rows below the panel its columns times their factors."""
        function, tiles = self.function, self.tiles
        factor = tiles.at(self.column(j), first)
        left = self.column(first)
        across = 4 if function.module.features.registers >= 32 else 2

        def tile(row: str, valids: Sequence[int | None]) -> None:
            target = tiles.at(self.column(j), row)
            places = [
                [tiles.at(target, r * tiles.row + c * tiles.width) for c in range(len(valids))]
                for r in range(count)
            ]
            depth = str(_PANEL)
            values, _ = tiles.reduced(count, valids, tiles.at(left, row), factor, depth, places)
            for line, line_places in zip(values, places, strict=True):
                for value, place, valid in zip(line, line_places, valids, strict=True):
                    tiles.store(value, place, valid)

        rows = function.let(f"sub i64 {self.whole}, {end}")
        blocks = function.let(f"sdiv i64 {rows}, {across * tiles.width}")
        size = function.let(f"mul i64 {blocks}, {across * tiles.width}")
        middle = function.let(f"add i64 {end}, {size}")
        with function.loop(end, middle, across * tiles.width) as i:
            tile(i.index, [None] * across)
        with function.loop(middle, self.whole, tiles.width) as i:
            tile(i.index, [None])
        if self.m > self.whole:
            tile(str(self.whole), [self.m - self.whole])

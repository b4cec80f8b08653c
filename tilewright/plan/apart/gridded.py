"""One vertex becomes families over a grid of tiles: the steps of a layout.

In: a call as a problem (`cutting.py`), a layout (`candidates.py`). Out: steps that do the same.
Always: the same sums in the same order.

The last block of a dimension may be shorter: so there is a family for each combination of full and
short blocks. Where k is cut, the blocks' sums are passed on so that each tile adds up a share of
them; without n, as `row_sums.py` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product as every

from tilewright.codelets.reduce import Tree
from tilewright.plan.apart.blocks import Turn, blocks, made
from tilewright.plan.apart.candidates import Layout
from tilewright.plan.apart.cutting import Cutting
from tilewright.plan.apart.grid import Run, runs
from tilewright.plan.apart.row_sums import row_sums
from tilewright.plan.basic import operand
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import (
    Buffer,
    Call,
    Exchange,
    Family,
    Loop,
    Move,
    Step,
    View,
    dense_strides,
    new_var,
)


def steps(cut: Cutting, layout: Layout, around: Turn = ()) -> list[Step]:
    """The families of a layout, in turns if it has several."""
    if layout.serial == 1:
        return list(_grid(cut, layout, cut.problem.n, around))
    turn, share = new_var(), cut.problem.n // layout.serial
    turns = (*around, (turn, "n", share))
    return [Loop(turn, layout.serial, tuple(_grid(cut, layout, share, turns)))]


def _grid(cut: Cutting, layout: Layout, n: int, turn: Turn) -> Iterator[Step]:
    problem = cut.problem
    if layout.share:
        yield from row_sums(cut, layout, turn)
        return
    along = {
        "m": runs(problem.m, layout.m),
        "n": runs(n, layout.n),
        "k": runs(problem.k, layout.k),
    }
    parts = {name: sum(run.count for run in some) for name, some in along.items()}
    apart = _strides(parts, layout)
    if parts["k"] == 1:
        for m, n_run in every(along["m"], along["n"]):
            yield family(cut, {"m": m, "n": n_run, "k": along["k"][0]}, apart, turn)
        return
    sums = [
        Sums(cut, m, n_run, along["k"], apart, turn) for m, n_run in every(along["m"], along["n"])
    ]
    for one in sums:
        yield from one.partial()
    yield Exchange(tuple(one.gather() for one in sums))
    for one in sums:
        yield one.added()


def _strides(parts: dict[str, int], layout: Layout) -> dict[str, int]:
    """How many tiles lie between neighbours along each dimension."""
    inner, outer = ("n", "m") if layout.n_inner else ("m", "n")
    return {inner: 1, outer: parts[inner], "k": parts["m"] * parts["n"]}


def _homes(runs: dict[str, Run], apart: dict[str, int]) -> Homes:
    first = sum(run.block * apart[name] for name, run in runs.items())
    axes = tuple(Axis(run.count, 1, apart[name]) for name, run in runs.items())
    return Homes(first, axes)


def family(cut: Cutting, runs: dict[str, Run], apart: dict[str, int], turn: Turn) -> Family:
    """Whole sums: straight to the results."""
    vars = {name: new_var() for name in runs}
    views = blocks(cut, cut.call.views, runs, vars, turn)
    return Family(
        tuple(vars.values()), tuple(run.count for run in runs.values()), _homes(runs, apart),
        (made(cut.call.codelet, views),),
    )  # fmt: skip


def _shares(rows: int, columns: int, parts: int) -> int:
    """As many as there are parts, or fewer: of whole rows each, or pieces of the only one."""
    length = rows if rows > 1 else columns
    return max(s for s in range(1, parts + 1) if length % s == 0)


class Sums:
    """Blocks' sums, each of some k; then each of those tiles adds up some of the rows.

    A block of (rows, columns) is cut into `shares` runs of elements; tile s of those that have a
    block gets run s of all its parts.
    """

    def __init__(
        self, cut: Cutting, m: Run, n: Run, ks: Sequence[Run], apart: dict[str, int], turn: Turn
    ):
        self.cut, self.grid, self.ks, self.apart, self.turn = cut, {"m": m, "n": n}, ks, apart, turn
        self.parts = sum(k.count for k in ks)
        columns = n.size if len(cut.axes[-1]) > 1 else 1
        self.columns, self.size = columns, m.size * columns
        self.shares = _shares(m.size, columns, self.parts)
        self.run = self.size // self.shares
        dtype, blocks = cut.call.views[0].dtype, m.count * n.count
        size = blocks * self.parts * self.size
        self.sums = Buffer(dtype, size, "home", homes=self._homes(self.parts))
        size = blocks * self.shares * self.parts * self.run
        self.gathered = Buffer(dtype, size, "home", homes=self._homes(self.shares))

    def _homes(self, several: int) -> Homes:
        homes = _homes(self.grid, self.apart)
        return replace(homes, axes=(*homes.axes, Axis(several, 1, self.apart["k"])))

    def _steps(self, several: int, block: int) -> tuple[int, int, int]:
        """From block to block along m, n and the last axis, in elements."""
        return self.grid["n"].count * several * block, several * block, block

    def partial(self) -> Iterator[Family]:
        for k in self.ks:
            runs = {**self.grid, "k": k}
            vars = {name: new_var() for name in runs}
            views = self.cut.call.views[: len(self.cut.axes)]
            *inputs, out = blocks(self.cut, views, runs, vars, self.turn)
            moves = zip(vars.values(), self._steps(self.parts, self.size), strict=True)
            first, strides = k.block * self.size, dense_strides(out.shape)
            target = View(self.sums, out.shape, strides, first, tuple(moves))
            yield Family(
                tuple(vars.values()),
                tuple(run.count for run in runs.values()),
                _homes(runs, self.apart),
                (made(self.cut.call.codelet, [*inputs, target]),),
            )

    def gather(self) -> Move:
        """Run s of part l of a block goes to place l of share s of it."""
        counts = (self.grid["m"].count, self.grid["n"].count, self.parts)
        i, j, part = (new_var() for _ in counts)
        m, n, block = self._steps(self.parts, self.size)
        shape, run = (self.shares, self.run), self.run
        source = View(self.sums, shape, (run, 1), 0, ((i, m), (j, n), (part, block)))
        m, n, block = self._steps(self.shares, self.parts * run)
        target = View(self.gathered, shape, (block, 1), 0, ((i, m), (j, n), (part, run)))
        return Move(source, target, (i, j, part), counts)

    def added(self) -> Family:
        """The tree over the parts of a run of elements: of whole rows, or of a piece of one."""
        vars = {name: new_var() for name in (*self.grid, "s")}
        cut = replace(self.cut, axes=(self.cut.axes[-1],))
        result = self.cut.call.views[len(self.cut.axes) - 1]
        (out,) = blocks(cut, [result], self.grid, vars, self.turn)
        shape, strides, step = _share(out, self.run, self.columns)
        moves = tuple(move for move in (*out.moves, (vars["s"], step)) if move[1])
        target = View(out.buffer, shape, strides, out.offset, moves)
        moves = zip(vars.values(), self._steps(self.shares, self.parts * self.run), strict=True)
        inside = (self.run, *dense_strides(shape))
        source = View(self.gathered, (self.parts, *shape), inside, 0, tuple(moves))
        homes = self._homes(self.shares)
        call = Call(Tree(operand(source), operand(target)), (source, target))
        return Family(tuple(vars.values()), homes.extents, homes, (call,))


def _share(out: View, run: int, columns: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Shape, strides and step from share to share, of runs of a block's elements."""
    if not out.shape:
        return (), (), 0
    if len(out.shape) == 1:
        return (run,), out.strides, run * out.strides[0]
    if run % columns == 0:
        rows = run // columns
        return (rows, columns), out.strides, rows * out.strides[0]
    assert columns % run == 0
    return (run,), out.strides[1:], run * out.strides[1]

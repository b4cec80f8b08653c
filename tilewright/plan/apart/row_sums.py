"""Sums of a matrix's rows, or of its columns, whose terms are cut: parts that lie as rows do.

In: a call as a problem without n, a layout with a `share`. Out: steps. Always: the same sums in the
same order.

A part of k, and the last one, which is shorter, has tiles of its own, as many blocks of rows as
make its work as long as the others': their sums lie row after row. So any tile can fetch any rows
of every part: each gets `share` neighbouring ones and adds up their parts. Blocks differ by a row
at most, and are even in number: two neighbours on a bus listen to the same terms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tilewright.codelets.reduce import Tree
from tilewright.frozen import frozen
from tilewright.plan.apart.blocks import Turn, blocks, made
from tilewright.plan.apart.candidates import Layout, even_blocks
from tilewright.plan.apart.cutting import Cutting
from tilewright.plan.apart.grid import Run, runs
from tilewright.plan.basic import operand
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import (
    Buffer,
    Call,
    Exchange,
    Family,
    Move,
    Step,
    View,
    dense_strides,
    new_var,
)


@frozen
class _Part:
    """Blocks of rows `m` of the parts `k`, from a tile on, those of a part `apart` tiles."""

    k: Run
    m: Run
    first: int
    apart: int
    sums: Buffer

    @property
    def rows(self) -> int:
        return self.m.count * self.m.size

    @property
    def homes(self) -> Homes:
        assert self.sums.homes is not None
        return self.sums.homes


def row_sums(cut: Cutting, layout: Layout, turn: Turn = ()) -> Iterator[Step]:
    problem, share = cut.problem, layout.share
    found = list(_parts(cut, layout))
    for part in found:
        yield _partial(cut, part, turn)
    count = -(-problem.k // layout.k)
    homes = Homes(0, (Axis(-(-problem.m // share)),))
    gathered = Buffer(found[0].sums.dtype, homes.blocks * count * share, "home", homes=homes)
    yield Exchange(tuple(m for part in found for m in _gather(part, gathered, count, share)))
    for run in runs(problem.m, share):
        yield _added(cut, run, gathered, count, share, turn)


def _parts(cut: Cutting, layout: Layout) -> Iterator[_Part]:
    dtype, first = cut.call.views[0].dtype, 0
    for k, rows in zip(runs(cut.problem.k, layout.k), (layout.m, layout.last), strict=False):
        apart = even_blocks(cut.problem.m, rows if k.size == layout.k else layout.last)
        for m in _balanced(cut.problem.m, apart):
            homes = Homes(first + m.block, (Axis(k.count, 1, apart), Axis(m.count)))
            sums = Buffer(dtype, homes.blocks * m.size, "home", homes=homes)
            yield _Part(k, m, first, apart, sums)
        first += k.count * apart


def _balanced(length: int, count: int) -> list[Run]:
    """So many blocks, the first of them longer by one where need be."""
    size, longer = divmod(length, count)
    found = [Run(0, longer, size + 1, 0)] if longer else []
    return [*found, Run(longer, count - longer, size, longer * (size + 1))]


def _partial(cut: Cutting, part: _Part, turn: Turn) -> Family:
    vars = {"k": new_var(), "m": new_var()}
    views = cut.call.views[: len(cut.axes)]
    *inputs, out = blocks(cut, views, {"k": part.k, "m": part.m}, vars, turn)
    steps = zip(vars.values(), (part.rows, part.m.size), strict=True)
    target = View(part.sums, out.shape, dense_strides(out.shape), 0, tuple(steps))
    call = made(cut.call.codelet, [*inputs, target])
    return Family(tuple(vars.values()), (part.k.count, part.m.count), part.homes, (call,))


def _gather(part: _Part, gathered: Buffer, count: int, share: int) -> Iterator[Move]:
    """Rows of each part to the tile that has their share."""
    for row, rows, several in _pieces(part.m.start, part.rows, share):
        tile = new_var()
        shape = (part.k.count, rows)
        steps = ((tile, share),)
        source = View(part.sums, shape, (part.rows, 1), row - part.m.start, steps)
        at = row // share * count * share + part.k.block * share + row % share
        target = View(gathered, shape, (share, 1), at, ((tile, count * share),))
        yield Move(source, target, (tile,), (several,))


def _pieces(start: int, length: int, share: int) -> Iterator[tuple[int, int, int]]:
    """Rows cut where shares end: the first row, how many, and of how many shares one by one."""
    head = min(length, -start % share)
    several, tail = divmod(length - head, share)
    for row, rows, times in (
        (start, head, 1),
        (start + head, share, several),
        (start + length - tail, tail, 1),
    ):
        if rows and times:
            yield row, rows, times


def _added(cut: Cutting, run: Run, gathered: Buffer, count: int, share: int, turn: Turn) -> Family:
    """The tree over the parts of each tile's rows."""
    tile, result = new_var(), len(cut.axes) - 1
    whole = replace(cut, axes=cut.axes[result:])
    (out,) = blocks(whole, [cut.call.views[result]], {"m": run}, {"m": tile}, turn)
    inside = (share, *dense_strides(out.shape))
    at, step = run.block * count * share, count * share
    source = View(gathered, (count, *out.shape), inside, at, ((tile, step),))
    call = Call(Tree(operand(source), operand(out)), (source, out))
    return Family((tile,), (run.count,), Homes(run.block, (Axis(run.count),)), (call,))

"""Whether a program with homes is sound: said before it runs, from families and not vertices.

In: a program whose buffers have homes, and how many bytes a tile has. Out: sentences, none if

- every operand of a vertex is at home on the vertex's tile,
- no two instances of a family write one element, and none writes one of several copies,
- buffers that live at the same time, and have a tile in common, do not overlap,
- no tile needs more bytes than it has, and there are no others.

Affine: the tile of an instance, and of the block that it touches, is a sum of functions of one
variable each, so that a table for each variable decides; grids are never walked through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tilewright.plan.homes import Homes, apart
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Family,
    Loop,
    Pipeline,
    Program,
    Replicas,
    Step,
    Var,
    View,
    While,
)
from tilewright.plan.memory import lifetimes

WALKED = 1 << 20
"""Elements of a family's results that are looked at one by one where no rule decides."""


def faults(program: Program, memory: int) -> list[str]:
    """What is wrong, in the order of the steps."""
    found = [
        fault
        for family, loops in _families(program.steps, {})
        for fault in _of(family, loops, program.tiles)
    ]
    found += [*_strangers(program.steps), *_overlaps(program)]
    for buffer in program.offsets:
        last = int(buffer.homes.tiles()[-1]) if buffer.homes else 0
        if last >= program.tiles:
            found.append(f"buffer {buffer.id}: tile {last} of {program.tiles}")
    if program.tile_bytes > memory:
        more = program.tile_bytes - memory
        found.append(f"a tile needs {program.tile_bytes} bytes, {more} more than it has")
    return found


Counts = Mapping[Var, int]


def _families(steps: Sequence[Step], loops: Counts) -> Iterator[tuple[Family, Counts]]:
    """Each with the counts of the loops around it."""
    for step in steps:
        match step:
            case Family():
                yield step, loops
            case Loop(var, count, body) | Replicas(var, count, _, _, body):
                yield from _families(body, {**loops, var: count})
            case Pipeline(var, count, _, parts, _):
                for part in parts:
                    yield from _families(part, {**loops, var: count})
            case While(condition, _, body):
                yield from _families((*condition, *body), loops)
            case Branch(_, cases):
                for case in cases:
                    yield from _families(case, loops)


def _strangers(steps: Sequence[Step]) -> Iterator[str]:
    """Of pipelines, parts that have tiles in common."""
    for step in steps:
        if isinstance(step, Pipeline):
            tiles = [
                {int(t) for family, _ in _families(part, {}) for t in family.homes.tiles()}
                for part in step.parts
            ]
            for (one, mine), (other, theirs) in combinations(enumerate(tiles), 2):
                if both := mine & theirs:
                    yield f"parts {one} and {other} of a pipeline are both on tile {min(both)}"


def _of(family: Family, loops: Counts, tiles: int) -> Iterator[str]:
    if tuple(family.counts) != family.homes.extents:
        yield f"a family of {family.counts} has homes for {family.homes.extents}"
        return
    grid = dict(zip(family.vars, family.counts, strict=True))
    last = int(family.homes.tiles()[-1])
    if last >= tiles:
        yield f"a family is on tile {last} of {tiles}"
    for view, writes, inner in _touched(family.steps, {}):
        if view.buffer.space in ("tile", "pattern") or not view.size:
            continue
        if view.buffer.homes is None:
            yield f"a vertex touches {view.buffer.space} {view.buffer.index}, which has no home"
            continue
        fault = away(view, family, {**loops, **inner})
        if fault:
            yield f"buffer {view.buffer.id}: {fault}"
        if writes and view.buffer.homes.copies:
            yield f"buffer {view.buffer.id}: a vertex writes one of several copies"
        if writes and _may_meet(view, grid, inner):
            yield f"buffer {view.buffer.id}: two instances write the same elements"


def _touched(steps: Sequence[Step], loops: Counts) -> Iterator[tuple[View, bool, Counts]]:
    """Views of an instance, whether it writes them, and the counts of its own loops."""
    for step in steps:
        match step:
            case Call(codelet, views):
                for position, view in enumerate(views):
                    yield view, position >= len(codelet.inputs), loops
            case Loop(var, count, body):
                yield from _touched(body, {**loops, var: count})
            case While(condition, test, body):
                yield test, False, loops
                yield from _touched((*condition, *body), loops)
            case Branch(index, cases):
                yield index, False, loops
                for case in cases:
                    yield from _touched(case, loops)


# Where a view is, against where its instance runs.


@dataclass
class _Reach:
    """Elements of a block that a view touches, and the blocks, by what moves it there."""

    low: int
    high: int
    blocks: dict[Var, int]


def _reach(view: View, block: int, counts: Counts) -> _Reach | None:
    """None where a variable moves it by neither whole blocks nor within one."""
    reach = _Reach(view.offset, view.offset, {})
    steps = [(n, step) for n, step in zip(view.shape, view.strides, strict=True)]
    for var, step in view.moves:
        count = counts.get(var)
        if count is None:
            return None
        if count > 1 and step % block == 0 and step:
            reach.blocks[var] = reach.blocks.get(var, 0) + step // block
        else:
            steps.append((count, step))
    for n, step in steps:
        reach.low += min(0, (n - 1) * step)
        reach.high += max(0, (n - 1) * step)
    return reach


def away(view: View, family: Family, loops: Counts) -> str:
    """What keeps a view of placed blocks from being at home where its instance runs, or "".

    `loops` are all that move it beside the family, with their counts.
    """
    homes, block = view.buffer.homes, view.buffer.block
    assert homes is not None
    counts = {**loops, **dict(zip(family.vars, family.counts, strict=True))}
    reach = _reach(view, block, counts)
    if reach is None:
        return "what moves a view is no loop around it"
    first, inside = divmod(reach.low, block)
    if inside + reach.high - reach.low >= block:
        return f"a view reaches over the end of a block of {block} elements"
    if not 0 <= first < homes.blocks:
        return f"a view of block {first} of {homes.blocks}"
    tables = dict(_instance_tables(family))
    gap = np.array([family.homes.first - homes.first], np.int64)
    along = {var: _axis_of(blocks, homes) for var, blocks in reach.blocks.items()}
    for number, (axis, step) in enumerate(zip(homes.axes, homes.steps, strict=True)):
        at, here = first // step % axis.extent, np.zeros(1, np.int64)
        moving = {v: q // step for v, q in reach.blocks.items() if along[v] == number}
        own = np.zeros(1, np.int64)
        for var, by in moving.items():
            here = (here[:, None] + np.arange(counts[var]) * by).reshape(-1)
            table = tables.pop(var, np.zeros(counts[var], np.int64))
            own = (own[:, None] + table).reshape(-1)
            if here.size > WALKED:
                return "too many variables move a view along one axis"
        if (at + here).min() < 0 or (at + here).max() >= axis.extent:
            return f"a view of block {(at + here).max()} of {axis.extent} along an axis"
        gap = _sums(gap, own - (at + here) // axis.per_tile * axis.stride)
    for table in tables.values():
        gap = _sums(gap, table)
    strangers = gap[~np.isin(gap, homes.copy_tiles())]
    return f"it is {abs(strangers[0])} tiles away from an instance" if strangers.size else ""


def _axis_of(blocks: int, homes: Homes) -> int:
    """The axis that a move by so many blocks goes along: the first whose step divides it."""
    rows = enumerate(zip(homes.axes, homes.steps, strict=True))
    found = (d for d, (axis, step) in rows if axis.extent > 1 and blocks % step == 0)
    return next(found, len(homes.axes) - 1)


def _instance_tables(family: Family) -> Iterator[tuple[Var, np.ndarray]]:
    """For each variable how much further its values are than the first tile."""
    for var, axis in zip(family.vars, family.homes.axes, strict=True):
        yield var, np.arange(axis.extent) // axis.per_tile * axis.stride


def _sums(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """All sums of one of each."""
    return np.unique(np.unique(some)[:, None] + np.unique(others))


# Who writes what.


def _may_meet(view: View, grid: Counts, inner: Counts) -> bool:
    """Whether two instances may write one element of a view."""
    moves = {var: 0 for var, count in grid.items() if count > 1}
    own = [(n, abs(s)) for n, s in zip(view.shape, view.strides, strict=True) if n > 1 and s]
    for var, step in view.moves:
        if var in moves:
            moves[var] += step
        elif inner.get(var, 1) > 1 and step:
            own.append((inner[var], abs(step)))
    between = [(grid[var], abs(step)) for var, step in moves.items()]
    if any(step == 0 for _, step in between):
        return True
    hull = sum((n - 1) * step for n, step in own)
    if _nests(between, hull) or _nests([*between, *own], 0):
        return False
    if np.prod([n for n, _ in (*between, *own)], dtype=float) > WALKED:
        return True
    mine = np.zeros(1, np.int64)
    for n, step in own:
        mine = np.unique(mine[:, None] + np.arange(n) * step)
    every = mine
    for n, step in between:
        every = (every[:, None] + np.arange(n) * step).reshape(-1)
    return np.unique(every).size < every.size


def _nests(dimensions: Sequence[tuple[int, int]], span: int) -> bool:
    """Whether each dimension steps over all that the shorter ones span."""
    for n, step in sorted(dimensions, key=lambda row: row[1]):
        if step <= span:
            return False
        span += (n - 1) * step
    return True


# Memory.


def _overlaps(program: Program) -> Iterator[str]:
    lives = lifetimes(program.steps)
    rows = [(b, program.offsets[b], life) for b, life in lives.items() if b in program.offsets]
    for (one, at, life), (other, there, its) in combinations(rows, 2):
        clear = at + one.tile_bytes <= there or there + other.tile_bytes <= at
        if clear or life.first > its.last or its.first > life.last:
            continue
        if _share_a_tile(one, other):
            yield f"buffers {one.id} and {other.id} overlap while both live"


def _share_a_tile(one: Buffer, other: Buffer) -> bool:
    if one.homes is None or other.homes is None:
        return True
    return not apart(one.homes, other.homes)

"""One vertex becomes families over all tiles: its layout by cost, its steps.

In: a call of tile 0 in a program for tiles that share no memory; the machine. Out: steps that do
the same, or None where one tile does it best. Always: the same sums in the same order.

A product, or a sum, is cut into a grid of blocks (`candidates.py`), the last block of a dimension
shorter: so there is a family for each combination of full and short blocks. Where k is cut, the
blocks' sums are passed on so that each tile adds up a share of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product as every

import numpy as np

from tilewright.codelets.base import Codelet
from tilewright.codelets.contract import ContractOuter, ContractVector
from tilewright.codelets.reduce import Reduce, Tree
from tilewright.errors import CapacityError
from tilewright.machine.machine import Machine
from tilewright.plan.again import made_again
from tilewright.plan.basic import operand
from tilewright.plan.candidates import TURNS, Candidates, Layout, Problem, alone, candidates
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Exchange,
    Family,
    Loop,
    Map,
    Move,
    Spread,
    Step,
    Var,
    View,
    While,
    dense_strides,
    new_var,
)
from tilewright.plan.merged import merged
from tilewright.plan.slots import vertex

Dimensions = tuple[str, ...]
"""Which of m, n and k each axis of an operand is."""


@dataclass(frozen=True)
class Cutting:
    """A vertex as a problem: the dimensions of each of its views."""

    call: Call
    problem: Problem
    axes: tuple[Dimensions, ...]


def cutting(call: Call) -> Cutting | None:
    """How a grid may cut it; None: not at all."""
    if isinstance(call.codelet, Reduce) and len(call.codelet.shape) > 2:
        call = merged(call) or call
    codelet, views = call.codelet, call.views
    match codelet:
        case ContractOuter() if not codelet.batch:
            beside = (("m", "n"),) * (len(codelet.beside) + len(codelet.outputs))
            axes = (("m", "k"), ("k", "n"), *beside)
            whole = codelet.epilogue is not None or codelet.out.dtype != codelet.sum_dtype
            return _cutting(call, axes, ("mk", "kn"), whole)
        case ContractVector() if not codelet.batch:
            whole = codelet.out.dtype != codelet.sum_dtype
            return _cutting(call, (("m", "k"), ("k",), ("m",)), ("mk", "k"), whole)
        case Reduce() if len(codelet.shape) <= 2 and len(codelet.axes) == 1:
            places = any(step.op == "iota" for step in codelet.expression.instructions)
            if places or len(codelet.outputs) > 1 or not codelet.inputs:
                return None  # it asks where it is, or stores what it sums, or sums constants
            axes = tuple("k" if i in codelet.axes else "m" for i in range(len(codelet.shape)))
            read, kept = len(views) - 1, tuple(name for name in axes if name == "m")
            whole = codelet.kind != "sum" or views[-1].dtype in ("float16", "bfloat16")
            return _cutting(call, ((axes,) * read) + (kept,), ("".join(axes),) * read, whole)
    return None


def _cutting(
    call: Call, axes: tuple[Dimensions, ...], sides: tuple[str, ...], whole: bool
) -> Cutting:
    sizes = {"m": 1, "n": 1, "k": 1}
    for view, names in zip(call.views, axes, strict=False):
        sizes.update(zip(names, view.shape, strict=True))
    leaf: int = call.codelet.leaf  # type: ignore[attr-defined]
    problem = Problem(sizes["m"], sizes["n"], sizes["k"], call.views[0].dtype, sides, whole, leaf)
    return Cutting(call, problem, axes)


def distributed(call: Call, machine: Machine, around: Around | None = None) -> list[Step] | None:
    """Raises `CapacityError` where no way of a product fits the tiles."""
    found = cutting(call)
    if found is None or not all(view.size for view in call.views):
        return None
    if around is not None:
        views = call.views[: len(found.problem.sides)]
        fixed = tuple(around.leaves(view) for view in views)
        found = replace(found, problem=replace(found.problem, fixed=fixed))
    if machine.chip.exchange.mesh is not None:
        afar = tuple(view.buffer.space == "input" for view in call.views[: len(found.axes) - 1])
        found = replace(found, problem=replace(found.problem, afar=afar))
    by_one = vertex(call.codelet, machine.tile)
    one_tile = alone(found.problem, by_one, machine)
    rounds = 2 * (machine.chip.sync_cycles + machine.chip.exchange.overhead_cycles)
    room = int(machine.tile.memory * ROOM)
    fits = found.problem.total <= room // 2
    if fits and one_tile <= rounds + machine.tile.call:
        return None
    ways = candidates(found.problem, machine)
    number = ways.best(room)
    if number is None:
        return _by_rows(found, machine, room) or _fail(ways, machine)
    if fits and one_tile <= ways.cycles[number]:
        return None
    return steps(found, ways.layout(number))


def _by_rows(cut: Cutting, machine: Machine, room: int) -> list[Step] | None:
    """Where not even turns along n help: in turns along m as well, as few as fit."""
    for turns in TURNS[1:]:
        if cut.problem.m % turns:
            continue
        problem = replace(cut.problem, m=cut.problem.m // turns)
        ways = candidates(problem, machine)
        number = ways.best(room - cut.problem.item * cut.problem.m * cut.problem.n // machine.tiles)
        if number is not None:
            turn = new_var()
            share = replace(cut, problem=problem)
            inside = steps(share, ways.layout(number), ((turn, "m", problem.m),))
            return [Loop(turn, turns, tuple(inside))]
    return None


def _fail(ways: Candidates, machine: Machine) -> list[Step]:
    raise CapacityError(_too_large(ways, machine))


@dataclass(frozen=True)
class Around:
    """The innermost loop around steps: what it writes."""

    written: frozenset[Buffer]

    def leaves(self, view: View) -> bool:
        """Whether a view is the same in every turn."""
        return view.buffer not in self.written and not view.moves


def expanded(
    steps: Sequence[Step], machine: Machine, around: Around | None = None
) -> tuple[Step, ...]:
    """Work of one tile that several do better, cut into a grid."""
    found: list[Step] = []
    for step in steps:
        match step:
            case Call():
                found += distributed(step, machine, around) or [step]
            case Loop(_, _, body):
                inside = Around(frozenset(_written(body)))
                found.append(replace(step, steps=expanded(body, machine, inside)))
            case While(condition, test, body):
                inside = Around(frozenset(_written((*condition, *body))))
                first, rest = (expanded(some, machine, inside) for some in (condition, body))
                found.append(While(first, test, rest))
            case Branch(index, cases):
                bodies = tuple(expanded(case, machine, around) for case in cases)
                found.append(Branch(index, bodies))
            case _:
                found.append(step)
    return tuple(found)


def _written(steps: Sequence[Step]) -> Iterator[Buffer]:
    for step in steps:
        match step:
            case Call(codelet, views):
                yield from (view.buffer for view in views[len(codelet.inputs) :])
            case Loop(_, _, body) | Spread(_, _, body) | Map(_, _, body) | Family(_, _, _, body):
                yield from _written(body)
            case While(condition, _, body):
                yield from _written((*condition, *body))
            case Branch(_, cases):
                for case in cases:
                    yield from _written(case)


ROOM = 0.9
"""Of a tile's memory, for operands and results; code and lists of messages take the rest."""


def _too_large(ways: Candidates, machine: Machine) -> str:
    problem, least = ways.problem, int(np.argmin(ways.bytes))
    layout, needed = ways.layout(least), int(ways.bytes[least])
    chips = -(-problem.total // int(machine.chip.memory * ROOM))
    help = (
        f"{2 * chips} such chips" if chips > machine.chips else "shorter blocks of rows at a time"
    )
    return (
        f"{machine.name}: a product of {problem.m} x {problem.k} by {problem.k} x {problem.n} "
        f"{problem.dtype} does not fit: at best, in blocks of {layout.m} x {layout.k} and "
        f"{layout.k} x {layout.n}, a tile needs {needed:,} bytes of {machine.tile.memory:,}; "
        f"{help}, or fewer bits a number, would help"
    )


def steps(cut: Cutting, layout: Layout, around: Turn = ()) -> list[Step]:
    """The families of a layout, in turns if it has several."""
    if layout.serial == 1:
        return list(_grid(cut, layout, cut.problem.n, around))
    turn, share = new_var(), cut.problem.n // layout.serial
    turns = (*around, (turn, "n", share))
    return [Loop(turn, layout.serial, tuple(_grid(cut, layout, share, turns)))]


@dataclass(frozen=True)
class _Run:
    """`count` blocks of `size` along a dimension, the first is number `block`, at `start`."""

    block: int
    count: int
    size: int
    start: int


def _runs(length: int, size: int) -> list[_Run]:
    full, rest = divmod(length, size)
    found = [_Run(0, full, size, 0)] if full else []
    return found + ([_Run(full, 1, rest, full * size)] if rest else [])


Turn = tuple[tuple[Var, str, int], ...]
"""Loops around a grid: along which dimension each goes on, and by how much."""


def _grid(cut: Cutting, layout: Layout, n: int, turn: Turn) -> Iterator[Step]:
    problem = cut.problem
    runs = {
        "m": _runs(problem.m, layout.m),
        "n": _runs(n, layout.n),
        "k": _runs(problem.k, layout.k),
    }
    parts = {name: sum(run.count for run in some) for name, some in runs.items()}
    apart = _strides(parts, layout)
    if parts["k"] == 1:
        for m, n_run in every(runs["m"], runs["n"]):
            yield _family(cut, {"m": m, "n": n_run, "k": runs["k"][0]}, apart, turn)
        return
    sums = [
        _Sums(cut, m, n_run, runs["k"], apart, turn) for m, n_run in every(runs["m"], runs["n"])
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


def _homes(runs: dict[str, _Run], apart: dict[str, int]) -> Homes:
    first = sum(run.block * apart[name] for name, run in runs.items())
    axes = tuple(Axis(run.count, 1, apart[name]) for name, run in runs.items())
    return Homes(first, axes)


def _family(cut: Cutting, runs: dict[str, _Run], apart: dict[str, int], turn: Turn) -> Family:
    """Whole sums: straight to the results."""
    vars = {name: new_var() for name in runs}
    views = _blocks(cut, cut.call.views, runs, vars, turn)
    return Family(
        tuple(vars.values()), tuple(run.count for run in runs.values()), _homes(runs, apart),
        (_call(cut.call.codelet, views),),
    )  # fmt: skip


def _call(codelet: Codelet, views: Sequence[View]) -> Call:
    """Without scratch memory: it is lent for copies that only a cache asks for."""
    return Call(made_again(codelet, views), tuple(views))


def _blocks(
    cut: Cutting, views: Sequence[View], runs: dict[str, _Run], vars: dict[str, Var], turn: Turn
) -> list[View]:
    """Of each view the block of an instance."""
    found = []
    for view, names in zip(views, cut.axes, strict=False):
        shape, offset = list(view.shape), view.offset
        moves = list(view.moves)
        for axis, name in enumerate(names):
            run, stride = runs[name], view.strides[axis]
            shape[axis] = run.size
            offset += run.start * stride
            moves.append((vars[name], run.size * stride))
            moves += [(var, share * stride) for var, along, share in turn if name == along]
        moves = [(var, step) for var, step in moves if step]
        found.append(replace(view, shape=tuple(shape), offset=offset, moves=tuple(moves)))
    return found


def _shares(rows: int, columns: int, parts: int) -> int:
    """As many as there are parts, or fewer: of whole rows each, or pieces of the only one."""
    length = rows if rows > 1 else columns
    return max(s for s in range(1, parts + 1) if length % s == 0)


class _Sums:
    """Blocks' sums, each of some k; then each of those tiles adds up some of the rows.

    A block of (rows, columns) is cut into `shares` runs of elements; tile s of those that have a
    block gets run s of all its parts.
    """

    def __init__(
        self, cut: Cutting, m: _Run, n: _Run, ks: Sequence[_Run], apart: dict[str, int], turn: Turn
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
            *inputs, out = _blocks(self.cut, views, runs, vars, self.turn)
            moves = zip(vars.values(), self._steps(self.parts, self.size), strict=True)
            first, strides = k.block * self.size, dense_strides(out.shape)
            target = View(self.sums, out.shape, strides, first, tuple(moves))
            yield Family(
                tuple(vars.values()),
                tuple(run.count for run in runs.values()),
                _homes(runs, self.apart),
                (_call(self.cut.call.codelet, [*inputs, target]),),
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
        (out,) = _blocks(cut, [result], self.grid, vars, self.turn)
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

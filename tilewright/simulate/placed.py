"""The interpreter of programs with homes: every tile has its own bytes, and nothing else.

In: a program of a machine whose tiles share no memory, and the arrays of its inputs. Out: what
`run.simulate` gives. Always: a vertex that touches what is not at home on its tile raises
`RemoteError`; races, bytes that nobody brought and exchanges that no sync precedes are sentences
among `races`. For tests, on machines of a few small tiles: `cycles.py` times programs of any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tilewright.codelets.base import Codelet
from tilewright.graph.ir import numpy_dtype
from tilewright.plan import views
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Exchange,
    Family,
    Loop,
    Move,
    Pipeline,
    Program,
    Replicas,
    Step,
    Sync,
    Var,
    View,
    While,
)
from tilewright.plan.masked import gone
from tilewright.simulate.arenas import Arena, Arenas


class RemoteError(ValueError):
    """A vertex touches what is not at home on its tile."""


class Placed:
    """Where a run stands; `seed` shuffles instances of a family."""

    def __init__(self, program: Program, inputs: Sequence[np.ndarray], seed: int | None):
        self.program = program
        self.random = None if seed is None else np.random.default_rng(seed)
        self.arenas = Arenas([Arena.of(program.tile_bytes) for _ in range(program.tiles)])
        # A state is an input and an output: one array.
        self.host = {b: np.zeros(b.size, numpy_dtype(b.dtype)) for b in program.outputs}
        for buffer, array in zip(program.inputs, inputs, strict=True):
            self.host[buffer] = np.array(array, numpy_dtype(buffer.dtype)).reshape(-1)
        self.places: dict[Buffer, tuple[np.ndarray, np.ndarray]] = {}
        self.variables: dict[Var, int] = {}
        self.calls = 0
        self.computed = False
        self.shift = 0
        """How many tiles further the present chip's are."""

    # Steps of all tiles together.

    def steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            match step:
                case Family():
                    self.family(step)
                case Exchange():
                    self.exchange(step)
                case Sync():
                    self.arenas.sync()
                    self.computed = False
                case Loop(var, count, body):
                    for self.variables[var] in range(count):
                        self.steps(body)
                case Replicas(var, count, chips, stride, body):
                    for i in range(count):
                        self.variables[var], self.shift = i, i % chips * stride
                        self.steps(body)
                    self.shift = 0
                case Pipeline():
                    self.pipeline(step)
                case While(condition, test, body):
                    self.steps(condition)
                    while bool(self.look(test)):
                        self.steps(body)
                        self.steps(condition)
                case Branch(index, cases):
                    number = int(self.look(index))
                    self.steps(cases[min(max(number, 0), len(cases) - 1)])
                case _:
                    raise RemoteError(f"{type(step).__name__} outside of a family has no home")

    def pipeline(self, step: Pipeline) -> None:
        """Parts share no tile, so that in which order they take a turn makes no difference."""
        for turn in range(step.turns):
            working = list(step.working(turn))
            for part, self.variables[step.var] in working:
                self.steps(step.parts[part])
                self.computed = False
            self.arenas.sync()
            ready = [part for part, _ in working if part < len(step.passed)]
            self.exchange(Exchange(tuple(move for part in ready for move in step.passed[part])))

    def look(self, view: View) -> np.ndarray:
        """A scalar that steers: its home tells all others."""
        return self.gathered(view, None).reshape(())

    def family(self, family: Family) -> None:
        self.computed = True
        scratch = {view.buffer for view in _views(family.steps) if view.buffer.space == "tile"}
        number = np.arange(family.homes.blocks)
        if self.random is not None:
            number = self.random.permutation(number)
        tiles = family.homes.tile(number) + self.shift
        for instance, tile in zip(number.tolist(), tiles.tolist(), strict=True):
            point = np.unravel_index(instance, family.counts) if family.counts else ()
            self.variables.update(zip(family.vars, map(int, point), strict=True))
            for buffer in scratch:
                self.arenas.forget(tile, self.program.offsets[buffer], buffer.tile_bytes)
            self.alone(family.steps, tile, self.arenas.tile(tile))

    def exchange(self, exchange: Exchange) -> None:
        """All is read before anything is written."""
        if self.computed:
            self.arenas.faults.append("an exchange follows vertices without a sync between")
        brought = []
        for move in exchange.moves:
            for _ in self.points(move):
                actor = self.arenas.message()
                values = self.gathered(move.source, actor)
                brought.append((move.target, self.elements(move.target), actor, values))
        for target, elements, actor, values in brought:
            self.scattered(target.buffer, elements, actor, values)
        self.arenas.sync()

    def points(self, move: Move) -> Iterator[None]:
        for point in np.ndindex(*move.counts):
            self.variables.update(zip(move.vars, point, strict=True))
            yield

    # Elements of buffers, wherever they are.

    def elements(self, view: View) -> np.ndarray:
        """Their numbers, row-major in the view's shape."""
        found = views.elements(view, self.variables)
        if found.size and (found.min() < 0 or found.max() >= view.buffer.size):
            raise ValueError(f"elements {found.min()} ... {found.max()} of {view.buffer.size}")
        return found.reshape(-1)

    def addresses(self, buffer: Buffer, elements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The tile of the first copy of each element, and the addresses of its bytes there."""
        if buffer not in self.places:
            self.places[buffer] = _places(buffer)
        tiles, start = (column[elements] for column in self.places[buffer])
        start += self.program.offsets[buffer]
        return tiles + self.shift, start[:, None] + np.arange(numpy_dtype(buffer.dtype).itemsize)

    def gathered(self, view: View, actor: int | None) -> np.ndarray:
        """By a message, or by the tile itself that has it."""
        elements, dtype = self.elements(view), numpy_dtype(view.dtype)
        if view.buffer in self.host:
            return self.host[view.buffer][elements]
        tiles, where = self.addresses(view.buffer, elements)
        found = np.zeros(where.shape, np.uint8)
        for tile, mine in _by_tile(tiles):
            by = self.arenas.tile(tile) if actor is None else actor
            found[mine] = self.arenas.read(tile, where[mine], view.buffer, by)
        return found.reshape(-1).view(dtype)

    def scattered(
        self, buffer: Buffer, elements: np.ndarray, actor: int, values: np.ndarray
    ) -> None:
        if buffer in self.host:
            self.host[buffer][elements] = values
            return
        assert buffer.homes is not None
        tiles, where = self.addresses(buffer, elements)
        data = values.view(np.uint8).reshape(where.shape)
        for tile, mine in _by_tile(tiles):
            for further in buffer.homes.copy_tiles().tolist():
                self.arenas.write(tile + further, where[mine], buffer, actor, data[mine])

    # One tile's steps.

    def alone(self, steps: Sequence[Step], tile: int, actor: int) -> None:
        for step in steps:
            match step:
                case Call():
                    self.call(step, tile, actor)
                case Loop(var, count, body):
                    for self.variables[var] in range(count):
                        self.alone(body, tile, actor)
                case While(condition, test, body):
                    self.alone(condition, tile, actor)
                    while self.local(test, tile, actor).reshape(()):
                        self.alone(body, tile, actor)
                        self.alone(condition, tile, actor)
                case Branch(index, cases):
                    number = int(self.local(index, tile, actor).reshape(()))
                    self.alone(cases[min(max(number, 0), len(cases) - 1)], tile, actor)
                case _:
                    raise RemoteError(f"{type(step).__name__} inside one tile's family")

    def call(self, call: Call, tile: int, actor: int) -> None:
        codelet: Codelet = call.codelet
        count, total = len(codelet.inputs), len(codelet.inputs) + len(codelet.outputs)
        read = [*call.views[:count], *(call.views[count + i] for i in codelet.in_place)]
        results = codelet.meaning(*(self.local(view, tile, actor) for view in read))
        for view, result in zip(call.views[count:total], results, strict=True):
            where = self.at_home(view, tile)
            hidden = gone(view, self.variables)
            data = result if hidden is None else np.where(hidden, 0, result)
            data = np.ascontiguousarray(data, numpy_dtype(view.dtype)).reshape(-1)
            data = data.view(np.uint8).reshape(where.shape)
            self.arenas.write(tile, where, view.buffer, actor, data)
        self.calls += 1

    def local(self, view: View, tile: int, actor: int) -> np.ndarray:
        if view.buffer.known is not None:
            return view.buffer.known[views.elements(view, self.variables)]
        dtype, where = numpy_dtype(view.dtype), self.at_home(view, tile)
        hidden = gone(view, self.variables)  # zeros that nobody brings
        if hidden is None:
            flat = self.arenas.read(tile, where, view.buffer, actor).reshape(-1)
        else:
            found, brought = np.zeros(where.shape, np.uint8), ~hidden.reshape(-1)
            found[brought] = self.arenas.read(tile, where[brought], view.buffer, actor)
            flat = found.reshape(-1)
        values = flat != 0 if view.dtype == "bool" else flat.view(dtype)
        return values.reshape(view.shape)

    def at_home(self, view: View, tile: int) -> np.ndarray:
        """Addresses of a view's bytes on a tile."""
        buffer, elements = view.buffer, self.elements(view)
        item = numpy_dtype(buffer.dtype).itemsize
        if buffer.space == "tile":
            start = self.program.offsets[buffer] + elements * item
            return start[:, None] + np.arange(item)
        if buffer.homes is None:
            raise RemoteError(f"a vertex on tile {tile} touches {buffer.space} {buffer.index}")
        tiles, where = self.addresses(buffer, elements)
        homes = buffer.homes
        here = np.isin(tile - tiles, homes.copy_tiles()) if homes.copies else tiles == tile
        if not here.all():
            raise RemoteError(
                f"a vertex on tile {tile} touches buffer {buffer.id} on tile {tiles[~here][0]}"
            )
        return where


def _places(buffer: Buffer) -> tuple[np.ndarray, np.ndarray]:
    """Of all elements: the tile of the first copy, and the byte there, from the buffer's first."""
    homes = buffer.homes
    assert homes is not None
    block, inside = np.divmod(np.arange(buffer.size), buffer.block)
    start = homes.slot(block) * buffer.block + inside
    return homes.tile(block), start * numpy_dtype(buffer.dtype).itemsize


def _by_tile(tiles: np.ndarray) -> Iterator[tuple[int, np.ndarray | slice]]:
    """Each tile, and which elements it has."""
    if tiles.size and (tiles == tiles[0]).all():
        yield int(tiles[0]), slice(None)
        return
    for tile in np.unique(tiles).tolist():
        yield tile, tiles == tile


def _views(steps: Sequence[Step]) -> Iterator[View]:
    """All that an instance touches."""
    for step in steps:
        match step:
            case Call():
                yield from step.views
            case Loop(_, _, body):
                yield from _views(body)
            case While(condition, test, body):
                yield test
                yield from _views((*condition, *body))
            case Branch(index, cases):
                yield index
                for case in cases:
                    yield from _views(case)

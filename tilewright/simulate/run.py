"""The interpreter of Programs: the same steps as native code, by the meaning of each codelet.

In: a program and the arrays of its inputs, in the program's own order (so with those of its
"constant" buffers). Out: the outputs, flat, and the races. Always: tiles are simulated one after
the other, so a race changes no value here; what one instance of a `Spread` or `Map` leaves in its
tile's arena is gone before the next.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tilewright.codelets.base import Operand
from tilewright.frozen import frozen
from tilewright.plan.ir import (
    Branch,
    Call,
    Loop,
    Map,
    Program,
    Spread,
    Step,
    Sync,
    Var,
    View,
    While,
)
from tilewright.plan.synchronise import is_shared_work
from tilewright.simulate.memory import Memory, Place
from tilewright.simulate.placed import Placed
from tilewright.simulate.races import Ledger


@frozen
class Simulation:
    """`outputs` are flat, in the program's order; `races` are sentences: none if all is well."""

    outputs: list[np.ndarray]
    races: list[str]
    supersteps: int
    calls: int


def simulate(
    program: Program, inputs: Sequence[np.ndarray], tiles: int, seed: int | None = None
) -> Simulation:
    """Run `program` on `tiles` tiles; one with homes on its own.

    Instances of a `Map` go to the tiles in turn, or, given a seed, in random order to random tiles,
    and then the tiles of a `Spread` take their turns in random order as well. Inputs of other sizes
    or dtypes raise ValueError.
    """
    if len(inputs) != len(program.inputs):
        raise ValueError(f"{len(program.inputs)} inputs expected, {len(inputs)} given")
    if program.tiles:
        return _placed(program, inputs, seed)
    memory = Memory.of(program, inputs, tiles)
    sizes = {key: len(data) for key, data in memory.bytes.items() if key[0] != "tile"}
    runner = _Runner(memory, Ledger(tiles, sizes), seed)
    with np.errstate(all="ignore"):
        runner.steps(program.steps, None)
    outputs = [memory.array(buffer) for buffer in program.outputs]
    return Simulation(outputs, runner.ledger.races, runner.ledger.superstep + 1, runner.calls)


def _placed(program: Program, inputs: Sequence[np.ndarray], seed: int | None) -> Simulation:
    """On the tiles that its homes are on."""
    runner = Placed(program, inputs, seed)
    with np.errstate(all="ignore"):
        runner.steps(program.steps)
    outputs = [runner.host[buffer] for buffer in program.outputs]
    return Simulation(outputs, runner.arenas.faults, runner.arenas.superstep + 1, runner.calls)


class _Runner:
    """Where a run stands. `tile` is None while all tiles go through the steps together."""

    def __init__(self, memory: Memory, ledger: Ledger, seed: int | None):
        self.memory = memory
        self.ledger = ledger
        self.random = None if seed is None else np.random.default_rng(seed)
        self.variables: dict[Var, int] = {}
        self.calls = 0

    def steps(self, steps: Sequence[Step], tile: int | None) -> None:
        for step in steps:
            self.step(step, tile)

    def step(self, step: Step, tile: int | None) -> None:
        match step:
            case Call():
                self.call(step, tile or 0)
            case Loop(var, count, steps):
                for self.variables[var] in range(count):
                    self.steps(steps, tile)
            case While(condition, test, steps):
                readers = self.readers(step, tile)
                while self.condition(condition, test, readers, tile):
                    self.steps(steps, tile)
            case Branch(index, cases):
                number = int(self.look(index, "branch", self.readers(step, tile)))
                self.steps(cases[min(max(number, 0), len(cases) - 1)], tile)
            case Spread() | Map() | Sync() if tile is not None:
                raise ValueError(f"{type(step).__name__} inside one tile's share")
            case Spread():
                self.spread(step)
            case Map():
                self.map(step)
            case Sync():
                self.ledger.sync()

    # Work of several tiles.

    def spread(self, step: Spread) -> None:
        """Tile t takes [count * t / tiles, count * (t + 1) / tiles)."""
        tiles = self.memory.tiles
        for tile in self.shuffled(tiles):
            first, last = (step.count * t // tiles for t in (tile, tile + 1))
            for instance in range(first, last):
                self.instance(step, instance, tile)

    def map(self, step: Map) -> None:
        for turn, instance in enumerate(self.shuffled(step.count)):
            tiles = self.memory.tiles
            tile = turn % tiles if self.random is None else int(self.random.integers(tiles))
            self.instance(step, instance, tile)

    def instance(self, step: Spread | Map, instance: int, tile: int) -> None:
        self.memory.forget(tile)
        self.variables[step.var] = instance
        self.steps(step.steps, tile)

    def shuffled(self, count: int) -> list[int]:
        return (
            list(range(count)) if self.random is None else self.random.permutation(count).tolist()
        )

    def readers(self, step: Step, tile: int | None) -> list[int]:
        """The tiles that decide by themselves where a loop or branch goes."""
        if tile is not None:
            return [tile]
        return list(range(self.memory.tiles)) if is_shared_work(step) else [0]

    def condition(
        self, condition: Sequence[Step], test: View, readers: list[int], tile: int | None
    ) -> bool:
        self.steps(condition, tile)
        return bool(self.look(test, "while", readers))

    def look(self, view: View, name: str, readers: list[int]) -> np.ndarray:
        """A scalar that steers; every tile that reads it is on record."""
        for reader in readers:
            place = self.memory.place(view, self.variables, reader)
            self.ledger.read(place, name, reader)
        return self.memory.read(self.memory.place(view, self.variables, readers[0])).reshape(())

    # One vertex.

    def call(self, call: Call, tile: int) -> None:
        """Read, compute, write. Scratch memory, if any, is the last view and stands for nothing."""
        codelet, name = call.codelet, call.codelet.name
        count = len(codelet.inputs)
        operands = (*codelet.inputs, *codelet.outputs)
        places = [self.place(*pair, tile) for pair in zip(call.views, operands, strict=False)]
        sources, targets = places[:count], places[count:]
        read = [*sources, *(targets[i] for i in codelet.in_place)]
        for place in read:
            self.ledger.read(place, name, tile)
        results = codelet.meaning(*map(self.memory.read, read))
        for place, result in zip(targets, results, strict=True):
            self.ledger.write(place, name, tile)
            self.write(place, result, name)
        for view in call.views[len(operands) :]:
            place = self.memory.place(view, self.variables, tile)
            self.ledger.write(place, f"{name} (scratch)", tile)
        self.calls += 1

    def place(self, view: View, operand: Operand, tile: int) -> Place:
        """The view's place; native code takes for granted that the operand describes it."""
        steps = zip(view.shape, view.strides, operand.strides, strict=False)
        same = view.dtype == operand.dtype and view.shape == operand.shape
        if not same or any(n > 1 and s != t for n, s, t in steps if view.size):
            raise ValueError(f"{view} where the codelet expects {operand}")
        return self.memory.place(view, self.variables, tile)

    def write(self, place: Place, result: np.ndarray, name: str) -> None:
        if result.shape != place.shape or result.dtype.name != place.buffer.dtype:
            raise ValueError(f"{name} gives {result.dtype.name}{list(result.shape)}")
        self.memory.write(place, result)

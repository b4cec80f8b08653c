"""All ways to cut one product, or one sum, over tiles that share no memory, and what each takes.

In: how long its dimensions are, its operands, the machine. Out: `Candidates`, a column for each
figure, thousands of ways at once. Always: a dimension that is summed is cut only where the law's
tree of sums has a node (`graph/law.py`), so that no way changes a bit.

    m, n    parts of the results;  k  parts of the sums, which are then added up
    serial  turns, each with a part of n, where not all fits at once
    inner   which of n and m neighbouring tiles differ in: they share a bus for what they both get
    last    without n, rows of a block of the last part of k, which is shorter: as long a work
    share   without n, neighbouring results that a tile adds up the parts of (`row_sums.py`)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np

from tilewright.frozen import frozen
from tilewright.machine.cost import lanes
from tilewright.machine.granules import matrix_unit, product, takes_blocks, threaded
from tilewright.machine.machine import Machine
from tilewright.plan.apart.over_links import Grid, begun, bytes_a_cycle
from tilewright.plan.apart.passing import Passing
from tilewright.plan.apart.problem import Problem, volume
from tilewright.plan.apart.slots import SHARED

TURNS = (1, 2, 4, 8, 16, 32)


@frozen
class Layout:
    """Sizes of blocks, turns, and whether neighbours differ in n (else in m).

    With a `share`, parts of sums lie as rows do, in blocks of `last` rows where k is shorter.
    """

    m: int
    n: int
    k: int
    serial: int = 1
    n_inner: bool = True
    last: int = 0
    share: int = 0


@frozen
class Candidates:
    """Columns: blocks, turns; cycles of compute, exchange and syncs; bytes a tile."""

    problem: Problem
    m: np.ndarray
    n: np.ndarray
    k: np.ndarray
    serial: np.ndarray
    n_inner: np.ndarray
    last: np.ndarray
    share: np.ndarray
    compute: np.ndarray
    exchange: np.ndarray
    sync: np.ndarray
    bytes: np.ndarray
    room: int
    """Bytes of a tile, for one of them; beyond it links are not counted."""

    @property
    def cycles(self) -> np.ndarray:
        return self.compute + self.exchange + self.sync

    def layout(self, number: int) -> Layout:
        m, n, k, serial = (int(c[number]) for c in (self.m, self.n, self.k, self.serial))
        last, share = int(self.last[number]), int(self.share[number])
        return Layout(m, n, k, serial, bool(self.n_inner[number]), last, share)

    def best(self) -> int | None:
        """The number of the fastest that fits the room; None if nothing does."""
        fits = np.flatnonzero(self.bytes <= self.room)
        return int(fits[np.argmin(self.cycles[fits])]) if fits.size else None


def candidates(problem: Problem, machine: Machine, room: int | None = None) -> Candidates:
    """What each takes; over links, what those take that need `room` bytes of a tile at most."""
    room = machine.tile.memory if room is None else room
    m, n, k, serial, inner, last, rows = _blocks(problem, machine.tiles)
    step, lie = np.ceil(problem.n / serial), rows > 0
    parts = {"m": np.ceil(problem.m / m), "n": np.ceil(step / n), "k": np.ceil(problem.k / k)}
    parts["m"] = np.where(lie, even_blocks(problem.m, m), parts["m"])
    item, rest = problem.item, problem.k % k
    sizes, short = {"m": m, "n": n, "k": k}, {"m": last, "n": n, "k": rest}
    blocks = [item * np.maximum(volume(sizes, side), volume(short, side)) for side in problem.sides]
    ways = [
        (size - _there(problem, side, size, parts, inner, machine.tiles))
        / _faster(parts, side, inner, machine.chip.exchange.bus)
        for size, side in zip(blocks, problem.sides, strict=True)
    ]
    for number, side in enumerate(problem.sides):
        if problem.fixed and problem.fixed[number]:  # turns bring their part of it each time
            ways[number] = np.where((serial == 1) | ("n" not in side), 0.0, ways[number])
    out = item * m * n
    several = parts["k"] > 1
    adders = np.minimum(parts["k"], np.where(m > 1, m, n))
    gathered = np.where(several, out * (parts["k"] - 1) / parts["k"], 0.0)
    gathered = np.where(lie, np.maximum(out, item * rows * parts["k"]), gathered)
    share = np.where(lie, item * rows, np.ceil(out / adders))
    mine = share - _there(problem, "mn", share, parts, inner, machine.tiles)
    mine = np.where(lie | _stays_there(problem, m, n, parts, inner, serial), 0.0, mine)
    brought = serial * sum(ways) - _stays(problem, ways, serial)
    rounds = [serial * (sum(ways) > 0), serial * several, serial * (mine > 0)]
    moved = [brought, serial * gathered, serial * mine]
    added = np.where(lie, rows, m * n / adders)
    adding = several * _adding(problem, added, parts["k"], machine)
    longest = np.maximum(
        _vertex(problem, m, n, k, machine), lie * _vertex(problem, last, n, rest, machine)
    )
    compute = serial * (longest + adding)
    held = sum(blocks) + out + several * share * parts["k"] + share
    held = held + problem.kept / machine.tiles
    grid = Grid(sizes, parts, inner)
    fits = np.flatnonzero(held <= room)
    passed, sync = Passing(problem, grid, serial, moved, rounds, compute, machine).all(fits)
    return Candidates(
        problem, m, n, k, serial, inner, last, rows, compute, passed, sync, held, room
    )


def even_blocks(length: Any, size: Any) -> Any:
    """How many blocks of so many rows at most: an even number, as pairs of tiles share a bus."""
    several = -(-length // np.maximum(size, 1))
    return np.minimum(several + several % 2, length)


def _there(
    problem: Problem, side: str, size: np.ndarray, parts: dict, n_inner: np.ndarray, tiles: int
) -> np.ndarray:
    """Bytes of a block that its tile has already, as rows lie in the order of the tiles.

    A tile's even share is some rows: those of its block, where tiles go on along m last. Blocks
    that are longer than shares run ahead of them: of the last whole one less is there.
    """
    first, *others = side
    share = problem.item * volume(problem.sizes, side) / tiles / volume(parts, "".join(others))
    in_order = parts["k"] == 1
    if first == "m":
        in_order = in_order & (n_inner | (parts["n"] == 1))
        share = share * _within(problem.m, np.ceil(problem.m / parts["m"]), parts["n"], tiles)
    return np.where(in_order, np.minimum(size, share), 0.0)


def _within(length: int, rows: np.ndarray, beside: np.ndarray, tiles: int) -> np.ndarray:
    """Of an even share of a length, how much is in the block of its tile: the least, as a part.

    Blocks are so many rows, each of as many tiles as are beside each other.
    """
    share, block = length / tiles, np.maximum(length // rows - 1, 0)
    least = np.ones(rows.shape)
    for tile in (block * beside, block * beside + beside - 1):
        low = np.maximum(block * rows, tile * share)
        high = np.minimum((block + 1) * rows, (tile + 1) * share)
        least = np.minimum(least, np.maximum(high - low, 0) / np.minimum(share, rows))
    return least


def alone(problem: Problem, vertex: float, machine: Machine) -> float:
    """Cycles of one tile that does all of it."""
    exchange = machine.chip.exchange
    passed = problem.total * (1 - 1 / machine.tiles) / exchange.bytes_per_cycle_per_tile
    rounds = 2 * exchange.overhead_cycles + 2 * machine.chip.sync_cycles
    if machine.chips == 1:
        return vertex + passed + rounds
    far = problem.total * (1 - 1 / machine.chips) / bytes_a_cycle(machine) + 2 * begun(machine)
    rounds = 2 * max(machine.sync_cycles_between_chips, machine.chip.sync_cycles)
    return vertex + max(passed + 2 * exchange.overhead_cycles, far) + rounds


def _faster(parts: dict, side: str, n_inner: np.ndarray, bus: int) -> np.ndarray:
    """How much faster an operand comes that pairs of neighbours both get."""
    missing = [name for name in "mnk" if name not in side]
    found = np.ones(n_inner.shape)
    for name, inner in (("n", n_inner), ("m", ~n_inner)):
        if name in missing:
            found = np.where(inner & (parts[name] % bus == 0), float(bus), found)
    return found


def _stays_there(
    problem: Problem,
    m: np.ndarray,
    n: np.ndarray,
    parts: dict,
    n_inner: np.ndarray,
    serial: np.ndarray,
) -> np.ndarray:
    """Whether results are at home where they are computed: blocks lie one behind the other."""
    pieces = (m == 1) & n_inner & (problem.n % n == 0)
    return (parts["k"] == 1) & (serial == 1) & ((parts["n"] == 1) | pieces)


def _stays(problem: Problem, ways: Sequence[np.ndarray], serial: np.ndarray) -> np.ndarray:
    """What has no n is brought in the first turn only."""
    once = sum(way for way, side in zip(ways, problem.sides, strict=True) if "n" not in side)
    return (serial - 1) * once


def _vertex(
    problem: Problem, m: np.ndarray, n: np.ndarray, k: np.ndarray, machine: Machine
) -> np.ndarray:
    tile = machine.tile
    unit = matrix_unit(tile, problem.dtype)
    width = lanes(tile, problem.dtype)
    sizes = {"m": m, "n": n, "k": k}
    read = sum(volume(sizes, side) for side in problem.sides) * problem.item
    bundles = np.maximum(m * n * k / width, read / (tile.memories[0].read or 16))
    results = m * n / width
    units = np.maximum(results, np.maximum(m * k, n * k) / SHARED)
    plain = threaded(bundles + m * n * tile.turn / 16, units, tile) + tile.call
    sides = "".join(problem.sides)
    if unit is None or "k" not in sides or len(problem.sides) < 2:
        return plain
    if "n" not in sides and not takes_blocks(unit):
        return plain
    by_unit = product(m, n, k, tile, unit, problem.dtype)
    if takes_blocks(unit):
        return np.minimum(by_unit, plain)
    return np.where(np.minimum(m, n) > 1, by_unit, plain)


def _adding(problem: Problem, share: np.ndarray, parts: np.ndarray, machine: Machine) -> np.ndarray:
    """Each tile of a block adds up its share of the parts' results."""
    tile, width = machine.tile, lanes(machine.tile, problem.dtype)
    share = np.ceil(share)
    bundles = share * parts / width + np.ceil(share / 16) * tile.turn
    return threaded(bundles, share / width, tile) + tile.call


def _blocks(problem: Problem, tiles: int) -> tuple[np.ndarray, ...]:
    """Every size of blocks that makes a difference, for as many tiles as there are."""
    rows = []
    for k in _terms(problem):
        parts = ceil(problem.k / k)
        room = tiles // parts
        if parts > 1 and not any("n" in side for side in problem.sides):
            rows.append(_as_rows(problem, tiles, k))
            continue
        for serial in TURNS if problem.n > 1 else (1,):
            if problem.n % serial or room < 1:
                continue
            ms = _sizes(problem.m, room)
            ns = _sizes(problem.n // serial, room)
            if parts > 1:  # each tile of a block adds up some of its rows
                ms = np.unique(np.where(ms >= parts, -(-ms // parts) * parts, ms))
            m, n = (grid.reshape(-1) for grid in np.meshgrid(ms, ns, indexing="ij"))
            fits = np.ceil(problem.m / m) * np.ceil(problem.n // serial / n) <= room
            m, n = m[fits], n[fits]
            for inner in (True, False):
                same = [np.full(m.shape, x) for x in (k, serial, inner, 0, 0)]
                rows.append((m, n, *same))
    return tuple(np.concatenate(column) for column in zip(*rows, strict=True))


def _as_rows(problem: Problem, tiles: int, k: int) -> tuple[np.ndarray, ...]:
    """Blocks of rows of the parts of k; those of the last, which is shorter, get what tiles are
    left."""
    whole, rest = divmod(problem.k, k)
    m = _sizes(problem.m, tiles // whole) if whole <= tiles else np.zeros(0, np.int64)
    left = tiles - whole * even_blocks(problem.m, m)
    least = min(2, problem.m) if rest else 0
    m, left = (column[left >= least] for column in (m, left))
    last = _last(problem.m, left) if rest else np.zeros(m.shape, np.int64)
    share = -(-problem.m // tiles)
    same = [np.full(m.shape, x) for x in (1, k, 1, False)]
    return (m, *same, last, np.full(m.shape, share))


def _last(length: int, tiles: np.ndarray) -> np.ndarray:
    """Rows of the smallest blocks for which so many tiles are enough."""
    return -(-length // np.minimum(np.maximum(tiles - tiles % 2, 1), length))


def _sizes(length: int, most: int) -> np.ndarray:
    """Sizes of blocks for 1 to `most` parts, each once."""
    return np.unique(np.ceil(length / np.arange(1, min(length, most) + 1))).astype(np.int64)


def _terms(problem: Problem) -> list[int]:
    """Sizes of parts of k: all, or nodes of the tree of sums, of 2^j leaves."""
    found = [problem.k]
    size = problem.leaf
    while size < problem.k and not problem.whole:
        found.append(size)
        size *= 2
    return found

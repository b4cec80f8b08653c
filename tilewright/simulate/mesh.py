"""How long an exchange takes on a mesh: what tiles send and get, links on the way, card memory.

In: `Flows` that were counted for a mesh, the machine. Out: cycles. Messages go along their row
first, then along a column, on whichever of two networks has the shorter way: one goes right and
down, the other left and up, both round the edges. What several tiles get passes each link once.

    card     all that is read of its memory and written there, or the busiest tile's part of it
    tiles    the busiest tile: messages of its own, and what it gets as one of several
    links    the busiest link, at what one tile can send another
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tilewright.graph.ir import numpy_dtype
from tilewright.machine.machine import Machine, Mesh
from tilewright.plan.ir import Move
from tilewright.simulate.flows import Flows, sends
from tilewright.simulate.messages import Columns, lands, pairs


def mesh_flows(moves: Sequence[Move], machine: Machine) -> Flows:
    """Bytes by pair of tiles, of each chip; between chips by chip."""
    tiles, chips, here = machine.tiles, machine.chips, machine.chip.tiles
    sent, received, shared, local = (np.zeros(tiles) for _ in range(4))
    found = Flows(sent, received, shared, local, np.zeros(chips))
    told, card = np.zeros(tiles), np.zeros(tiles)
    between, loads = np.zeros((tiles, tiles)), _Loads(machine)
    inward, outward = np.zeros(chips), np.zeros(chips)
    for number, move in enumerate(moves):
        if move.source.buffer.homes is None or move.target.buffer.homes is None:
            _card(found, move, number, told, card)
    for froms, every, sizes in _messages(moves):
        if every.shape[1] == 1:
            _put(between, [froms, every[:, 0]], sizes)
            continue
        found.sent += np.bincount(froms, sizes, tiles)
        mine = every == froms[:, None]
        told += np.bincount(
            every[~mine], np.broadcast_to(sizes[:, None], every.shape)[~mine], tiles
        )
        found.local += np.bincount(every[mine], np.repeat(sizes, mine.sum(1)), tiles)
        loads.told(froms, every, sizes)
        if chips == 1:
            continue
        far = np.unique(every // here * chips + (froms // here)[:, None], axis=1)
        for column in far.T:
            to, at = np.divmod(column, chips)
            gone = to != at
            outward += np.bincount(at[gone], sizes[gone], chips)
            inward += np.bincount(to[gone], sizes[gone], chips)
    found.local += np.diagonal(between)
    np.fill_diagonal(between, 0.0)
    found.sent += between.sum(1)
    found.received += between.sum(0)
    loads.sent(between)
    across = between.reshape(chips, here, chips, here).sum((1, 3))
    np.fill_diagonal(across, 0.0)
    found.links = np.maximum(inward + across.sum(0), outward + across.sum(1))
    found.told, found.card, found.busiest_link = told, card, loads.most
    return found


def _messages(moves: Sequence[Move]) -> Iterator[Columns]:
    """Tiles from, all tiles to, and bytes: moves that send the same to several families have one
    row for what all of these get."""
    alike: dict[tuple, list[Move]] = {}
    for move in moves:
        if move.source.buffer.homes is not None and move.target.buffer.homes is not None:
            alike.setdefault(sends(move), []).append(move)
    for group in alike.values():
        rows: list[Columns] = []
        for move in group:
            assert move.target.buffer.homes is not None
            froms, tos, sizes = pairs(move)
            every = tos[:, None] + move.target.buffer.homes.copy_tiles()
            if rows and np.array_equal(rows[0][0], froms) and np.array_equal(rows[0][2], sizes):
                rows[0] = froms, np.concatenate([rows[0][1], every], 1), sizes
            else:
                rows.append((froms, every, sizes))
        yield from rows


def _card(found: Flows, move: Move, number: int, told: np.ndarray, card: np.ndarray) -> None:
    """From the card's memory or to it: one of several copies reads, in turns, and tells the others;
    moves begin with others, so that no tile reads for all."""
    inward = move.target.buffer.homes is not None
    view = move.target if inward else move.source
    homes = view.buffer.homes
    if homes is None:
        return
    item = numpy_dtype(view.dtype).itemsize
    at, sizes = lands(view, move)
    sizes = sizes * float(item)
    found.host += float(sizes.sum())
    copies = homes.copy_tiles()
    if copies.size > 1 and inward:
        reader = (np.arange(at.size) + number) % copies.size
        card += np.bincount(at + copies[reader], sizes, card.size)
        every = at[:, None] + copies
        told += np.bincount(every.reshape(-1), np.repeat(sizes, copies.size), told.size)
        return
    card += np.bincount(at, sizes, card.size)


def mesh_cycles(flow: Flows, machine: Machine) -> float:
    """Of one exchange, after what it takes to begin."""
    exchange, mesh = machine.chip.exchange, machine.chip.exchange.mesh
    assert mesh is not None
    assert flow.told is not None
    assert flow.card is not None
    one, far = exchange.bytes_per_cycle_per_tile, machine.tile.memories[-1]
    read = float(flow.card.max(initial=0.0)) / mesh.card
    if far.shared and far.read_all:
        by_chip = flow.card.reshape(machine.chips, -1).sum(1).max()
        read = max(read, float(by_chip) / (far.read_all * machine.chip.tiles))
    got = flow.received / mesh.gather + flow.told / mesh.spread
    passed = max(float((flow.sent / one).max()), float(got.max()), flow.busiest_link / one)
    copied = float(flow.local.max(initial=0)) / (machine.tile.memories[0].write or one)
    return read + max(passed, copied)


class _Loads:
    """Bytes over each link, [chip, network, row, column]: to the right or left, down or up."""

    def __init__(self, machine: Machine):
        mesh = machine.chip.exchange.mesh
        assert mesh is not None
        self.mesh: Mesh = mesh
        self.here, shape = machine.chip.tiles, (machine.chips, 2, mesh.rows, mesh.columns)
        self.right, self.down = np.zeros(shape), np.zeros(shape)

    @property
    def most(self) -> float:
        return float(max(self.right.max(), self.down.max()))

    def _place(self, tile: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        chip, inside = np.divmod(tile, self.here)
        row, column = np.divmod(inside, self.mesh.columns)
        return chip, row, column

    def sent(self, between: np.ndarray) -> None:
        """What goes from one tile to one other; between chips the mesh is not what holds it up."""
        froms, tos = np.nonzero(between)
        same = froms // self.here == tos // self.here
        froms, tos = froms[same], tos[same]
        sizes = between[froms, tos]
        chip, row, column = self._place(froms)
        _, row_to, column_to = self._place(tos)
        wide, high = (column_to - column) % self.mesh.columns, (row_to - row) % self.mesh.rows
        back_wide, back_high = (-wide) % self.mesh.columns, (-high) % self.mesh.rows
        network = (back_wide + back_high < wide + high).astype(np.int64)
        sign = 1 - 2 * network
        wide, high = (np.where(network, b, a) for a, b in ((wide, back_wide), (high, back_high)))
        for step in range(int(wide.max(initial=0))):
            on = wide > step
            at = (column + sign * step) % self.mesh.columns
            _put(self.right, [x[on] for x in (chip, network, row, at)], sizes[on])
        for step in range(int(high.max(initial=0))):
            on = high > step
            at = (row + sign * step) % self.mesh.rows
            _put(self.down, [x[on] for x in (chip, network, at, column_to)], sizes[on])

    def told(self, froms: np.ndarray, every: np.ndarray, sizes: np.ndarray) -> None:
        """What all tiles of a rectangle get: along the sender's row, then along each column."""
        chips, rows, columns = self._place(every)
        chip, row, column = self._place(froms)
        inside = chips == chip[:, None]
        far = np.where(inside, columns, column[:, None])
        low, high = far.min(1), far.max(1)
        reach = np.where(inside, rows, row[:, None])
        top, bottom = np.minimum(reach.min(1), row), np.maximum(reach.max(1), row)
        first, last = np.minimum(low, column), np.maximum(high, column)
        _put_boxes(self.right[:, 0], chip, (row, row + 1), (first, last), sizes)
        _put_boxes(self.down[:, 0], chip, (top, bottom), (low, high + 1), sizes)


Range = tuple[np.ndarray, np.ndarray]
"""For each message where it begins, and where it ends."""


def _put_boxes(
    loads: np.ndarray, chip: np.ndarray, rows: Range, columns: Range, sizes: np.ndarray
) -> None:
    """Add sizes everywhere in a rectangle of [chip, row, column], by what changes at its corners:
    bytes are whole numbers, so that no sum is rounded."""
    change = np.zeros([loads.shape[0], *(n + 1 for n in loads.shape[1:])])
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            _put(change, [chip, row, column], sizes if i == j else -sizes)
    loads += change.cumsum(1).cumsum(2)[:, :-1, :-1]


def _put(loads: np.ndarray, index: Sequence[np.ndarray | int], sizes: np.ndarray) -> None:
    """Add sizes where an index, of arrays and numbers, says."""
    flat = np.zeros(sizes.shape, np.int64)
    for extent, part in zip(loads.shape, index, strict=True):
        flat = flat * extent + part
    loads += np.bincount(flat, sizes, loads.size).reshape(loads.shape)

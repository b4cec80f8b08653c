"""What one vertex takes on a tile whose threads take turns: issue slots, not bytes from afar.

In: a codelet, a tile. Out: cycles, with all of the tile's threads at work on the vertex. A tile
starts one bundle a cycle, a load or store beside an arithmetic instruction; a thread has every
sixth (of six). So a vertex that keeps all threads busy takes as many cycles as it has bundles; one
with less than a thread's share of results for each of them takes the time of its longest thread.

    written     loads, stores and arithmetic go side by side: the most of them counts
    compiled    as a compiler leaves it: one after the other, and what a loop costs for each result;
                a multiply-add is two operations, and a load brings as many numbers as one computes
    products    of matrices, by the unit's granule: columns and terms at a time, rows stream by
"""

from __future__ import annotations

from math import prod

from tilewright.codelets.base import Codelet
from tilewright.codelets.contract import ContractBlocks, ContractSampled, ContractVector
from tilewright.codelets.convolution import Convolution, FilterGradient
from tilewright.frozen import frozen
from tilewright.machine.cost import Count, computed, lanes, operand_dtypes
from tilewright.machine.granules import (
    convolution,
    kept,
    matrix_unit,
    product,
    sampled,
    takes_blocks,
    threaded,
)
from tilewright.machine.machine import Tile

SHARED = 32
"""Terms of a sum that a thread may take alone: of the 16 lanes of a leaf of 256, two."""
LOOP = 4
"""Compiled: bundles of a loop's turn that do nothing for the result."""


@frozen
class Slots:
    """Bundles of one vertex by what they do: three streams that may go side by side."""

    loads: float
    arithmetic: float
    stores: float

    @property
    def written(self) -> float:
        return max(self.loads, self.arithmetic, self.stores)


def compiled(count: Count, results: float, lanes: int, item: int = 4) -> float:
    """Bundles of one vertex, `lanes` numbers of `item` bytes at a time."""
    arithmetic = sum(count.operations.values()) + 2 * sum(count.macs.values())
    moved = (count.loads + count.stores) / item
    return (moved + arithmetic) / lanes + LOOP * results


def slots(count: Count, tile: Tile) -> Slots:
    memory = tile.memories[0]
    arithmetic = sum(
        n * rate / lanes(tile, computed(dtype))
        for (name, dtype), n in count.operations.items()
        if (rate := _cycles(tile, name, dtype))
    )
    for dtype, macs in count.macs.items():
        arithmetic += macs / lanes(tile, computed(operand_dtypes(dtype)[0]))
    loads, stores = count.loads / (memory.read or 8), count.stores / (memory.write or memory.read)
    if not memory.write:
        loads, stores = loads + stores, 0.0
    return Slots(loads, arithmetic, stores)


def _cycles(tile: Tile, name: str, dtype: str) -> float:
    """Of a vector of one operation; a copy is a load and a store."""
    if name == "move":
        return 0.0
    known = {(n, d): cycles for n, d, cycles in tile.operations}
    return known.get((name, computed(dtype)), tile.simple)


def vertex(codelet: Codelet, tile: Tile) -> float:
    """Cycles of one vertex of a codelet."""
    plain = _plain(codelet, tile)
    if isinstance(codelet, Convolution):
        return min(plain, _convolution(codelet, tile))
    if isinstance(codelet, FilterGradient):
        return min(plain, _filter_gradient(codelet, tile))
    if isinstance(codelet, ContractBlocks):
        return min(plain, _kept(codelet, tile))
    if isinstance(codelet, ContractSampled):
        return min(plain, _sampled(codelet, tile))
    shape = _matrices(codelet)
    if shape is None:
        return plain
    batch, m, n, k, dtype = shape
    unit = matrix_unit(tile, dtype)
    if unit is None or (min(m, n) == 1 and not takes_blocks(unit)):
        return plain
    cycles = batch * float(product(m, n, k, tile, unit, dtype))
    return min(cycles, plain) if takes_blocks(unit) else cycles


def _convolution(codelet: Convolution, tile: Tile) -> float:
    """Group by group through the unit for matrices, then what follows on the sums."""
    unit = matrix_unit(tile, codelet.image.dtype)
    if unit is None:
        return float("inf")
    (groups, kh, kw), channels = codelet.kernel.shape[:3], codelet.channels
    outputs, pixels, dtype = codelet.out.shape[4], prod(codelet.out.shape[:3]), codelet.image.dtype
    sums = groups * float(convolution(pixels, outputs, channels, kh * kw, tile, unit, dtype))
    if codelet.epilogue is None:
        return sums
    after = slots(codelet.epilogue.work(codelet.out.size), tile).written
    return sums + float(threaded(after, codelet.out.size / lanes(tile, codelet.sum_dtype), tile))


def _kept(codelet: ContractBlocks, tile: Tile) -> float:
    """Block by block through the unit for matrices, then what follows on the sums."""
    unit, dtype = matrix_unit(tile, codelet.lhs.dtype), codelet.lhs.dtype
    if unit is None or not codelet.counts:
        return float("inf")
    sums = float(kept(codelet.m, sum(codelet.counts), codelet.tall, tile, unit, dtype))
    if codelet.epilogue is None:
        return sums
    after = slots(codelet.epilogue.work(codelet.out.size), tile).written
    return sums + float(threaded(after, codelet.out.size / lanes(tile, dtype), tile))


def _sampled(codelet: ContractSampled, tile: Tile) -> float:
    """Panel by panel through the unit for matrices: of each, the rows that are in blocks."""
    unit, dtype = matrix_unit(tile, codelet.lhs.dtype), codelet.lhs.dtype
    if unit is None or not codelet.counts:
        return float("inf")
    return float(sampled(codelet.counts, codelet.tall, codelet.terms, tile, unit, dtype))


def _filter_gradient(codelet: FilterGradient, tile: Tile) -> float:
    """A product for each tap: channels by positions, positions by outputs."""
    unit, dtype = matrix_unit(tile, codelet.image.dtype), codelet.image.dtype
    if unit is None:
        return float("inf")
    groups, kh, kw, channels, outputs = codelet.out.shape
    positions = prod(codelet.gradient.shape[:3])
    one = float(product(channels, outputs, positions, tile, unit, dtype))
    return groups * kh * kw * one


def _plain(codelet: Codelet, tile: Tile) -> float:
    """Without the unit for matrices."""
    count = codelet.work
    out = sum(operand.size for operand in codelet.outputs)
    dtypes = [operand.dtype for operand in codelet.outputs] or ["float32"]
    results = out / lanes(tile, computed(dtypes[0]))
    found = slots(count, tile)
    bundles = found.written + count.iterations * tile.turn
    return float(threaded(bundles, _units(codelet, results), tile)) + tile.call


def _units(codelet: Codelet, results: float) -> float:
    """What threads can share out: vectors of results, or a pair of lanes of a leaf."""
    read = max((operand.size for operand in codelet.inputs), default=0)
    return max(results, read / SHARED)


def _matrices(codelet: Codelet) -> tuple[int, int, int, int, str] | None:
    """Batch, m, n, k and dtype of a product of matrices, or of one and a vector."""
    inputs = codelet.inputs
    if isinstance(codelet, ContractVector):
        return prod(codelet.batch), codelet.m, 1, codelet.k, inputs[0].dtype
    if not all(hasattr(codelet, name) for name in ("m", "n", "k")):
        return None
    batch = prod(inputs[0].shape[:-2])
    return batch, codelet.m, codelet.n, codelet.k, inputs[0].dtype  # type: ignore[attr-defined]

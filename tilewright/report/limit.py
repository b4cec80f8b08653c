"""The time that no plan of a graph should beat: what a program's own time is held against.

In: a graph after all rewrites, a machine, and how many tiles share the work. Out: a `Limit`.
Always: the sum over *blocks* of the larger of two: arithmetic, all of it at the rate of
multiply-adds but for functions, which take what was measured of them; and compulsory bytes, each
once: what the block reads of the graph's inputs (weights) and of the block before, and what it
leaves to the next.

A block ends at a *neck*: where a single value is all that later nodes read of earlier ones, and no
larger than those of the necks beside it. So a net's blocks end where its channels are few, and what
is wide within them need not be in memory at all. A `map` has the blocks of its body, once an
instance, but weights once. Other loops are a block each.

It is as good as the machine's figures. A function that is faster in a net than where it was
measured by itself makes it too high, and a plan may then come out above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tilewright.frozen import frozen
from tilewright.graph.count import nodes_count
from tilewright.graph.ir import Graph, Node, Value
from tilewright.machine.cost import Count, computed, home, lanes, mac_rate
from tilewright.machine.machine import Machine

_STILL = frozenset(("constant", "iota", "broadcast", "reshape", "transpose", "slice"))
"""Of inputs alone, these compute nothing that need be kept."""


@frozen
class Block:
    """Cycles of all tiles together for its arithmetic, and for its `nbytes` compulsory bytes."""

    arithmetic: float
    transfer: float
    nbytes: float

    @property
    def cycles(self) -> float:
        return max(self.arithmetic, self.transfer)

    def __mul__(self, times: float) -> Block:
        return Block(self.arithmetic * times, self.transfer * times, self.nbytes * times)


@frozen
class Limit:
    """Of one run; `seconds` is what it takes at least."""

    blocks: tuple[Block, ...]
    seconds: float

    @property
    def nbytes(self) -> float:
        """Compulsory bytes."""
        return sum(block.nbytes for block in self.blocks)

    @property
    def waiting(self) -> int:
        """Blocks that bytes limit, not arithmetic."""
        return sum(block.transfer > block.arithmetic for block in self.blocks)

    def __str__(self) -> str:
        return (
            f"{self.seconds * 1e6:,.1f} µs in {len(self.blocks)} blocks, {self.waiting} of them "
            f"limited by bytes; {self.nbytes / 1e6:,.3f} MB compulsory"
        )


def limit(graph: Graph, machine: Machine, tiles: int = 1) -> Limit:
    """Of a graph, dealt out evenly to so many tiles."""
    held = sum(v.type.nbytes for v in {*graph.inputs, *graph.outputs})
    costs = _Costs(machine, tiles, held)
    blocks = tuple(costs.blocks(graph))
    cycles = sum(block.cycles for block in blocks)
    return Limit(blocks, cycles / machine.chip.clock)


@frozen
class _Costs:
    """`held` bytes come and go between two runs: so far away is what is read but once a run."""

    machine: Machine
    tiles: int
    held: int

    def blocks(self, graph: Graph, shared: Mapping[Value, float] | None = None) -> Iterator[Block]:
        """`shared` inputs are read once for so many runs of the graph."""
        shared, given = shared or {}, set(graph.inputs)
        for nodes, ends in _cut(graph):
            maps = [node for node in nodes if node.op == "map"]
            for node in maps:
                yield from self._mapped(node)
            rest = [node for node in nodes if node.op != "map"]
            read = {v for node in rest for v in node.inputs} & given
            given -= read  # once
            far = sum(v.type.nbytes / shared.get(v, 1) for v in read)
            theirs = {v for node in maps for v in (*node.inputs, *node.outputs)}
            near = [v.type.nbytes for v in ends if v not in theirs]
            yield self._block(nodes_count(rest), far, near)

    def _mapped(self, node: Node) -> Iterator[Block]:
        (body,), length = node.bodies, node.params["length"]
        weights = body.inputs[: node.params["consts"]]
        for block in self.blocks(body, dict.fromkeys(weights, float(length))):
            yield block * length

    def _block(self, count: Count, far: float, near: Sequence[int]) -> Block:
        transfer = far / self._rate(self.held) + sum(n / self._rate(n) for n in near)
        return Block(arithmetic(count, self.machine) / self.tiles, transfer, far + sum(near))

    def _rate(self, nbytes: float) -> float:
        """Bytes a cycle, of all tiles together."""
        memory = home(self.machine.tile, nbytes)
        return memory.read if self.tiles == 1 else memory.read_all * self.tiles


def arithmetic(count: Count, machine: Machine) -> float:
    """Cycles of one tile: functions as measured, all else at the rate of multiply-adds."""
    tile = machine.tile
    functions = {(name, dtype): cycles for name, dtype, cycles in tile.operations}
    cycles = sum(macs / mac_rate(tile, dtype) for dtype, macs in count.macs.items())
    for (name, dtype), n in count.operations.items():
        if name == "move":
            continue
        known = functions.get((name, computed(dtype)))
        each = known / lanes(tile, dtype) if known else 1 / (2 * mac_rate(tile, computed(dtype)))
        cycles += n * each
    return cycles


def _cut(graph: Graph) -> Iterator[tuple[list[Node], list[Value]]]:
    """The nodes of each block, and the values with which it begins and ends."""
    begun, before = 0, []
    for end, value in _least(_necks(graph)):
        yield list(graph.nodes[begun:end]), [*before, value]
        begun, before = end, [value]
    made = {v for node in graph.nodes for v in node.outputs}
    yield list(graph.nodes[begun:]), [*before, *made.intersection(graph.outputs)]


def _necks(graph: Graph) -> list[tuple[int, Value]]:
    """After how many nodes a single value is alive, and which."""
    last: dict[Value, int] = {}
    for number, node in enumerate(graph.nodes):
        last |= dict.fromkeys(node.inputs, number)
    last |= dict.fromkeys(graph.outputs, len(graph.nodes))
    still = set(graph.inputs)
    alive: set[Value] = set()
    necks = []
    for number, node in enumerate(graph.nodes):
        if node.op in _STILL and still.issuperset(node.inputs):
            still.update(node.outputs)
            continue
        alive.update(node.outputs)
        alive = {value for value in alive if last.get(value, -1) > number}
        if len(alive) == 1:
            (value,) = alive
            necks.append((number + 1, value))
    return necks


def _least(necks: Sequence[tuple[int, Value]]) -> Iterator[tuple[int, Value]]:
    """Those smaller than their neighbours; of several of one size, the last."""
    sizes = [value.type.nbytes for _, value in necks]
    falls = False
    for neck, size, after in zip(necks, sizes, sizes[1:], strict=False):
        if after > size and falls:
            yield neck
        falls = after < size or (falls and after == size)

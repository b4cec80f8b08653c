"""Rewrite: products of packed matrices skip the blocks that are zero.

In: a graph, and which lines of some inputs, all of them panels, are not zero. Out: the same
function of what is left of those panels, or the same graph. A program's weights are data, but where
they are zero may be known before it runs: what a user binds, and what a function closes over, is
looked at once it is packed (`Stages.thinned`). So however weights came to be zero (pruned by
whomever, masked in the function, blocks on a diagonal), and wherever they are read (dense layers,
gates of an LSTM in a loop or tick by tick, convolutions of one tap, which are products), they are
skipped. The pattern is part of the program: new weights in an old one are found in the cache.

Whether, and in what blocks, is a matter of cost (`machine/cost.py`): multiply-adds and bytes of
what is left, and a look-up a block. Where that saves less than a tenth the product stays dense: at
density 0.87 and more, or where all of it lies in the nearest memory for a few columns. (There, of
one row, at 0.6 and more.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tilewright.graph.ir import Builder, Graph, Node, Type, Value
from tilewright.graph.law import LANES
from tilewright.graph.pattern import Pattern, patterns
from tilewright.machine.cost import Count, price
from tilewright.machine.machine import Machine, Tile

MOST = 0.9
"""Of the dense product's price, up to which blocks are skipped."""
LOOK_UP, BESIDE = 1.0, 0.25
"""Moves that finding a block takes the time of: its place, and the rows there; and where that goes
on while blocks are on their way from beyond the nearest memory. (A row by 160 ... 1024 columns of
as many terms, Zen 4, 0.8 of the blocks left: those of 16 x 16 take 0.78 to 0.87 of the dense time,
of 4 x 16 0.75 to 0.96, of 1 x 16 0.88 to 0.97.)"""
ALONE = 1.45
"""Times as long as lines of whole panels take, where those lie in the nearest of several memories
and meet a single row, of which each line asks for its own terms. (64 x 64: of half of the blocks of
4 x 16 0.72 of the dense time, of 0.7 as long, of 0.8 1.2 times; of two rows, 0.9 times.)"""
OVERHEAD = 1.03
"""Of the work on blocks, over that on as many lines of whole panels."""


def depth_of(kind: Type) -> int | None:
    """How many k lie side by side in an array that may be panels; None where it is none."""
    shape = kind.shape
    is_panels = len(shape) == 4 and shape[2] == LANES and shape[3] in (1, 2, 4)
    return shape[3] if is_panels and kind.dtype in ("float32", "bfloat16", "int8") else None


def chosen(graph: Graph, lines: Mapping[int, np.ndarray], machine: Machine) -> dict[int, Pattern]:
    """The patterns of those inputs whose products had better skip blocks, by position."""
    found = {}
    for position, some in lines.items():
        value = graph.inputs[position]
        products = _products(graph, value)
        depth = depth_of(value.type)
        if products and depth:
            best = _best(products, some, depth, value.type, machine)
            if best is not None:
                found[position] = best
    return found


def _products(graph: Graph, panels: Value) -> list[Node] | None:
    """All that reads panels, here and in bodies; None where something else than products does."""
    if panels in graph.outputs:
        return None
    found: list[Node] = []
    for node in graph.nodes:
        for position in (i for i, value in enumerate(node.inputs) if value is panels):
            inside = _inside(node, position)
            if node.op == "dot_packed" and position == 1 and not node.params.get("pairs"):
                found.append(node)
            elif inside is None:
                return None
            for body, value in inside or ():
                products = _products(body, value)
                if products is None:
                    return None
                found += products
    return found


def _inside(node: Node, position: int) -> list[tuple[Graph, Value]] | None:
    """Bodies that see an operand of a node, as it is, and what stands for it there."""
    if not node.bodies:
        return None
    if node.op == "branch":
        return [(body, body.inputs[position - 1]) for body in node.bodies] if position else None
    if position >= node.params["consts"]:
        return None
    return [(body, body.inputs[position]) for body in node.bodies]


def _best(
    products: Sequence[Node], lines: np.ndarray, depth: int, panels: Type, machine: Machine
) -> Pattern | None:
    k = products[0].inputs[0].shape[1]
    if any(node.inputs[0].shape[1] != k for node in products) or k != lines.shape[1] * depth:
        return None  # the last line is not whole
    rows = sum(node.inputs[0].shape[0] for node in products)
    return best_pattern(rows, lines, depth, panels, machine)


def best_pattern(
    rows: int, lines: np.ndarray, depth: int, kind: Type, machine: Machine, dearer: float = 1.0
) -> Pattern | None:
    """The cheapest way to skip lines of a matrix that so many rows meet; None: to do it whole.

    `dearer`: times as long as packed blocks take.
    """

    tile = machine.tile
    whole = price(_work(rows, kind.size, kind.nbytes), tile, kind.nbytes)
    least, best = MOST * whole.cycles, None
    for pattern in patterns(lines, depth):
        share = OVERHEAD * pattern.density
        nbytes = kind.nbytes * share
        found = price(_work(rows, kind.size * share, nbytes), tile, nbytes)
        alone = rows == 1 and nbytes <= _nearest(tile)
        look_up = BESIDE if found.limit in _beyond(tile) else LOOK_UP
        moves = LANES * pattern.count * look_up
        looked = price(Count(operations={("move", "float32"): moves}), tile)
        taken = dearer * ((ALONE if alone else 1.0) * found.cycles + looked.cycles)
        if taken < least:
            least, best = taken, pattern
    return best


def _nearest(tile: Tile) -> int:
    """Bytes of the nearest of several memories; of a single one, none."""
    return tile.memories[0].size if len(tile.memories) > 1 else 0


def _beyond(tile: Tile) -> set[str]:
    """The names of memories beyond the nearest."""
    return {memory.name for memory in tile.memories[1:]}


def _work(rows: int, elements: float, nbytes: float) -> Count:
    return Count(macs={"float32": rows * elements}, loads=nbytes)


def with_blocks(graph: Graph, found: Mapping[int, Pattern]) -> Graph:
    """The graph that takes blocks in the place of those inputs."""
    kinds = {}
    for position, pattern in found.items():
        kind = graph.inputs[position].type
        kinds[position] = Type(kind.dtype, (pattern.count, pattern.height, *kind.shape[2:]))
    return _rewritten(graph, found, kinds)


def _rewritten(graph: Graph, found: Mapping[int, Pattern], kinds: Mapping[int, Type]) -> Graph:
    inputs = tuple(Value(kinds[i]) if i in found else value for i, value in enumerate(graph.inputs))
    known = {graph.inputs[i]: (inputs[i], pattern) for i, pattern in found.items()}
    builder = Builder()
    tables: dict[Value, tuple[Value, Value]] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        own = {i: known[value] for i, value in enumerate(node.inputs) if value in known}
        if own and node.op == "dot_packed":
            blocks, pattern = own[1]
            if blocks not in tables:
                places, starts = pattern.tables()
                tables[blocks] = builder.constant(places), builder.constant(starts)
            node = replace(node, op="dot_blocks", inputs=(node.inputs[0], blocks, *tables[blocks]))
        elif own:
            shift = node.op == "branch"
            inside = {i - shift: pattern for i, (_, pattern) in own.items()}
            types = {i - shift: blocks.type for i, (blocks, _) in own.items()}
            given = tuple(own[i][0] if i in own else v for i, v in enumerate(node.inputs))
            bodies = tuple(_rewritten(body, inside, types) for body in node.bodies)
            node = replace(node, inputs=given, bodies=bodies)
        nodes.append(node)
    return replace(graph, inputs=inputs, nodes=(*builder.nodes, *nodes))

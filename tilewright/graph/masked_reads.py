"""Rewrite: masks where tiles share no memory, so that none is a pass of its own.

In: a graph with `masked` (see `ops/blocks.py`). Out: the same function. A mask is a way to read
what is stored (`plan/masked.py`), and stays where a product reads it, or several do. What is on its
way through elementwise work, and is not stored for anybody else, is chosen by a constant (`select`)
as it passes: what a constant says is part of a vertex, and takes no time there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.ops import ELEMENTWISE
from tilewright.graph.ops.blocks import masked as with_zeros
from tilewright.graph.rewrite import Rebuilder, with_bodies

Readers = Mapping[Value, Sequence[Node | None]]


def masked_reads(graph: Graph) -> Graph:
    """The same graph, in all bodies too."""
    new, readers, made = Rebuilder(graph.inputs), graph.readers(), graph.producers()
    chosen: dict[Value, Value] = {}
    for old in graph.nodes:
        node = with_bodies(new.renamed(old), masked_reads)
        new.source = node.source
        if node.op in ELEMENTWISE:
            node = replace(node, inputs=tuple(chosen.get(value, value) for value in node.inputs))
        new.keep(node)
        if node.op == "masked" and _passes(old, readers, made):
            chosen[node.output] = _select(new, node)
    outputs = [chosen.get(value, value) for value in new.read_all(graph.outputs)]
    return replace(Graph(new.inputs, tuple(new.nodes), tuple(outputs)), law=graph.law,
                   state=graph.state)  # fmt: skip


def _passes(node: Node, readers: Readers, made: Mapping[Value, Node]) -> bool:
    """Whether elementwise work makes what is masked, or goes on with it alone."""
    maker, after = made.get(node.inputs[0]), readers.get(node.output, ())
    if maker is not None and maker.op in ELEMENTWISE:
        return any(reader is None or reader.op in ELEMENTWISE for reader in after)
    return len(after) == 1 and after[0] is not None and after[0].op in ELEMENTWISE


def _select(new: Rebuilder, node: Node) -> Value:
    (matrix,) = node.inputs
    kept = with_zeros(np.ones(matrix.shape, bool), **node.params)
    which = new.op("constant", value=kept)
    zero = new.op("constant", value=np.zeros((), matrix.type.numpy))
    zeros = new.op("broadcast", zero, shape=matrix.shape, dimensions=())
    return new.op("select", which, zeros, matrix)

"""A graph under another law of sums than the host's.

In: a graph as traced, the name of a law. Out: the same graph, under that law. Each product and each
reduction says how many terms a leaf of its has, where it is not the host's number, and each product
whether its terms are taken in pairs, so that parts of it, whatever later rewrites cut it into, are
taken in the same order. Kernels of convolutions lie in pairs from here on, as the instruction that
multiplies those reads them.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from tilewright.errors import ArgumentError
from tilewright.graph import law as laws
from tilewright.graph.ir import Graph, Node, Value
from tilewright.graph.law import LAWS, LEAF
from tilewright.graph.rewrite import Rebuilder


def by_law(graph: Graph, law: str | None) -> Graph:
    """Raises `ArgumentError` for a law that there is not."""
    if law is not None and law not in LAWS:
        raise ArgumentError(f"law must be {' or '.join(map(repr, LAWS))}, not {law!r}.")
    if law is None or law == graph.law:
        return graph
    return replace(_inside(graph, law), law=law)


def _inside(graph: Graph, law: str) -> Graph:
    new = Rebuilder(graph.inputs)
    for old in graph.nodes:
        node = new.renamed(_node(old, law))
        new.source = node.source
        if law == "pairs" and _convolves_pairs(node):
            new.replace(node.outputs, [_in_pairs(new, node)])
        else:
            new.keep(node)
    return replace(new.finish(graph.outputs), state=graph.state)


def _node(node: Node, law: str) -> Node:
    if node.bodies:
        node = replace(node, bodies=tuple(_inside(body, law) for body in node.bodies))
    leaf = laws.leaf_of(law, terms) if (terms := terms_of(node)) else LEAF
    said = {} if leaf == LEAF else {"leaf": leaf}
    if law == "pairs" and (_has_pairs(node) or _takes_pairs_back(node) or _sums_pairs(node)):
        said["pairs"] = True
    return replace(node, params={**node.params, **said}) if said else node


def _has_pairs(node: Node) -> bool:
    if node.op != "dot" or {value.dtype for value in node.inputs} != {"bfloat16"}:
        return False
    contract, batch = node.params["contract"], node.params["batch"]
    left, right = (len(value.shape) for value in node.inputs)
    leading = tuple(range(len(contract[0])))
    one = len(leading) == 1 or (contract == (leading, leading) and not any(batch))
    one = one and node.params["dtype"] in ("float32", "bfloat16")
    return one and laws.dot_order(left, right, contract, batch) == "sequence"


def _takes_pairs_back(node: Node) -> bool:
    """A data gradient, whose kernel stays as it is."""
    if node.op != "conv_data" or {value.dtype for value in node.inputs} != {"bfloat16"}:
        return False
    return node.inputs[1].shape[4] % 2 == 0 and node.params["dtype"] in ("float32", "bfloat16")


def _sums_pairs(node: Node) -> bool:
    """The gradient of a kernel, whose pairs are of positions."""
    if node.op != "conv_filter" or {value.dtype for value in node.inputs} != {"bfloat16"}:
        return False
    return node.inputs[1].shape[2] > 1 and node.params["dtype"] in ("float32", "bfloat16")


def _convolves_pairs(node: Node) -> bool:
    if node.op != "conv" or {value.dtype for value in node.inputs} != {"bfloat16"}:
        return False
    return node.inputs[1].shape[3] % 2 == 0 and node.params["dtype"] in ("float32", "bfloat16")


def _in_pairs(new: Rebuilder, node: Node) -> Value:
    image, kernel = node.inputs
    groups, kh, kw, channels, out = kernel.shape
    kernel = new.op("reshape", kernel, shape=(groups, kh, kw, channels // 2, 2, out))
    kernel = new.op("transpose", kernel, permutation=(0, 1, 2, 3, 5, 4))
    return new.op("conv", image, kernel, **node.params, pairs=True)


def terms_of(node: Node) -> int:
    """How many terms each of its sums has; 0: it sums nothing."""
    if node.op == "dot":
        axes = node.params["contract"][0]
    elif node.op == "reduce":
        axes = node.params["axes"]
    else:
        return 0
    return prod(node.inputs[0].shape[axis] for axis in axes)


def leaf_of(node: Node) -> int:
    """Of a product or a reduction."""
    return node.params.get("leaf", LEAF)

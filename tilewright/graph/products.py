"""Rewrite: products in the form that suits what comes after them.

- A product whose contracted length is 1 is an elementwise one, and fuses with its neighbours.
- A transposed product of two matrices is the product with its operands swapped.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import prod

from tilewright.graph.ir import Builder, Graph, Node, Value

SIXTEEN = ("bfloat16", "float16")


def simplify_products(graph: Graph) -> Graph:
    """The same graph, in all bodies too."""
    builder = Builder()
    builder.inputs = graph.inputs
    uses = Counter(v for node in graph.nodes for v in node.inputs) + Counter(graph.outputs)
    producers = graph.producers()
    renamed: dict[Value, Value] = {}
    swapped: set[Node] = set()
    for node in graph.nodes:
        transpose = _swappable(node, producers, uses)
        if transpose is not None:
            swapped.add(transpose)
    gone = {product.output for product in swapped}
    for node in graph.nodes:
        inputs = tuple(renamed.get(v, v) for v in node.inputs)
        bodies = tuple(simplify_products(body) for body in node.bodies)
        node = Node(node.op, inputs, node.outputs, node.params, bodies, node.source)
        builder.source = node.source
        if node.op == "dot" and _is_outer(node):
            renamed[node.output] = _multiply(builder, node)
        elif node.op == "transpose" and producers.get(node.inputs[0]) in swapped:
            product = producers[node.inputs[0]]
            operands = tuple(renamed.get(v, v) for v in product.inputs)
            renamed[node.output] = swap(builder, replace(product, inputs=operands))
        elif node.outputs[0] in gone:
            continue
        else:
            builder.nodes.append(node)
    return builder.graph(renamed.get(v, v) for v in graph.outputs)


def _swappable(node: Node, producers: dict[Value, Node], uses: Counter) -> Node | None:
    """The product that a transpose turns round, if nobody else reads it."""
    if node.op != "transpose" or tuple(node.params["permutation"]) != (1, 0):
        return None
    product = producers.get(node.inputs[0])
    if product is None or not is_swappable(product) or uses[product.output] != 1:
        return None
    return product


def is_swappable(node: Node) -> bool:
    """Whether it is a product of two matrices, which the other way round is its transpose."""
    plain = node.op == "dot" and not node.params["batch"][0] and not _is_outer(node)
    return plain and all(len(v.shape) == 2 for v in (*node.inputs, node.output))


def swap(builder: Builder, product: Node) -> Value:
    """The transpose of such a product."""
    lhs, rhs = product.inputs
    params = dict(product.params) | {"contract": tuple(reversed(product.params["contract"]))}
    return builder.op("dot", rhs, lhs, **params)


def _is_outer(node: Node) -> bool:
    contract, _ = node.params["contract"]
    lhs = node.inputs[0]
    same = {v.dtype for v in (*node.inputs, *node.outputs)}
    return (
        prod(lhs.shape[i] for i in contract) == 1
        and len(same) == 1
        and lhs.dtype not in (*SIXTEEN, "bool")
        and node.output.type.size > 1
    )


def _multiply(builder: Builder, node: Node) -> Value:
    """Broadcast both operands to (batch, lhs free, rhs free) and multiply."""
    contract, batch = node.params["contract"], node.params["batch"]
    shape, rank = node.output.shape, len(batch[0])
    sides, at = [], rank
    for value, contracted, batched in zip(node.inputs, contract, batch, strict=True):
        free = [i for i in range(len(value.shape)) if i not in (*contracted, *batched)]
        order = (*batched, *free, *contracted)
        if order != tuple(range(len(order))):
            value = builder.op("transpose", value, permutation=order)
        kept = value.shape[: len(order) - len(contracted)]
        value = builder.op("reshape", value, shape=kept)
        places = (*range(rank), *range(at, at + len(free)))
        at += len(free)
        sides.append(builder.op("broadcast", value, shape=shape, dimensions=places))
    return builder.op("mul", *sides)

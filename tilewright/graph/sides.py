"""An operand of a product, and which of its dimensions are what."""

from __future__ import annotations

from math import prod

from tilewright.frozen import frozen
from tilewright.graph.ir import Node, Value
from tilewright.graph.law import dot_order
from tilewright.graph.rewrite import Rebuilder


@frozen
class Side:
    """`value` with its batch and contracted dimensions, in the product's order."""

    value: Value
    batch: tuple[int, ...]
    contract: tuple[int, ...]

    @property
    def free(self) -> tuple[int, ...]:
        taken = (*self.batch, *self.contract)
        return tuple(i for i in range(len(self.value.shape)) if i not in taken)

    @property
    def width(self) -> int:
        return prod(self.value.shape[i] for i in self.free)

    @property
    def terms(self) -> int:
        """The contracted length."""
        return prod(self.value.shape[i] for i in self.contract)

    def ordered(self, order: tuple[int, ...], value: Value) -> Side:
        """The same operand as `value`, whose dimensions are these ones."""
        batch, contract = (tuple(map(order.index, axes)) for axes in (self.batch, self.contract))
        return Side(value, batch, contract)


def sides_of(node: Node) -> list[Side]:
    """Of a `dot`."""
    pairs = zip(node.inputs, node.params["batch"], node.params["contract"], strict=True)
    return [Side(*pair) for pair in pairs]


def is_lanes(sides: list[Side]) -> bool:
    """Whether the law takes the product in lanes: an operand has no free dimension."""
    (left, right), ranks = sides, [len(side.value.shape) for side in sides]
    contract, batch = (left.contract, right.contract), (left.batch, right.batch)
    return dot_order(ranks[0], ranks[1], contract, batch) == "lanes"


def folded(new: Rebuilder, side: Side) -> Side:
    """The operand before its transposes, while its free dimensions keep their order."""
    while (maker := new.producer(side.value)) is not None and maker.op == "transpose":
        order = tuple(maker.params["permutation"])
        batch, contract, free = (
            tuple(order[i] for i in axes) for axes in (side.batch, side.contract, side.free)
        )
        if free != tuple(sorted(free)):
            break
        side = Side(maker.inputs[0], batch, contract)
    return side


def lies(side: Side, order: tuple[int, ...]) -> bool:
    """Whether the operand's dimensions lie in this order; those of one element lie anywhere."""
    shape = side.value.shape
    kept = [i for i in order if shape[i] != 1]
    return kept == sorted(kept)

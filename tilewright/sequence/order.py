"""The order of layers in a file that keeps none: each takes what the one before it gives.

In: names of layers, with the features that they take and give. Out: the names in order, where only
one order is possible; or where they differ in their numbers alone, which then say it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice

from tilewright.errors import UnsupportedError

Widths = Mapping[str, tuple[int, int]]
"""Features that a layer takes and gives, by its name."""


def in_order(widths: Widths, given: int | None = None) -> list[str]:
    """`given` are the features before the first layer, if they are known.

    Raises `UnsupportedError` where several orders are possible, or none is.
    """
    if len({re.sub(r"\d+", "", name) for name in widths}) == 1:
        return sorted(widths, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])
    orders = list(islice(_orders(widths, given, set()), 2))
    if len(orders) != 1:
        names = ", ".join(sorted(widths))
        how = "in several orders" if orders else "in no order"
        raise UnsupportedError(
            f"{names}: this file does not keep the order of layers, and these fit together {how}. "
            "Give the module, or its state_dict()."
        )
    return orders[0]


def _orders(left: Widths, given: int | None, dead: set) -> Iterator[list[str]]:
    """`dead` are widths from which no order leads on: layers of the same widths end alike."""
    if not left:
        yield []
    state = given, tuple(sorted(left.values()))
    if not left or state in dead:
        return
    is_dead = True
    for name, (takes, gives) in left.items():
        if given is None or takes == given:
            rest = {other: own for other, own in left.items() if other != name}
            for order in _orders(rest, gives, dead):
                is_dead = False
                yield [name, *order]
    if is_dead:
        dead.add(state)

"""Layers of a file that keeps no order: each takes what the one before it gives."""

import pytest

from tilewright import UnsupportedError
from tilewright.sequence.order import in_order


def test_the_only_order():
    assert in_order({"a": (5, 2), "b": (3, 4), "c": (4, 5)}) == ["b", "c", "a"]
    assert in_order({"a": (5, 2), "b": (2, 5)}, given=2) == ["b", "a"]
    assert in_order({}, given=3) == []
    assert in_order({"l.10": (3, 3), "l.9": (3, 3)}) == ["l.9", "l.10"]


@pytest.mark.parametrize("outputs", [7, 6])
def test_many_layers_alike_are_refused_at_once(outputs):
    """There are 40! orders of them to try."""
    widths = {chr(ord("a") + i) * 3: (6, 6) for i in range(26)} | {"out": (outputs, 2)}
    widths |= {chr(ord("A") + i) * 3: (6, 6) for i in range(14)}
    how = "several orders" if outputs == 6 else "no order"
    with pytest.raises(UnsupportedError, match=f"these fit together in {how}"):
        in_order(widths, given=6)

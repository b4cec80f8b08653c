"""Sixteen lanes that lie in registers of their own become one, in the order of the law.

In: one register for each of 16 lanes (None: it got no term). Out: their combination: l + (l + 8),
then l + (l + 4), l + (l + 2), l + (l + 1). Lanes are given in the order in which that tree, walked
from left to right, meets them: so few of them need to be alive at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

QUARTERS = (0, 2, 1, 3)
"""The first lanes of (l, l + 4, l + 8, l + 12), as the tree meets them."""

Lane = str | None


def halved(lanes: Sequence[Lane], combine: Callable[[str, str], str], start: str) -> str:
    """Lanes by quarters: 0 4 8 12, 2 6 10 14, 1 5 9 13, 3 7 11 15; `start` is what an empty one is.

    A start is combined like any other value (-0 + 0 is 0), but twice in a row it changes nothing.
    """
    quarters = []
    for i in range(0, len(lanes), 4):
        a, b, c, d = lanes[i : i + 4]
        quarters.append(
            _pair(
                _pair(_Part(a), _Part(c), combine, start),
                _pair(_Part(b), _Part(d), combine, start),
                combine,
                start,
            )
        )
    left, right = (_pair(quarters[i], quarters[i + 1], combine, start) for i in (0, 2))
    return _pair(left, right, combine, start).value or start


class _Part:
    """A value, and whether a start was the last that it was combined with."""

    def __init__(self, value: Lane, settled: bool = False):
        self.value, self.settled = value, settled


def _pair(x: _Part, y: _Part, combine: Callable[[str, str], str], start: str) -> _Part:
    if x.value is None:
        x, y = y, x
    if x.value is None or (y.value is None and x.settled):
        return x
    if y.value is None:
        return _Part(combine(x.value, start), True)
    return _Part(combine(x.value, y.value))

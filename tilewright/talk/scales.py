"""How long bars are: which groups of a chart share a scale, and which bars are longer than it.

In: the points of a chart, a group a case. Out: `Scales`. What was measured here sets the scale of
its group: beside what others published of a large processor, nobody would see what one image takes
here. Groups whose longest bars are far apart have a scale each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from tilewright.frozen import frozen
from tilewright.talk.figures import MEASURED, Point

FAR = 10.0
"""Times as long, from which on the shorter bar says nothing."""
OWN = "Each group has a scale of its own: lengths compare inside a group alone."
ASIDE = "A group in which nothing was measured here has a scale of its own."
CUT = "A bar with a jagged end is longer than the chart has room for."

Group = tuple[str, str]
"""A case, and a unit: only figures in one unit are drawn to one scale."""


@frozen
class Scales:
    """`longest` is what the full width of a chart stands for, by group; `notes` say so."""

    longest: Mapping[Group, float]
    notes: tuple[str, ...]

    def share(self, p: Point) -> float:
        """Of the width: more than 1 for a bar that is cut."""
        return p.figure.value / self.longest[group_of(p)]


def group_of(p: Point) -> Group:
    return p.case, p.figure.unit


def scales(points: Sequence[Point]) -> Scales:
    """Of one chart."""
    by_group: dict[Group, list[Point]] = defaultdict(list)
    for p in points:
        by_group[group_of(p)].append(p)
    tops = {group: _top(found) for group, found in by_group.items()}
    here = {group for group, found in by_group.items() if _measured(found)}
    here = here or set(tops)
    units = {unit for _, unit in here}
    shared = {unit: [tops[group] for group in here if group[1] == unit] for unit in units}
    own = any(max(each) > FAR * min(each) for each in shared.values())
    longest = {
        group: top if own or group not in here else max(shared[group[1]])
        for group, top in tops.items()
    }
    aside = any(unit in units for group, unit in tops.keys() - here)
    cut = any(p.figure.value > longest[group_of(p)] for p in points)
    said = {OWN: own, ASIDE: aside and not own, CUT: cut}
    return Scales(longest, tuple(note for note, holds in said.items() if holds))


def _measured(points: Sequence[Point]) -> list[float]:
    return [p.figure.value for p in points if p.figure.kind == MEASURED]


def _top(points: Sequence[Point]) -> float:
    """The longest bar of a group that is no more than `FAR` times what was measured here."""
    here = _measured(points)
    most = FAR * max(here) if here else float("inf")
    return max(p.figure.value for p in points if p.figure.value <= most)

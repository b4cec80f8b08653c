"""What a chart says in words: ours against the best peer of each case, in what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.bench import gpu
from tilewright.frozen import frozen
from tilewright.talk.figures import MEASURED, Point, Ratio, is_rate, times_as_fast

OURS = "tilewright"
HALF, LOW, GPU = "bfloat16", "int8", "GPU"
"""What computes in less than float32, in whose names it is; and what is not on the processor."""
KINDS = {"": "float32", HALF: "bfloat16", LOW: "int8, with no larger error", GPU: "on a GPU"}
"""In words."""
LEVEL, SLOWER = "neither faster nor slower", "slower"


@frozen
class Verdict:
    """Ours against the best peer of one case and kind: how many times as fast."""

    kind: str
    mine: Point
    peer: Point
    ratio: Ratio

    @property
    def words(self) -> str:
        """Nothing where ours is faster."""
        if self.ratio.low <= 1 <= self.ratio.high:
            return LEVEL
        return SLOWER if self.ratio.value < 1 else ""

    @property
    def unlike(self) -> str:
        """Of ours that is not in the precision of its peer's kind, what it is in."""
        known = self.kind == GPU or kind_of(self.mine.who) == self.kind
        return "" if known else f"ours in {KINDS[kind_of(self.mine.who)]}"

    def __str__(self) -> str:
        if not self.words:
            return f"{self.ratio} as fast as the best peer, {self.peer.who}"
        return f"{self.words}, {self.ratio}, than {self.peer.who}"


def cases(points: Sequence[Point]) -> list[str]:
    return list(dict.fromkeys(point.case for point in points))


def kind_of(who: str) -> str:
    """HALF, LOW, GPU or, in full precision on the processor, nothing."""
    if who.startswith(gpu.PREFIX):
        return GPU
    return next((kind for kind in (LOW, HALF) if kind in who), "")


def best_peer(points: Sequence[Point], kind: str = "") -> Point | None:
    """Of one case, the fastest of a kind that is not ours; or, if ours is HALF, more precise."""
    half = any(p.who.startswith(OURS) and kind_of(p.who) == HALF for p in points)
    kinds = (kind, "") if kind == HALF and half else (kind,)
    peers = [
        p
        for p in points
        if p.figure.kind == MEASURED and not p.who.startswith(OURS) and kind_of(p.who) in kinds
    ]
    return fastest(peers)


def fastest(points: Sequence[Point]) -> Point | None:
    """By the median of what was measured."""
    if not points:
        return None
    if is_rate(points[0].figure.unit):
        return max(points, key=lambda p: p.figure.value)
    return min(points, key=lambda p: p.figure.value)


def ours(points: Sequence[Point], kind: str = "", most: float | None = None) -> Point | None:
    """Ours of one case: the fastest so precise that errs, if it is LOW, by `most` at most; beside
    HALF or a GPU, where there is none of the kind, in full precision."""
    mine = [p for p in points if p.figure.kind == MEASURED and p.who.startswith(OURS)]
    own = [p for p in mine if kind_of(p.who) == kind]
    if not own and kind in (HALF, GPU):
        own = [p for p in mine if not kind_of(p.who)]
    mine = own
    if kind == LOW and most is not None:
        mine = [p for p in mine if (p.more.get("error") or 0.0) <= most]
    return fastest(mine)


def against_best(points: Sequence[Point], kind: str = "") -> Verdict | None:
    """Of one case; None without a peer, or without one of ours."""
    peer = best_peer(points, kind)
    if peer is None:
        return None
    mine = ours(points, kind, peer.more.get("error"))
    if mine is None:
        return None
    return Verdict(kind, mine, peer, times_as_fast(mine.figure, peer.figure))


def verdicts(points: Sequence[Point]) -> dict[tuple[str, str], Verdict]:
    """By case and kind, of those that have a peer."""
    found = {}
    for case in cases(points):
        here = [p for p in points if p.case == case]
        found |= {(case, kind): against_best(here, kind) for kind in KINDS}
    return {of: verdict for of, verdict in found.items() if verdict is not None}


def sentences(points: Sequence[Point]) -> list[str]:
    """One for each case that has a peer, then for those in lower precision."""
    lines = []
    for (case, kind), found in verdicts(points).items():
        named = f"{case}, {KINDS[kind]}" if kind else case
        lines.append(f"{named}{f' ({found.unlike})' * bool(found.unlike)}: {found}.")
    return lines


def switched(points: Sequence[Point]) -> list[str]:
    """Of the argument: what each thing is worth; with it comes first, then without.

    Where the quartiles of rounds hold 1, that nothing can be told.
    """
    found = []
    for case in cases(points):
        here = [p for p in points if p.case == case]
        if len(here) == 2:
            ratio = times_as_fast(here[0].figure, here[1].figure)
            if ratio.low <= 1 <= ratio.high:
                found.append(f"{case}: {LEVEL} with it than without, {ratio}.")
            else:
                found.append(f"{case}: {ratio} as fast with it as without.")
    return found

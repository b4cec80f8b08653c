"""What a chart says in words: ours against the best peer of each case, in what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.talk.figures import MEASURED, Point, Ratio, is_rate, times_as_fast

OURS = "tilewright"
LOW = "int8"
"""In the name of a peer of lower precision: held against ours of lower precision alone."""


def cases(points: Sequence[Point]) -> list[str]:
    return list(dict.fromkeys(point.case for point in points))


def best_peer(points: Sequence[Point], low: bool = False) -> Point | None:
    """Of one case, the fastest that is not ours, in full or in low precision."""
    peers = [
        p
        for p in points
        if p.figure.kind == MEASURED and not p.who.startswith(OURS) and (LOW in p.who) == low
    ]
    return fastest(peers)


def fastest(points: Sequence[Point]) -> Point | None:
    """By the median of what was measured."""
    if not points:
        return None
    if is_rate(points[0].figure.unit):
        return max(points, key=lambda p: p.figure.value)
    return min(points, key=lambda p: p.figure.value)


def ours(points: Sequence[Point], low: bool = False, most: float | None = None) -> Point | None:
    """Ours of one case: in full precision, or the fastest low one that errs by `most` at most."""
    mine = [p for p in points if p.figure.kind == MEASURED and p.who.startswith(OURS)]
    if not low:
        return next((p for p in mine if LOW not in p.who), None)
    errors = {p.who: p.more.get("error") for p in mine}
    return fastest(
        [p for p in mine if LOW in p.who and (most is None or (errors[p.who] or 0.0) <= most)]
    )


def against_best(points: Sequence[Point], low: bool = False) -> tuple[Point, Ratio] | None:
    """The best peer of one case, and how many times as fast ours is; None without a peer."""
    peer = best_peer(points, low)
    if peer is None:
        return None
    mine = ours(points, low, peer.more.get("error") if low else None)
    return None if mine is None else (peer, times_as_fast(mine.figure, peer.figure))


def sentences(points: Sequence[Point]) -> list[str]:
    """One for each case that has a peer, then for those in low precision."""
    found = []
    for case in cases(points):
        here = [p for p in points if p.case == case]
        for low in (False, True):
            pair = against_best(here, low)
            if pair is not None:
                peer, ratio = pair
                kind = ", int8, with no larger error" if low else ""
                found.append(f"{case}{kind}: {_how(ratio)} {peer.who}.")
    return found


def _how(ratio: Ratio) -> str:
    if ratio.low <= 1 <= ratio.high:
        return f"no faster and no slower than ({ratio})"
    if ratio.value >= 1:
        return f"{ratio} as fast as the best peer,"
    return f"slower, {ratio}, than"


def switched(points: Sequence[Point]) -> list[str]:
    """Of the argument: what each thing is worth; with it comes first, then without."""
    found = []
    for case in cases(points):
        here = [p for p in points if p.case == case]
        if len(here) == 2:
            ratio = times_as_fast(here[0].figure, here[1].figure)
            found.append(f"{case}: {ratio} as fast with it as without.")
    return found

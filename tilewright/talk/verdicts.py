"""What a chart says in words: ours against the best peer of each case, in what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.bench import gpu
from tilewright.talk.figures import MEASURED, Point, Ratio, is_rate, times_as_fast

OURS = "tilewright"
HALF, LOW, GPU = "bfloat16", "int8", "GPU"
"""What computes in less than float32, in whose names it is; and what is not on the processor."""


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


def against_best(points: Sequence[Point], kind: str = "") -> tuple[Point, Ratio] | None:
    """The best peer of one case, and how many times as fast ours is; None without a peer."""
    peer = best_peer(points, kind)
    if peer is None:
        return None
    mine = ours(points, kind, peer.more.get("error"))
    return None if mine is None else (peer, times_as_fast(mine.figure, peer.figure))


def sentences(points: Sequence[Point]) -> list[str]:
    """One for each case that has a peer, then for those in lower precision."""
    found = []
    words = {"": "", HALF: ", bfloat16", LOW: ", int8, with no larger error", GPU: ", on a GPU"}
    for case in cases(points):
        here = [p for p in points if p.case == case]
        for kind, said in words.items():
            pair = against_best(here, kind)
            if pair is not None:
                peer, ratio = pair
                found.append(f"{case}{said}: {_how(ratio)} {peer.who}.")
    return found


def _how(ratio: Ratio) -> str:
    if ratio.low <= 1 <= ratio.high:
        return f"neither faster nor slower, {ratio}, than"
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

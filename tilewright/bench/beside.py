"""One contender beside another, as a row: milliseconds of both, and the ratio of their rounds."""

from __future__ import annotations

from typing import Any

from tilewright.bench.level import PRETENDS
from tilewright.bench.record import Row
from tilewright.bench.rounds import Rounds


def beside(
    part: str, name: str, measured: Rounds, mine: str, peer: str, limit: float | None, **told: Any
) -> Row:
    """`limit` is the ratio's bar; `told` is what else the row has."""
    return Row(
        part, name, measured.median(mine) * 1e3, "ms", measured.median(peer) * 1e3, peer,
        *measured.ratio(peer, mine), limit, gflops=measured.gflops, **told,
    )  # fmt: skip


def unless_pretended(limit: float | None) -> float | None:
    """No bar for a peer that does not know of the pretended level, and uses the host's own."""
    return None if PRETENDS else limit

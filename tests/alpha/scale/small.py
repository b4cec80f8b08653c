"""A job of the scale net that takes a second: few days, short chains. Its draws mean nothing."""

from __future__ import annotations

from tests.alpha.market import prices
from tilewright.alpha.scale.settings import ScaleChain, ScaleSettings
from tilewright.alpha.tables import Prices
from tilewright.alpha.walking.windows import windows_of

PRICES = prices(days=430)
SMALL = ScaleSettings(
    ScaleChain(climb=5, warmup=20, rewarm=2, draws=6, doublings=2),
    train=60, test=21, hidden=2, chains=2, sequence=3, rivals="few",
)  # fmt: skip
WINDOWS = windows_of(PRICES.days, SMALL)


def cut(days: int, table: Prices = PRICES) -> Prices:
    """The first days."""
    return Prices(table.days[:days], table.names, table.values[:days], table.source)


class Listener:
    """Keeps what a job says; may stop it after some windows."""

    def __init__(self, stop_after: int | None = None):
        self.stop_after = stop_after
        self.stages: list[str] = []
        self.asked = None
        self.done: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def outlook(self, ask) -> None:
        self.asked = ask

    def window(self, found, done: int, wanted: int) -> None:
        self.done.append(found.day if found else "open")
        if len(self.done) == self.stop_after:
            raise KeyboardInterrupt

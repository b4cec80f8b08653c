"""A job of sequence nets that takes seconds: few days, nets of four units. Nothing is learned."""

from __future__ import annotations

from tests.alpha.market import prices
from tilewright.alpha.tables import Prices
from tilewright.alpha.walking.windows import windows_of
from tilewright.sequence.forward.settings import ForwardSettings

PRICES = prices(days=430)
SMALL = ForwardSettings(
    train=70, test=21, hidden=4, seeds=1, epochs=2, patience=2, batch_size=8, steps_back=16,
    warm_up=8, validation=0.3,
)  # fmt: skip
WINDOWS = windows_of(PRICES.days, SMALL)


def cut(days: int) -> Prices:
    """The first days."""
    return Prices(PRICES.days[:days], PRICES.names, PRICES.values[:days], PRICES.source)

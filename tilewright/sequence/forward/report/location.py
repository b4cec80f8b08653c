"""Whether the nets' mean knows which way returns go, and what trading on it would have come to.

In: a job on densities, finished. Out: `Trading` of its real series, and a sentence. It is worth
something only if the order of stocks is found beyond chance and a book by it earns after costs.
"""

from __future__ import annotations

import numpy as np

from tilewright.alpha.trading import YEAR, Trading, trade
from tilewright.alpha.walking.page import figure
from tilewright.alpha.walking.tally import Lead
from tilewright.sequence.forward.walk import ForwardWalk

LEAST_T = 2.0
"""Standard errors beyond which an order of stocks is taken to be found."""


def trading_of(walk: ForwardWalk) -> Trading | None:
    """None where no day has two stocks: one has no order."""
    prices = walk.prices.values
    forecast, unit = np.full((2, *prices.shape), np.nan)
    for one in walk.scored():
        day, stock = one.places.T
        forecast[day, stock], unit[day, stock] = one.mean[0], one.unit
    if not (np.isfinite(forecast).sum(axis=1) >= 2).any():
        return None
    return trade(forecast, prices, unit)


def location(found: Trading, lead: Lead) -> str:
    """`lead` is that of the nets' squared error over a forecast of 0."""
    mean, error = found.decay[0]
    gross, net = (YEAR * float(series.mean()) for series in (found.gross, found.net))
    worth = "that is before borrowing and impact, and on survivors"
    if not (mean >= LEAST_T * error and net > 0):
        worth = "it is worth nothing"
    return (
        f"Which way returns go: within a day the net's order of the stocks goes with that of their "
        f"next returns by {mean:+.4f} ± {error:.4f} (rank correlation), and its squared error is "
        f"{figure(lead)} to that of 0. Long and short by rank, a day after the forecast, made "
        f"{gross:+.1%} a year before costs and {net:+.1%} after {found.cost:g} basis points a "
        f"trade: {worth}."
    )

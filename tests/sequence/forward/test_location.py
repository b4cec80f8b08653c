"""What an order of stocks is worth: one that is known, one that costs eat, and none."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.sequence.forward.small import PRICES
from tilewright.alpha.trading import trade
from tilewright.alpha.walking.tally import Lead
from tilewright.sequence.forward.report.location import location, trading_of

DAYS, STOCKS = 1500, 20
LEAD = Lead(0.001, 0.001, 0.001, 0.001)


def said(strength: float, keep: float) -> str:
    """Of a forecast that knows `strength` of the next returns, itself `keep` of yesterday's."""
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(size=(2, DAYS, STOCKS))
    for day in range(1, DAYS):
        signal[day] = keep * signal[day - 1] + (1 - keep**2) ** 0.5 * signal[day]
    returns = 0.01 * (strength * signal + noise)
    prices = np.exp(np.cumsum(np.vstack([np.zeros(STOCKS), returns[:-1]]), axis=0))
    return location(trade(signal, prices), LEAD)


def test_a_lasting_order_is_worth_something():
    assert "before borrowing and impact" in said(0.1, 0.98)


def test_an_order_that_costs_eat_is_worth_nothing():
    assert "it is worth nothing" in said(0.03, 0.0)


def test_no_order_is_worth_nothing():
    assert "it is worth nothing" in said(0.0, 0.98)


def job(forecast: np.ndarray, first: int) -> Any:
    """A finished one, with that forecast (days, stocks) of the days from `first` on."""
    places = np.argwhere(np.isfinite(forecast))
    one = SimpleNamespace(
        places=places + [first, 0],
        mean=forecast[tuple(places.T)][None],
        unit=np.full(len(places), 0.01),
    )
    return SimpleNamespace(prices=PRICES, scored=lambda: [one])


def test_forecasts_are_held_against_the_day_after_the_one_they_were_made_on():
    values = PRICES.values
    came = values[101:201] / values[100:200] - 1
    found = trading_of(job(came, 100))
    assert found is not None
    assert list(found.days) == list(range(100, 200))
    assert found.ic == pytest.approx(np.ones(100))


def test_one_stock_has_no_order():
    forecast = np.full((50, PRICES.values.shape[1]), np.nan)
    forecast[:, 0] = 1.0
    assert trading_of(job(forecast, 100)) is None

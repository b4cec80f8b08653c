"""Pieces of a page: what is worst is seen, and lists say what they leave out."""

import numpy as np
import pytest

from tests.alpha.scale.report.made import DAYS, window
from tilewright.alpha.tables import Prices
from tilewright.alpha.walking.page import by_year_and_stock, start_of_bars
from tilewright.alpha.walking.tally import tally


@pytest.mark.parametrize("least", [0.0, 3.0, 69.9, 70.0, 80.4, 82.6, 89.0, 100.0])
def test_the_least_bar_is_seen(least):
    low = start_of_bars(np.array([least, 90.0, np.nan]))
    assert low <= 80
    assert low == 0 or least - low >= 2.5


@pytest.mark.parametrize(("stocks", "last"), [(8, "S7"), (12, "4 more")])
def test_of_many_stocks_some_are_named_and_the_others_counted(stocks, last):
    windows = [window(i, stocks=stocks) for i in range(3)]
    real = tally(lambda: windows, DAYS, stocks)
    real.by_stock[real.models.index("EWMA")] = 0.01 * np.arange(1, stocks + 1)
    names = tuple(f"S{i}" for i in range(stocks))
    prices = Prices(DAYS, names, np.ones((len(DAYS), stocks)), "t")
    text = by_year_and_stock(real, prices, "EWMA")
    assert f"on {stocks} of {stocks} stocks: S0, S1, S2" in text
    assert f" and {last}." in text

"""What looks wrong is said; what a market does is not."""

from dataclasses import replace

import numpy as np
import pytest

from tests.alpha.market import prices
from tilewright.alpha.suspicions import suspicions
from tilewright.alpha.tables import sp500

PRICES = prices(600, 4)


def changed(change, day=slice(None), column=1):
    values = PRICES.values.copy()
    values[day, column] = change(values[day, column])
    return replace(PRICES, values=values)


def volumes(values):
    return np.round(1e6 * np.exp(0.4 * np.random.default_rng(0).normal(size=len(values))))


COLUMN = {
    "volumes": (changed(volumes), "volumes, not prices"),
    "hundredfold": (changed(lambda v: 100 * v, slice(300, 301)), "a typing error"),
    "a tenth": (changed(lambda v: v / 10, slice(300, 303)), "a typing error"),
    "split": (changed(lambda v: v / 4, slice(300, None)), "not adjusted for"),
    "reverse split": (changed(lambda v: v * 10, slice(300, None)), "not adjusted for"),
    "pence": (changed(lambda v: v * 100, slice(300, None)), "not adjusted for"),
    "carried forward": (changed(lambda v: v[0], slice(300, 320)), "stands still for 19 days"),
    "row numbers": (changed(lambda v: np.arange(1.0, len(v) + 1)), "dates or row numbers"),
}


@pytest.mark.parametrize("case", COLUMN)
def test_a_column_that_looks_wrong(case):
    table, words = COLUMN[case]
    (found,) = suspicions(table)
    assert found.column == "S1"
    assert words in found.sentence()
    assert found.day in ("", *PRICES.days[299:302])


@pytest.mark.parametrize("factor", [1.0, 2.5])
def test_columns_that_are_the_same(factor):
    (found,) = suspicions(
        replace(PRICES, values=PRICES.values[:, [0, 1, 2, 0]] * [1, 1, 1, factor])
    )
    assert found.sentence() == "Column S3: has the returns of column S0."


def test_fields_of_one_stock():
    (found,) = suspicions(replace(PRICES, names=("Open", "High", "Low", "Close")))
    assert "one stock, not several" in found.sentence()


def test_holidays_that_were_filled():
    values = PRICES.values.copy()
    values[50::50] = values[49:-1:50]
    (found,) = suspicions(replace(PRICES, values=values))
    assert found.what.startswith("no price changes on 11 days")
    assert found.day == PRICES.days[50]


def test_gaps_between_days():
    start = np.datetime64("2010-01-01")
    weekly = tuple(str(start + 7 * i) for i in range(600))
    torn = tuple(str(start + i + 40 * (i > 300)) for i in range(600))
    (found,) = suspicions(replace(PRICES, days=weekly))
    assert "rows are 7 days apart" in found.sentence()
    (found,) = suspicions(replace(PRICES, days=torn))
    assert found.sentence() == "The table, 2010-10-28: the next row is 41 days later."


def test_markets_are_let_alone():
    assert not [s for seed in range(10) for s in suspicions(prices(600, 4, seed))]
    found = suspicions(sp500())  # crashes by a half included; RRC of 1990 does look wrong
    assert [(s.column, s.day) for s in found] == [("RRC", "1990-04-10"), ("RRC", "1990-01-02")]


def test_what_is_seen_is_seen_beside_gaps():
    values = changed(lambda v: v / 4, slice(300, None)).values.copy()
    values[:50, 1], values[400:410, 2], values[100:, 0] = np.nan, np.nan, np.nan
    table = replace(PRICES, values=values)
    assert [(one.column, one.day) for one in suspicions(table)] == [("S1", PRICES.days[300])]
    values[:, 3] = values[:, 2]
    assert "has the returns of column S2" in suspicions(table)[-1].sentence()


def test_prices_of_a_few_days_are_not_suspicious():
    assert not suspicions(replace(PRICES, values=PRICES.values[:1], days=PRICES.days[:1]))


def test_of_a_few_returns_none_are_anothers():
    """Two stocks of three days: what is left of two returns without their mean is alike."""
    values = PRICES.values.copy()
    values[:-3, 2:] = np.nan
    values[-3:, 2:] = [[100.0, 50.0], [101.0, 52.0], [100.0, 51.0]]
    assert not suspicions(replace(PRICES, values=values))

"""What looks ahead is found, what does not is left in peace."""

import numpy as np
import pandas as pd
import pytest

from tests.alpha.market import prices
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.features import target_and_features
from tilewright.alpha.lookahead import check_lookahead
from tilewright.alpha.scale_features import scale_features
from tilewright.alpha.tables import Prices

TABLE = prices(400)


def test_our_own_features_do_not():
    check_lookahead(lambda p: target_and_features(p.values)[1], TABLE)
    check_lookahead(lambda p: scale_features(p.values, p.days), TABLE)


LEAKS = {
    "the target": lambda p: target_and_features(p.values)[0],
    "a mean of all days": lambda p: p.values - p.values.mean(axis=0),
    "filled backwards": lambda p: pd.DataFrame(p.values).shift(-1).bfill().to_numpy(),
    "how many days there are": lambda p: np.full(len(p.days), len(p.days)),
}


@pytest.mark.parametrize("name", LEAKS)
def test_leaks_are_found(name):
    with pytest.raises(AlphaError, match="looks ahead"):
        check_lookahead(LEAKS[name], TABLE)


def on(chosen):
    """The next day's prices on chosen days, else the day's own."""

    def function(table):
        ahead = np.concatenate([table.values[1:], table.values[-1:]])
        return np.where(chosen(pd.to_datetime(table.days))[:, None], ahead, table.values)

    return function


@pytest.mark.parametrize("weekday", range(5))
def test_leaks_of_one_weekday_are_found(weekday):
    days = pd.bdate_range("2015-01-01", periods=len(TABLE.days)).strftime("%Y-%m-%d")
    table = Prices(tuple(days), TABLE.names, TABLE.values, "weekdays")
    with pytest.raises(AlphaError, match="looks ahead"):
        check_lookahead(on(lambda days: days.weekday == weekday), table)


def test_leaks_at_the_end_of_a_month_are_found():
    with pytest.raises(AlphaError, match="looks ahead"):
        check_lookahead(on(lambda days: days.is_month_end), TABLE)


@pytest.mark.parametrize("dated", [True, False])
def test_gaps_that_are_filled_backwards_are_found(dated):
    values = TABLE.values.copy()
    values[70:74, 1] = np.nan
    days = TABLE.days if dated else tuple(str(i + 1) for i in range(len(values)))
    table = Prices(days, TABLE.names, values, "with a gap")
    check_lookahead(lambda p: pd.DataFrame(p.values).ffill().to_numpy(), table)
    with pytest.raises(AlphaError, match="looks ahead"):
        check_lookahead(lambda p: pd.DataFrame(p.values).bfill().to_numpy(), table)


def test_features_that_need_many_days_are_not_asked_about_a_few():
    """Though an instrument was listed early on."""

    def mean(table):
        found = np.full(table.values.shape, np.nan)
        windows = np.lib.stride_tricks.sliding_window_view(table.values, 100, axis=0)
        found[99:] = windows.mean(axis=-1)
        return found

    values = TABLE.values.copy()
    values[:40, 1] = np.nan
    check_lookahead(mean, Prices(TABLE.days, TABLE.names, values, "listed later"))


def test_a_function_may_write_into_its_table():
    before = TABLE.values.copy()

    def logs(table):
        return np.log(table.values, out=table.values)

    check_lookahead(logs, TABLE)
    np.testing.assert_array_equal(TABLE.values, before)


def test_features_by_name_are_looked_at_together():
    """As `walk` takes them."""
    check_lookahead(lambda p: {"level": p.values, "again": 2 * p.values}, TABLE)
    with pytest.raises(AlphaError, match="looks ahead"):
        check_lookahead(
            lambda p: {"level": p.values, "mean": LEAKS["a mean of all days"](p)}, TABLE
        )


def test_a_function_must_give_a_row_a_day():
    with pytest.raises(AlphaError, match="a row for each of 400 days"):
        check_lookahead(lambda p: p.values[1:], TABLE)

"""Long tables become wide ones."""

import numpy as np
import pandas as pd
import pytest

from tests.alpha.market import prices
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.tables import prices_of, read_prices

TABLE = prices(40)


def long(drop: int | None = None) -> pd.DataFrame:
    frame = pd.DataFrame(TABLE.values, columns=list(TABLE.names))
    frame.insert(0, "Date", list(TABLE.days))
    found = frame.melt("Date", var_name="Symbol", value_name="Close").sample(frac=1, random_state=0)
    found["Volume"] = 7.0
    return found if drop is None else found.drop(index=drop)


@pytest.mark.parametrize("backwards", [False, True])
def test_days_written_day_first_are_in_order(backwards):
    """As texts they would sort by the day of the month."""
    days = pd.date_range("2019-12-20", periods=40).strftime("%d.%m.%Y")
    values = np.arange(1.0, 81).reshape(40, 2)
    table = pd.DataFrame({"date": np.repeat(days, 2), "ticker": ["A", "B"] * 40,
                          "price": values.ravel(), "volume": 7})  # fmt: skip
    found = prices_of(table[::-1] if backwards else table)
    assert found.days[:13:12] == ("2019-12-20", "2020-01-01")
    np.testing.assert_array_equal(found.values, values)


def test_a_long_table_in_any_order_is_the_wide_one():
    found = prices_of(long())
    assert (found.days, found.names) == (TABLE.days, TABLE.names)
    np.testing.assert_array_equal(found.values, TABLE.values)


def test_what_is_missing_is_a_gap_or_a_mistake():
    found = prices_of(long(drop=3), gaps=True)
    assert np.isnan(found.values[3, 0])
    assert np.isnan(found.values).sum() == 1
    with pytest.raises(AlphaError, match="column 'S0', row 4: a price is missing"):
        prices_of(long(drop=3))


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("12,5", "row 8: '12,5' is not a price"),
        (0.0, "row 8: a price is not above zero"),
        (-3.0, "row 8: a price is not above zero"),
        (np.inf, "row 8: a price is infinite"),
    ],
)
def test_what_is_no_price_is_named_by_the_row_it_stands_in(price, said):
    """Rows of the table made wide are nowhere to be seen."""
    frame = long()
    if isinstance(price, str):
        frame["Close"] = frame["Close"].astype(object)
    frame.iloc[7, frame.columns.get_loc("Close")] = price
    with pytest.raises(AlphaError, match=said):
        prices_of(frame, gaps=True)


def test_a_second_price_of_a_day():
    twice = pd.concat([long(), long().iloc[[5]]])
    with pytest.raises(AlphaError, match="a second price of"):
        prices_of(twice)


def test_parts_of_parquet(tmp_path):
    frame = long()
    for year, part in frame.groupby(frame["Date"].str[:7]):
        (tmp_path / "t" / f"month={year}").mkdir(parents=True)
        part.to_parquet(tmp_path / "t" / f"month={year}" / "p.parquet")
    np.testing.assert_array_equal(read_prices(tmp_path / "t").values, TABLE.values)


def test_semicolons_and_decimal_commas(tmp_path):
    frame = pd.DataFrame(TABLE.values.round(3), columns=list(TABLE.names))
    frame.insert(0, "Tag", [f"{d[8:]}.{d[5:7]}.{d[:4]}" for d in TABLE.days])
    frame.to_csv(tmp_path / "t.csv", sep=";", decimal=",", index=False)
    found = read_prices(tmp_path / "t.csv")
    assert found.days == TABLE.days
    np.testing.assert_allclose(found.values, TABLE.values, atol=6e-4)


def test_names_are_without_blanks_and_never_missing():
    table = long().assign(Symbol=lambda frame: frame["Symbol"] + " ")
    assert prices_of(table).names == TABLE.names
    table.iloc[6, table.columns.get_loc("Symbol")] = None
    with pytest.raises(AlphaError, match="row 7: the instrument is missing"):
        prices_of(table, gaps=True)


def test_adjusted_prices_come_before_others():
    frame = long().rename(columns={"Close": "Adj Close"})
    frame["Close"] = 2 * frame["Adj Close"]
    np.testing.assert_array_equal(prices_of(frame).values, TABLE.values)
    camel = frame.rename(columns={"Adj Close": "adjClose"})
    np.testing.assert_array_equal(prices_of(camel).values, TABLE.values)


def test_the_table_itself_stays_as_it_was():
    """Of three columns, all of it is what is made wide."""
    frame = long().drop(columns="Volume")
    frame["Date"] = pd.to_datetime(frame["Date"])
    before = frame.copy()
    prices_of(frame)
    pd.testing.assert_frame_equal(frame, before)

"""Features of the user's own, members by date: read as they are, refused by name, never ahead."""

import numpy as np
import pandas as pd
import pytest

from tests.alpha.market import prices
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.extras import with_features, with_members
from tilewright.alpha.scale.panel import make_panel
from tilewright.alpha.scale_features import HISTORY, NAMES
from tilewright.alpha.tables import Prices, prices_of
from tilewright.alpha.walking.append import appended

TABLE = prices(days=330)
STOCKS = TABLE.names
RNG = np.random.default_rng(0)
SIZE, NEWS = RNG.normal(size=(2, *TABLE.values.shape))
LONG = pd.DataFrame(
    {
        "date": np.repeat(TABLE.days, len(STOCKS)),
        "symbol": STOCKS * len(TABLE.days),
        "size": SIZE.ravel(),
        "news": NEWS.ravel(),
    }
)


def momentum(table: Prices) -> dict[str, np.ndarray]:
    """The last ten days' log return."""
    found = np.full(table.values.shape, np.nan)
    found[10:] = np.log(table.values[10:] / table.values[:-10])
    return {"momentum_10": found}


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_long_table_in_any_order(shuffled):
    table = LONG.sample(frac=1, random_state=1) if shuffled else LONG
    found = with_features(TABLE, table).extras
    assert found.names == ("size", "news")
    np.testing.assert_array_equal(found.features, np.stack([SIZE, NEWS], axis=-1))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file(kind, tmp_path):
    path = tmp_path / f"features.{kind}"
    LONG.to_csv(path, index=False) if kind == "csv" else LONG.to_parquet(path)
    found = with_features(TABLE, path).extras.features
    assert found is not None
    np.testing.assert_allclose(found[..., 0], SIZE)


def test_they_are_columns_of_the_panel_and_a_gap_takes_its_row():
    table = with_features(TABLE, LONG.drop(index=300 * len(STOCKS) + 1))
    panel = make_panel(table, 1)
    assert panel.features.shape[2] == len(NAMES) + 2
    np.testing.assert_allclose(panel.features[-1, :, -2:], [*zip(SIZE[-1], NEWS[-1], strict=True)])
    lost = make_panel(TABLE, 1).there & ~panel.there
    assert np.argwhere(lost).tolist() == [[300, 1]]


def test_a_function_is_called_with_the_prices():
    found = with_features(TABLE, momentum).extras
    assert found.features is not None
    assert found.names == ("momentum_10",)
    np.testing.assert_array_equal(found.features[..., 0], momentum(TABLE)["momentum_10"])


def test_a_function_may_write_into_its_table():
    before = TABLE.values.copy()
    with_features(TABLE, lambda table: {"logs": np.log(table.values, out=table.values)})
    np.testing.assert_array_equal(TABLE.values, before)
    with pytest.raises(AlphaError, match="The feature 'a' does not hold numbers"):
        with_features(TABLE, lambda table: {"a": np.full(table.values.shape, "x")})


def test_instruments_are_named_alike_in_all_tables():
    """By numbers, of which pandas makes 1.0 where one is missing, and with spaces around."""
    days = pd.to_datetime(list(TABLE.days))
    wide = pd.DataFrame(TABLE.values[:, :2], index=days, columns=[10107, 10145])
    prices = prices_of(wide, gaps=True)
    told = pd.DataFrame({"date": days[:3], "permno": [10107.0, np.nan, 10145.0], "f": [1, 2, 3]})
    features = with_features(prices, told).extras.features
    assert features is not None
    np.testing.assert_array_equal(np.isfinite(features).sum(axis=0), [[1], [1]])
    spans = pd.DataFrame({"instrument": [" 10107 "], "from": [None], "to": [None]})
    belongs = with_members(prices, spans).extras.members
    assert belongs is not None
    assert belongs[:, 0].all()
    with pytest.raises(AlphaError, match="two columns of the same name"):
        with_members(prices, spans.set_axis(["instrument", "from", "from"], axis=1))


def test_a_function_that_sees_tomorrow_is_refused():
    def ahead(table):
        return {"tomorrow": np.roll(table.values, -1, axis=0)}

    with pytest.raises(AlphaError, match="looks ahead"):
        with_features(TABLE, ahead)


def test_members_alone_have_rows_and_make_the_context():
    """Who is none changes nothing for the others: as if it had no price that day."""
    first, second, third = STOCKS[:3]
    left, came = TABLE.days[280], TABLE.days[300]
    spans = pd.DataFrame(
        {"instrument": [first, second, third], "from": [None, came, None], "to": [left, None, None]}
    )
    panel = make_panel(with_members(TABLE, spans), 1)
    inside = np.zeros(TABLE.values.shape, bool)
    inside[:281, 0] = inside[300:, 1] = inside[:, 2] = True
    expected = inside.copy()
    expected[:HISTORY] = False
    np.testing.assert_array_equal(panel.there, expected)
    other = TABLE.values.copy()
    other[282:, 0] *= np.exp(RNG.normal(size=len(other) - 282).cumsum() / 50)
    other = Prices(TABLE.days, STOCKS, other, "changed after it left")
    again = make_panel(with_members(other, spans), 1)
    np.testing.assert_array_equal(again.features, panel.features)
    np.testing.assert_array_equal(make_panel(TABLE, 1).features[-1, 2, :10],
                                  panel.features[-1, 2, :10])  # fmt: skip


def test_who_belonged_twice():
    spans = pd.DataFrame(
        {"name": [STOCKS[0]] * 2, "start": ["2000-01-01", TABLE.days[100]],
         "end": [TABLE.days[10], TABLE.days[110]]}
    )  # fmt: skip
    belongs = with_members(TABLE, spans).extras.members
    assert belongs is not None
    assert np.flatnonzero(belongs[:, 0]).tolist() == [*range(11), *range(100, 111)]
    assert not belongs[:, 1:].any()


def test_new_days_bring_theirs():
    rows = 325 * len(STOCKS)
    whole = with_features(TABLE, LONG)
    old, new = (Prices(TABLE.days[part], STOCKS, TABLE.values[part], "part")
                for part in (slice(325), slice(322, None)))  # fmt: skip
    found = appended(with_features(old, LONG[:rows]), with_features(new, LONG[rows:]))
    np.testing.assert_array_equal(found.extras.features, whole.extras.features)
    with pytest.raises(AlphaError, match="give 'news' to both or neither"):
        appended(with_features(old, LONG[:rows]), new)
    spans = pd.DataFrame({"instrument": STOCKS[:1], "from": [TABLE.days[3]], "to": [None]})
    belongs = appended(with_members(old, spans), new).extras.members
    np.testing.assert_array_equal(belongs, with_members(TABLE, spans).extras.members)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="symbol"), "needs columns date and instrument"),
        (lambda t: t[["date", "symbol"]], "one for each feature"),
        (lambda t: pd.concat([t, t[7:8]]), "comes twice on"),
        (lambda t: t.assign(size=np.inf), "'size' has an infinite value"),
        (lambda t: t.assign(size=np.nan), "'size' has no value at all"),
        (lambda t: t.assign(size="large"), "'size' does not hold numbers"),
        (lambda t: t.rename(columns={"size": "move_1"}), "'move_1' already"),
        (lambda t: t.assign(symbol="ACME"), "has no day and instrument of"),
        (lambda t: {"size": 1}, "is not a table"),
        (lambda t: lambda prices: {"size": prices.values[1:]}, "must have the shape of the prices"),
        (lambda t: lambda prices: {}, "gives no feature"),
        (lambda t: "nowhere.csv", "There is no file nowhere.csv"),
    ],
)
def test_features_that_are_none(change, words):
    with pytest.raises(AlphaError, match=words) as raised:
        with_features(TABLE, change(LONG))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"instrument": [STOCKS[0]]}, "needs columns instrument, from and to"),
        ({"instrument": [STOCKS[0]], "from": ["2016-01-05"], "to": ["2016-01-04"]}, "leaves on"),
        ({"instrument": ["ACME"], "from": ["2016-01-05"], "to": [None]}, "no instrument of"),
        ({"instrument": [STOCKS[0]], "from": ["soon"], "to": [None]}, "'soon'"),
    ],
)
def test_members_that_are_none(table, words):
    with pytest.raises(AlphaError, match=words):
        with_members(TABLE, pd.DataFrame(table))


def test_row_numbers_are_no_dates():
    numbered = Prices(tuple(map(str, range(1, 331))), STOCKS, TABLE.values, "rows")
    with pytest.raises(AlphaError, match="days of rows are row numbers"):
        with_features(numbered, LONG)

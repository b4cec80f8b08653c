"""Days of tables, however they are written."""

from datetime import date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from tests.alpha.market import prices
from tilewright.alpha.dates import dates_of
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.tables import prices_of, read_prices

DAYS = pd.bdate_range("2020-02-20", periods=40)  # over a change of clocks in New York
ISO = tuple(DAYS.strftime("%Y-%m-%d"))
VALUES = prices(40).values
NAMES = ("S0", "S1", "S2")
TOKYO, NEW_YORK = DAYS.tz_localize("Asia/Tokyo"), DAYS.tz_localize("America/New_York")
SECONDS = DAYS.astype("datetime64[s]").astype(np.int64)

FORMS = {
    "ISO": list(ISO),
    "day first": list(DAYS.strftime("%d/%m/%Y")),
    "month first": list(DAYS.strftime("%m/%d/%Y")),
    "words": list(DAYS.strftime("%d %B %Y")),
    "times": list(DAYS.strftime("%Y-%m-%d 16:00:00")),
    "mixed": [*ISO[:3], *(f"{day} 16:00" for day in ISO[3:])],
    "Tokyo": [str(day) for day in TOKYO],
    "New York": [str(day) for day in NEW_YORK],
    "Zulu": [f"{day}T00:00:00Z" for day in ISO],
    "digits": list(DAYS.strftime("%Y%m%d")),
    "calendar": [int(day) for day in DAYS.strftime("%Y%m%d")],
    "calendar, as floats": [float(day) for day in DAYS.strftime("%Y%m%d")],
    "seconds": list(SECONDS),
    "milliseconds": list(SECONDS * 1000),
    "nanoseconds": list(SECONDS * 10**9),
    "dates": [day.date() for day in DAYS],
    "datetimes of a zone": list(NEW_YORK.to_pydatetime()),
    "numpy": list(DAYS.to_numpy()),
    "periods": list(DAYS.to_period("D")),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_day(form):
    assert dates_of(FORMS[form], "it") == ISO


@pytest.mark.parametrize("form", FORMS)
def test_first_column_and_index(form, tmp_path):
    frame = pd.DataFrame(VALUES, columns=list(NAMES))
    frame.insert(0, "when", FORMS[form])
    index = frame.set_index("when")
    for table in (frame, index, index.rename_axis(None)):
        found = prices_of(table)
        assert (found.days, found.names) == (ISO, NAMES)
        np.testing.assert_array_equal(found.values, VALUES)
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert read_prices(tmp_path / "t.csv").days == ISO


@pytest.mark.parametrize(
    "zone", [TOKYO, NEW_YORK, DAYS.tz_localize("UTC")], ids=lambda z: str(z.tz)
)
def test_days_are_those_of_the_zone(zone):
    frame = pd.DataFrame(VALUES, columns=list(NAMES), index=zone)
    assert prices_of(frame).days == ISO
    assert prices_of(frame.rename_axis("t").reset_index()).days == ISO


def test_periods_count_when_they_end():
    frame = pd.DataFrame(VALUES, index=pd.period_range("2020-01", periods=40, freq="M"))
    assert prices_of(frame).days[:2] == ("2020-01-31", "2020-02-29")


@pytest.mark.parametrize("numbers", [range(40), range(1, 41), range(300, 340)], ids=str)
@pytest.mark.parametrize("name", ["row", "Unnamed: 0", "date"])
def test_row_numbers_are_no_stock(numbers, name):
    frame = pd.DataFrame(VALUES, columns=list(NAMES))
    frame.insert(0, name, list(numbers))
    assert prices_of(frame).names == NAMES
    assert prices_of(frame).days[:2] == ("1", "2")
    assert prices_of(frame.set_index(name)).names == NAMES


def test_prices_are_prices():
    frame = pd.DataFrame(np.round(100 * VALUES), columns=list(NAMES))
    assert prices_of(frame).names == NAMES
    assert prices_of(frame.iloc[[0, 1, 5, 9]]).names == NAMES  # an index with gaps


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["2020-01-01", "foo"], "it, row 2: 'foo' is not a date."),
        (["foo", "2020-01-01"], "it holds neither numbers nor dates: row 1 is 'foo'."),
        (["2020-01-01", None], "it, row 2: the date is missing."),
        ([date(2020, 1, 1), pd.NaT], "it, row 2: the date is missing."),
        ([True, False], "it holds neither numbers nor dates: row 1 is True."),
        ([7.0, 11.0, 19.0], "it holds numbers from 7 to 19, which are neither dates"),
    ],
    ids=str,
)
def test_what_is_no_day_is_said(values, words):
    with pytest.raises(AlphaError) as caught:
        dates_of(values, "it")
    assert str(caught.value).startswith(words)


def test_order_is_checked_wherever_days_are():
    frame = pd.DataFrame(VALUES, columns=list(NAMES))
    late = datetime(2020, 1, 9, tzinfo=timezone(timedelta(hours=9)))
    for days in (
        list(ISO[::-1]),
        [int(day.replace("-", "")) for day in ISO[::-1]],
        list(SECONDS[::-1]),
        [late, *(late.replace(day=1) for _ in range(39))],
        list(DAYS[::-1].to_period("D")),
    ):
        for table in (frame.set_axis(days), frame.assign(day=days)[["day", *NAMES]]):
            with pytest.raises(AlphaError, match=r"row 2: .* does not come after"):
                prices_of(table)
    with pytest.raises(AlphaError, match=r"row 2: the index does not rise \(39 to 38\)"):
        prices_of(frame.iloc[::-1])


def test_days_that_may_be_read_two_ways_are_refused():
    with pytest.raises(AlphaError, match="row 1: '10/09/2019' may be 2019-10-09 or 2019-09-10"):
        dates_of(["10/09/2019", "11/09/2019"], "it")
    assert dates_of(["10/09/2019", "13/09/2019"], "it") == ("2019-09-10", "2019-09-13")
    assert dates_of(["10.09.2019", "11.09.2019"], "it") == ("2019-09-10", "2019-09-11")
    assert dates_of(["09/09/2019"], "it") == ("2019-09-09",)


def test_after_the_year_comes_the_month():
    assert dates_of(["2019/9/10", "2019/09/11"], "it") == ("2019-09-10", "2019-09-11")
    with pytest.raises(AlphaError, match="row 1 is '2019-13-10'"):
        dates_of(["2019-13-10"], "it")


@pytest.mark.parametrize("form", ["{} 4:00 PM", "{}, 16:00", "{} Mon"])
def test_whatever_comes_after_the_day(form):
    for days in ("2019-09-10", "2019-12-13"), ("2019/9/10", "2019/12/13"):
        written = [form.format(day) for day in days]
        assert dates_of(written, "it") == ("2019-09-10", "2019-12-13")
    with pytest.raises(AlphaError, match="row 1 is '2019-13-10"):
        dates_of([form.format("2019-13-10")], "it")


def test_the_row_that_may_be_read_two_ways_is_named():
    with pytest.raises(AlphaError, match="row 3: '10/09/2019' may be"):
        dates_of([date(2019, 9, 8), date(2019, 9, 9), "10/09/2019"], "it")

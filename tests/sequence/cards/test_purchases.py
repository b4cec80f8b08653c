"""Purchases from arrays and frames: what is refused, and when a label is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.sequence.cards.worlds import small
from tilewright.errors import ArgumentError
from tilewright.sequence.cards import features
from tilewright.sequence.cards.purchases import DAY, Purchases

FRAME = pd.DataFrame(
    {
        "time": pd.to_datetime(["2024-03-02 08:00", "2024-03-01 12:00", "2024-03-03 00:30"]),
        "card": ["b", "a", "b"],
        "terminal": ["x", "y", "x"],
        "amount": [10.0, 25.5, 3.0],
        "fraud": [0, 1, 0],
    }
)


def changed(column, row, value):
    given = small()
    array = getattr(given, column).copy()
    array[row] = value
    return replace(given, **{column: array})


@pytest.mark.parametrize(
    "column, row, value, sentence",
    [
        ("known", 7, -1.0, "The label of row 7 is dated before its purchase, by"),
        ("amount", 3, -5.0, "amount must be from 0 to 1e9: in row 3 it is -5"),
        ("amount", 3, np.nan, "amount is missing in row 3"),
        ("time", 5, 1e7, "time must not go back: it does in row 6"),
        ("time", 5, -1.0, "within 30 years from its start: in row 5 it is -1"),
        ("card", 2, -1, "card must be a whole number from 0 to 8,388,607: in row 2 it is -1"),
        ("kind", 4, 9, "kind must be from 0 to the number of kinds: in row 4 it is 9"),
    ],
)
def test_what_cannot_be_is_refused_by_row(column, row, value, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        changed(column, row, value)


@pytest.mark.parametrize(
    "column, values, sentence",
    [
        ("card", lambda a: a + 0.5, "card must be whole numbers, one a purchase, not float64"),
        ("terminal", lambda a: a.astype(str), "terminal must be whole numbers"),
        ("kind", lambda a: a > 0, "kind must be whole numbers, one a purchase, not bool"),
        ("time", list, "time must be a NumPy array, not a list"),
        ("amount", lambda a: a[:, None], "amount must be numbers, one a purchase, not float64"),
    ],
)
def test_columns_of_another_sort_are_refused(column, values, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        replace(small(), **{column: values(getattr(small(), column))})


@pytest.mark.parametrize("narrow", [np.int16, np.uint32, np.uint64])
def test_narrow_columns_are_those_purchases(narrow):
    """Numbers of cards in few bits: features of them do not run over."""
    plain = small()
    given = replace(
        plain, **{name: getattr(plain, name).astype(narrow) for name in ("card", "terminal")}
    )
    for of in (features.aggregates, features.lags):
        np.testing.assert_array_equal(of(given), of(plain))


def test_columns_are_equally_long():
    with pytest.raises(ArgumentError, match="equally long"):
        replace(small(), amount=small().amount[1:])


def test_a_label_is_known_from_its_own_time_on():
    given = small().with_delays(np.where(small().fraud, 2 * DAY, 5 * DAY))
    at = 40 * DAY
    known = ~np.isnan(given.labels(at))
    np.testing.assert_array_equal(known[given.fraud], given.time[given.fraud] <= 38 * DAY)
    np.testing.assert_array_equal(known[~given.fraud], given.time[~given.fraud] <= 35 * DAY)
    np.testing.assert_array_equal(given.labels(at)[known], given.fraud[known])


def test_a_frame_in_any_order():
    given = Purchases.from_frame(FRAME)
    np.testing.assert_allclose(given.time / 3600, [12, 32, 48.5])
    np.testing.assert_array_equal(given.amount, [25.5, 10.0, 3.0])
    assert given.card[1] == given.card[2] != given.card[0]
    np.testing.assert_array_equal(given.fraud, [True, False, False])
    np.testing.assert_allclose(given.known - given.time, 7 * DAY)
    assert given.days == 3
    assert given.start == np.datetime64("2024-03-01")


def test_kinds_are_words():
    given = Purchases.from_frame(FRAME.assign(fraud=["", "stolen", None]))
    assert given.kinds == ("stolen",)
    np.testing.assert_array_equal(given.fraud, [True, False, False])


@pytest.mark.parametrize("dtype", [bool, object, "boolean", "Int8", float])
def test_labels_are_truth_values_or_numbers(dtype):
    given = Purchases.from_frame(FRAME.assign(fraud=pd.Series([False, True, False], dtype=dtype)))
    assert given.kinds == ("fraud",)
    np.testing.assert_array_equal(given.fraud, [True, False, False])


@pytest.mark.parametrize("delays", ["late", np.ones(2), np.ones((3, 1)), True])
def test_delays_are_a_number_or_one_a_row(delays):
    with pytest.raises(ArgumentError, match="delays must be one number of seconds or 3 of them"):
        Purchases.from_frame(FRAME).with_delays(delays)


@pytest.mark.parametrize(
    "frame, sentence",
    [
        (FRAME.drop(columns="card"), "no column 'card'"),
        (FRAME.assign(time=[1, 2, 3]), "'time' must hold date-times without a zone, not int64"),
        (FRAME.assign(time=FRAME.time.dt.tz_localize("UTC").astype(object)), "not object"),
        (FRAME.assign(time=FRAME.time.where([True, False, True])), "'time' is missing in row 1"),
        (FRAME.assign(amount=["1", "2", "3"]), "'amount' must hold numbers"),
        (FRAME.assign(fraud=[0, 2, 0]), "'fraud' must hold 0 and 1"),
        (FRAME.assign(time=FRAME.time.dt.tz_localize("Asia/Tokyo")), "a zone, not of Asia/Tokyo"),
        (FRAME.assign(card=["a", None, "b"]), "'card' is missing in row 1"),
        (FRAME.assign(terminal=[1.0, 2.0, np.nan]), "'terminal' is missing in row 2"),
        (FRAME.assign(fraud=[False, None, True]), "'fraud' is missing in row 1"),
        (FRAME.assign(fraud=["no", "yes", "no"]), "where a purchase is honest, .* 'no', 'yes'"),
        (FRAME[:0], "There are no purchases"),
        ([1, 2], "frame must be a data frame, not a list"),
    ],
)
def test_frames_that_cannot_be_read(frame, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        Purchases.from_frame(frame)


def test_a_label_dated_before_its_purchase():
    early = FRAME.assign(known=FRAME.time - pd.Timedelta("2D"))
    with pytest.raises(ArgumentError, match="dated before its purchase, by 172800 seconds"):
        Purchases.from_frame(early, known="known")

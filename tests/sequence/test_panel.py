"""Tables that cannot be used are refused by column and row."""

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tilewright.errors import ArgumentError
from tilewright.sequence import Panel

DATA = pd.DataFrame(
    dict(
        time=pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-01", "2020-01-05"]),
        group=["b", "b", "a", "b"],
        x=[1.0, 2.0, 3.0, 4.0],
        y=[1.0, np.nan, 0.0, 2.0],
    )
)
ZONES = ("UTC", "Europe/Paris", "UTC", "UTC")


def test_rows_of_a_group_lie_together():
    found = Panel(DATA, ["x"], "y").sequences
    np.testing.assert_array_equal(found.x[:, 0], [1, 2, 4, 3])
    np.testing.assert_array_equal(found.begin, [0, 3])
    np.testing.assert_array_equal(found.when, [0, 1, 2, 0])
    np.testing.assert_array_equal(found.answers(found.x)[:, 0], DATA.x)
    assert repr(Panel(DATA, ["x"], "y")) == "Panel of 4 rows in 2 sequences, 1 inputs, 1 targets"


@pytest.mark.parametrize("made", [pd.DataFrame, pa.Table.from_pandas])
def test_any_data_frame(made):
    found = Panel(made(DATA), ["x"], "y").sequences
    np.testing.assert_array_equal(found.x[:, 0], [1, 2, 4, 3])
    np.testing.assert_array_equal(found.y[:, 0], [1, np.nan, 2, 0])


def test_missing_inputs_can_be_marked():
    data = DATA.assign(x=[1.0, np.nan, 3.0, 5.0])
    with pytest.raises(ArgumentError, match=r"Input 'x' is missing in row 1"):
        Panel(data, ["x"])
    found = Panel(data, ["x"], missing="indicator").sequences.x
    np.testing.assert_array_equal(found, [[1, 0], [np.nan, 1], [5, 0], [3, 0]])


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({}, dict(inputs=["z"]), r"The frame has no column 'z'"),
        ({}, dict(inputs="x"), "inputs must be a list of columns"),
        ({}, dict(missing="drop"), "missing must be one of"),
        (dict(x=["1", "2", "3", "4"]), {}, "'x' must hold numbers"),
        (dict(x=[1, 2, np.inf, 4]), {}, "'x' is infinite in row 2"),
        (dict(group=["b", None, "a", "b"]), {}, "'group' is missing in row 1"),
        (dict(time=DATA.time.where(DATA.index != 2)), {}, "'time' is missing in row 2"),
        (dict(time=[1.0, 2.0, np.inf, 3.0]), {}, "'time' is not finite"),
        (dict(time=[1, 1, 1, 2]), {}, "in row 1 it is that of row 0"),
        (dict(time=[3, 4, 1, 2]), {}, "in row 3 it is before that of row 1"),
        (
            {},
            dict(longest_gap=datetime.timedelta(2)),
            "Before row 3 .* a gap of 3 days, 0:00:00, longer",
        ),
        (
            dict(time=[t.tz_localize(z) for t, z in zip(DATA.time, ZONES, strict=True)]),
            {},
            "'time' has times of several zones: give times without one",
        ),
        (dict(time=DATA.time.dt.tz_localize("UTC")), {}, "'time' has time zone UTC: give times"),
        (
            dict(time=DATA.time.dt.tz_localize("America/New_York")),
            {},
            "'time' has time zone America/New_York: give",
        ),
        (dict(time=["1", "2", "1", "3"]), {}, "'time' must hold times or numbers, not a str"),
        ({}, dict(longest_gap=2), "longest_gap must be a timedelta, as times are dates, not 2"),
        (dict(time=[1, 2, 1, 5]), dict(longest_gap=2), "Before row 3 .* a gap of 3, longer than 2"),
        (dict(time=[1, 2, 1, 5]), dict(longest_gap="2"), "longest_gap must be a number, as times"),
        (
            dict(time=np.array([-100, 100, 1, 127], np.int8)),
            dict(longest_gap=50),
            "has a gap of 200, longer",
        ),
        (dict(time=[1, 2, 1, 5]), dict(longest_gap=np.nan), "longest_gap must be above 0, not nan"),
        ({}, dict(longest_gap=datetime.timedelta(0)), "longest_gap must be above 0"),
        ({}, dict(time=None), "Columns are named by text, not by None"),
        ({}, dict(inputs=[0]), "Columns are named by text, not by 0"),
        ({}, dict(inputs=3), "inputs must be a list of columns, not 3"),
        ({}, dict(inputs=DATA.columns[:0]), "inputs must be a list of columns"),
        ({}, dict(inputs=["x", "x"]), "'x' is input twice"),
        ({}, dict(targets=["y", "y"]), "'y' is target twice"),
        ({}, dict(inputs=["x", "y"]), "'y' is input and target at once: a row would know its"),
        (dict(y=[1.0, 0.0, 2.0, 3.0]), dict(base_scale="y"), "'y' must be above 0: it is 0.0"),
    ],
)
def test_what_cannot_be_used(change, settings, message):
    with pytest.raises(ArgumentError, match=message):
        Panel(DATA.assign(**change), **{"inputs": ["x"], "targets": "y", **settings})


@pytest.mark.parametrize("names", [DATA.columns[2:], np.array(["x", "y"]), iter(["x", "y"])])
def test_names_of_columns_may_be_any_sequence(names):
    nothing: Any = None
    found = Panel(DATA.fillna(0.0), names, nothing)
    assert found.inputs == ("x", "y")
    assert found.targets == ()
    assert found.sequences.x.shape == (4, 2)


def test_columns_of_one_name():
    with pytest.raises(ArgumentError, match="several columns of one name"):
        Panel(pd.concat([DATA, DATA[["x"]]], axis=1), ["x"])


def test_what_is_no_frame():
    with pytest.raises(ArgumentError, match="frame must be a data frame, not a list"):
        Panel([1, 2], ["x"])
    with pytest.raises(ArgumentError, match="The frame has no rows"):
        Panel(DATA[:0], ["x"])


@pytest.mark.parametrize("made", [pd.DataFrame, pa.table])
def test_whole_groups_are_a_panel_and_parts_are_not(made):
    table = {"time": [0, 0, 1, 1, 2], "group": [*"abab", "a"], "x": np.arange(5.0)}
    panel = Panel(made(table), ["x"])
    assert panel.shape == (5, 1)
    part = panel[np.array([0, 2, 4]), ...]
    assert part.groups == ["a"]
    np.testing.assert_array_equal(part.sequences.x[:, 0], [0, 2, 4])
    with pytest.raises(ArgumentError, match="taken by whole groups: split it by GroupKFold"):
        panel[[0, 1, 2]]


def test_rows_of_a_panel_are_taken_once_and_in_their_order():
    table = {"time": [0, 1, 0, 1], "group": [*"aabb"], "x": np.arange(4.0)}
    panel = Panel(pd.DataFrame(table), ["x"])
    found = panel[[2, 3, 0, 1]]
    assert found.frame["x"].tolist() == [2, 3, 0, 1]
    assert panel[np.array([False, False, True, True])].frame["x"].tolist() == [2, 3]
    with pytest.raises(ArgumentError, match="A row of a Panel is taken once"):
        panel[[0, 1, 0, 1]]
    with pytest.raises(ArgumentError, match="must rise within each group"):
        panel[[1, 0]]

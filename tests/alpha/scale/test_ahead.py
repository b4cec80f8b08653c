"""Tomorrow's table: from the newest model and today's close, in units of returns."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.alpha.scale.small import PRICES, SMALL, WINDOWS, cut
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.ahead import target_date, today
from tilewright.alpha.scale.folder import opened
from tilewright.alpha.scale.walk import walk
from tilewright.alpha.tables import Prices
from tilewright.alpha.walking.append import appended


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("ahead") / "job"
    walk(PRICES, SMALL, place)
    return place


def test_a_row_for_each_stock_in_log_returns(folder):
    found = today(opened(folder))
    assert found["instrument"].tolist() == list(PRICES.names)
    assert set(found["date"]) == {PRICES.days[-1]}
    quantiles = found[[name for name in found if name.startswith("q")]].to_numpy()
    assert (np.diff(quantiles, axis=1) > 0).all()
    moves = np.abs(np.diff(np.log(PRICES.values[-60:]), axis=0)).mean(axis=0)
    assert (found["scale"] / moves).between(0.2, 5).all()
    assert (quantiles[:, 0] < 0).all()
    assert (quantiles[:, -1] > 0).all()


def test_it_is_what_the_walk_says_of_that_day(folder, tmp_path):
    """The same day, seen later, among the scored ones of its window."""
    place = tmp_path / "job"
    walk(cut(WINDOWS[0].test + 3), SMALL, place)
    early = today(opened(place))
    found = walk(PRICES, SMALL, place)
    one = next(iter(found.scored()))
    mine = one.places[:, 0] == WINDOWS[0].test + 2
    unit = one.unit[mine]
    np.testing.assert_allclose(early["q05"], one.quantiles[0, 1, mine] * unit, rtol=1e-4)
    np.testing.assert_allclose(early["scale"], one.scale[mine] * unit, rtol=1e-4)


def test_a_stock_without_a_price_today_is_left_out(tmp_path):
    values = PRICES.values.copy()
    values[-1, 1] = np.nan
    walk(Prices(PRICES.days, PRICES.names, values, "gap"), SMALL, tmp_path / "job")
    assert today(opened(tmp_path / "job"))["instrument"].tolist() == ["S0", "S2"]


def test_a_model_that_is_not_there_yet_is_said(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "job")
    for path in (tmp_path / "job" / "fits").iterdir():
        path.unlink()
    with pytest.raises(AlphaError, match=r"is not in .*: run `tilewright alpha resume"):
        today(opened(tmp_path / "job"))


def test_a_model_that_diverged_says_so(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "job")
    for path in (tmp_path / "job" / "fits").iterdir():
        arrays = dict(np.load(path))
        lost = {n: np.full_like(v, np.nan) for n, v in arrays.items() if n.startswith("positions")}
        assert lost
        np.savez(path, **(arrays | lost))
    with pytest.raises(AlphaError, match="The chains of this model diverged"):
        today(opened(tmp_path / "job"))


def test_who_only_reads_writes_nothing(folder):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    today(opened(folder))
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before


def sessions(weekmask: str, last: str) -> list[str]:
    days = np.arange("2022-01-01", np.datetime64(last) + 1, dtype="datetime64[D]")
    return [str(day) for day in days[np.is_busday(days, weekmask)]]


def test_target_dates():
    week = "Mon Tue Wed Thu Fri"
    assert target_date(sessions(week, "2022-06-03"), 1) == "2022-06-06"  # a Friday
    assert target_date(sessions(week, "2022-06-06"), 5) == "2022-06-13"
    special = [*sessions(week, "2022-06-03"), "2022-06-04"]  # on one Saturday
    assert target_date(special, 1) == "2022-06-06"
    assert target_date(sessions("Sun Mon Tue Wed Thu", "2022-06-02"), 1) == "2022-06-05"
    assert target_date(sessions("Fri", "2022-06-03"), 1) == "2022-06-10"
    assert target_date([*"123456789", "17"], 2) == "19"


def test_target_dates_of_what_never_closes():
    always = [str(day) for day in np.arange("2022-01-01", "2022-06-04", dtype="datetime64[D]")]
    assert target_date(always, 1) == "2022-06-04"
    assert target_date(always, 5) == "2022-06-08"


def test_days_are_added():
    whole = appended(cut(400), Prices(PRICES.days[398:], PRICES.names, PRICES.values[398:], "new"))
    assert whole.days == PRICES.days
    np.testing.assert_array_equal(whole.values, PRICES.values)
    fewer = Prices(PRICES.days[400:], PRICES.names[1:], PRICES.values[400:, 1:], "new")
    assert np.isnan(appended(cut(400), fewer).values[400:, 0]).all()


BAD = {
    "other": (dict(names=("S0", "S1", "X")), "has 'X', which the job does not know"),
    "changed": (dict(values=1.01 * PRICES.values[398:]), "has another price of 'S0' on"),
    "days": (dict(days=("2016-01-31", *PRICES.days[399:])), "its days are not the job's"),
}


@pytest.mark.parametrize("case", BAD)
def test_days_that_do_not_fit_are_refused(case):
    change, words = BAD[case]
    new = Prices(PRICES.days[398:], PRICES.names, PRICES.values[398:], "new")
    with pytest.raises(AlphaError, match=words):
        appended(cut(400), replace(new, **change))

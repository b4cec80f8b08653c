"""Instruments that features were not found on, and differences on some of a table's."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from tests.alpha.scale.small import PRICES, SMALL
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.scored import NET
from tilewright.alpha.scale.unseen import CLEAN, SEEN, difference, unseen
from tilewright.alpha.scale.walk import walk
from tilewright.alpha.scale_baselines import EWMA, LINEAR
from tilewright.alpha.tables import sp500
from tilewright.alpha.walking.tally import tally


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return walk(PRICES, SMALL, tmp_path_factory.mktemp("unseen") / "job")


def test_on_all_instruments_it_is_what_the_page_says(job):
    whole = tally(job.scored, job.prices.days, len(job.prices.names))
    found, lead = difference(job, NET, EWMA, job.prices.names), whole.over(EWMA)
    assert found.mean == pytest.approx(lead.mean, rel=1e-5)
    assert found.error == pytest.approx(lead.by_date, rel=1e-5)
    assert found.days == len(whole.days)


def test_on_one_it_is_its_own_rows_alone(job):
    name = job.prices.names[1]
    parts = [(one.log_score[:, one.places[:, 1] == 1], one.models) for one in job.scored()]
    lead = np.concatenate([s[m.index(LINEAR)] - s[m.index(EWMA)] for s, m in parts])
    found = difference(job, LINEAR, EWMA, [name])
    assert found.mean == pytest.approx(lead.mean(), rel=1e-4)
    assert found.days == len(lead)
    with pytest.raises(AlphaError, match="No forecast of nobody"):
        difference(job, LINEAR, EWMA, ["nobody"])


def series(start: str, days: int) -> dict[str, list]:
    dates = np.datetime64(start) + np.arange(days)
    return {"date": [str(d) for d in dates], "adj_close": [50.0 + i for i in range(days)]}


def test_seven_instruments_of_two_packages(monkeypatch):
    """Those of the second package are made up here: it need not be installed."""
    names = {name: series("2005-03-07", 5) for name in ("AAPL", "GOOG", "IBM", "MSFT")}
    stocks = SimpleNamespace(**names, FB=series("2005-03-09", 3))
    package = ModuleType("bokeh_sampledata")
    package.stocks = stocks  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bokeh_sampledata", package)
    found = unseen()
    assert found.names == ("sp500", "nasdaq", "AAPL", "FB", "GOOG", "IBM", "MSFT")
    assert (found.days[0], found.days[-1]) == ("1999-01-04", "2018-12-31")
    day = found.days.index("2005-03-09")
    assert found.values[day, 2:].tolist() == [52.0, 50.0, 52.0, 52.0, 52.0]
    assert np.isnan(found.values[day - 1]).tolist() == [False] * 3 + [True] + [False] * 3
    assert np.isfinite(found.values[:, :2]).all()


def test_without_a_package_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh_sampledata", None)
    with pytest.raises(AlphaError, match="needs the packages arch and bokeh-sampledata"):
        unseen()


def test_what_was_seen_counts_for_nothing():
    assert set(SEEN) <= set(sp500().names)
    assert not set(CLEAN) & set(sp500().names)

"""Sums over windows, against figures that are known."""

import numpy as np
import pytest
import scipy.stats

from tests.alpha.scale.report.made import DAYS, window
from tilewright.alpha.scale.rivals import BOOSTED
from tilewright.alpha.scores import critical
from tilewright.alpha.walking.scored import CRPS, LEVELS, LOG, QUANTILE, quantile_score
from tilewright.alpha.walking.tally import BEATS, BINS, LAGS, TIES, Lead, _histograms, tally

GAINS = {"EWMA": 0.02, "linear": -0.01}
WINDOWS = [window(i, gain=lambda m: GAINS.get(m, 0.0)) for i in (1, 0, 2)]
FOUND = tally(lambda: WINDOWS, DAYS, 4)


def test_leads_are_the_gains():
    assert FOUND.over("EWMA").mean == pytest.approx(-0.02, abs=0.003)
    assert FOUND.over("linear").mean == pytest.approx(0.01, abs=0.003)
    lead = FOUND.over("HAR")
    assert abs(lead.mean) < 0.003
    for error in (lead.by_date, lead.by_year, lead.by_stock):
        assert 0 < error < 0.01
    assert FOUND.over("EWMA").z < -5


def test_days_are_in_order_and_all_there():
    assert FOUND.days == list(DAYS[100:250])
    assert FOUND.rows == 600
    assert FOUND.value[CRPS].shape == (10, 150)


def test_a_model_without_a_density_has_only_quantiles():
    assert not FOUND.has(BOOSTED, LOG)
    assert FOUND.has(BOOSTED, QUANTILE)
    assert np.isnan(FOUND.over(BOOSTED).mean)
    assert np.isnan(FOUND.mean(LOG, BOOSTED))


def test_coverage_is_that_of_the_quantiles():
    assert np.abs(FOUND.by_fifth - 0.9).max() < 0.08
    assert np.abs(FOUND.cover["cover 90 %"] - 0.9).max() < 0.04
    narrow = tally(lambda: [window(wrong=0.5)], DAYS, 4)
    expected = 2 * scipy.stats.norm.cdf(0.5 * 1.645) - 1
    assert np.abs(narrow.cover["cover 90 %"] - expected).max() < 0.08
    assert narrow.beyond[0, 0] > 0.06
    np.testing.assert_allclose(FOUND.pit.mean(axis=1), 1)


def test_the_quantile_score_is_proper():
    """Over many outcomes the true quantiles score best."""
    outcome = scipy.stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    true = scipy.stats.norm.ppf(LEVELS)[:, None] + 0 * outcome
    best = quantile_score(true, outcome).mean()
    for other in (1.1 * true, 0.9 * true, true + 0.1):
        assert quantile_score(other, outcome).mean() > best


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_histograms_are_those_of_numpy(kind):
    """At the edges of bins, a step beside them, outside, and where there is nothing."""
    edges = np.linspace(0, 1, BINS + 1, dtype=kind)
    beside = [np.nextafter(edges, kind(way)) for way in (-1, 2)]
    values = np.stack([*beside, edges, edges[::-1] / 3, np.full(BINS + 1, kind(np.nan))])
    expected = [np.histogram(row[np.isfinite(row)], BINS, (0, 1))[0] for row in values]
    np.testing.assert_array_equal(_histograms(values), expected)


def test_shares_are_counted_row_by_row():
    """Of the second fifth on wild days, and of both together."""
    inside = counted = 0
    edges = np.quantile(np.concatenate([one.scale for one in WINDOWS]), np.arange(1, 5) / 5)
    for one in WINDOWS:
        mine = (one.scale > edges[0]) & (one.scale <= edges[1])
        low, high = one.quantiles[0, 1], one.quantiles[0, 5]
        inside += ((low <= one.outcome) & (one.outcome <= high) & mine).sum()
        counted += mine.sum()
    assert FOUND.by_fifth[0, 1] == inside / counted


def test_on_few_days_a_difference_must_be_larger():
    """Kiefer & Vogelsang's critical value where it is more than two and a half errors."""
    few, many = (Lead(-2.6, 1.0, 1.0, 1.0, days) for days in (84, 5000))
    assert (few.side, many.side) == (TIES, BEATS)
    assert few.least == pytest.approx(critical(84, LAGS))
    assert many.least == 2.5
    assert FOUND.over("EWMA").days == 150
    nothing = FOUND.over(BOOSTED)
    assert (nothing.days, nothing.side) == (0, TIES)
    assert np.isnan(nothing.least)


def test_errors_are_those_of_statsmodels():
    """Newey & West's by date; by year and by stock, of means that are taken to be independent."""
    sm = pytest.importorskip("statsmodels.api", reason="it comes with arch (the extra alpha)")

    lead, number = FOUND.over("HAR"), FOUND.models.index("HAR")
    values = FOUND.lead[LOG][number]
    kind = dict(cov_type="HAC", cov_kwds={"maxlags": LAGS, "use_correction": False})
    by_date = sm.OLS(values, np.ones(len(values))).fit(**kind).bse[0]
    assert lead.by_date == pytest.approx(by_date)
    years = [values[[day[:4] == year for day in FOUND.days]].mean() for year in ("2015", "2016")]
    assert lead.by_year == pytest.approx(np.std(years, ddof=1) / 2**0.5)
    gains = [
        np.concatenate([(one.log_score[0] - one.log_score[number])[one.places[:, 1] == stock]
                        for one in WINDOWS]).mean()
        for stock in range(4)
    ]  # fmt: skip
    np.testing.assert_allclose(FOUND.by_stock[number], gains)
    assert lead.by_stock == pytest.approx(np.std(gains, ddof=1) / 2)

"""Statistics of whole windows, on targets whose scale is known: 10 stocks, 600 days.

Heteroscedastic panels: targets whose log-scale is linear in two features, and prices that follow
GARCH(1,1) with Student-t noise, which is no model of ours.
"""

from dataclasses import replace

import arviz
import numpy as np
import pytest

from tests.alpha.market import prices
from tilewright.alpha.controls import PLANTED, REAL, SHUFFLED
from tilewright.alpha.mixture import Mixture
from tilewright.alpha.scale.controls import placebo, planted
from tilewright.alpha.scale.panel import make_panel, test_rows, training_rows
from tilewright.alpha.scale.program import fit_window
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.scale_baselines import LINEAR, pooled_baselines
from tilewright.alpha.tables import Prices
from tilewright.alpha.walking.windows import windows_of

pytestmark = pytest.mark.slow
test_rows.__test__ = False  # a name of the package, no test

SETTINGS = ScaleSettings(train=600, test=200)
PRICES = prices(1300, 10, seed=3)
PANEL = make_panel(PRICES, 1)
WINDOW, NEXT, *_ = windows_of(PRICES.days, SETTINGS)


def fitted(
    target: np.ndarray, series: str, window=WINDOW, state=None, settings=SETTINGS, panel=PANEL
):
    rows = training_rows(panel, window, target)
    fit = fit_window(settings, rows, window, state, series)
    places, X = test_rows(panel, window, rows)
    return fit, rows, X, target[places[:, 0], places[:, 1]]


def scores(target: np.ndarray, series: str) -> tuple[np.ndarray, np.ndarray]:
    """Log scores of the net and of the linear model, (rows,)."""
    fit, rows, X, outcome = fitted(target, series)
    linear = pooled_baselines(rows.X.astype(float), rows.y.astype(float), X)[LINEAR]
    return fit.distribution(X).log_score(outcome), linear.log_score(outcome)


def known_scale(seed: int = 0) -> np.ndarray:
    """Student-t targets whose log-scale is linear in two features."""
    slopes = np.zeros(28)
    slopes[[2, 22]] = 0.3, -0.2
    features = PANEL.features[PANEL.there].astype(np.float64)
    standard = (PANEL.features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9)
    noise = np.random.default_rng(seed).standard_t(6, PANEL.there.shape)
    return np.where(PANEL.there, 0.8 * np.exp(standard.clip(-4, 4) @ slopes) * noise, np.nan)


def garch_prices(days: int, stocks: int, seed: int) -> Prices:
    """Variances that keep 0.9 of themselves and take 0.08 of squares, noise of 6 degrees."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_t(6, (days, stocks)) * (4 / 6) ** 0.5
    usual = 0.015**2 * np.exp(rng.normal(size=stocks) / 2)
    variance, returns = usual.copy(), np.empty((days, stocks))
    for day in range(days):
        returns[day] = variance**0.5 * noise[day]
        variance = 0.02 * usual + 0.9 * variance + 0.08 * returns[day] ** 2
    dates = np.datetime64("2015-01-01") + np.arange(days)
    names = tuple(f"G{i}" for i in range(stocks))
    values = 50 * np.exp(returns.cumsum(axis=0))
    return Prices(tuple(map(str, dates)), names, values, "GARCH")


def linear_in_two() -> tuple[np.ndarray, Mixture]:
    """Outcomes and their forecasts."""
    fit, _, X, outcome = fitted(known_scale(), REAL)
    return outcome, fit.distribution(X)


def by_garch() -> tuple[np.ndarray, Mixture]:
    """The same of returns."""
    table = garch_prices(1300, 10, 4)
    panel = make_panel(table, 1)
    window, *_ = windows_of(table.days, SETTINGS)
    fit, _, X, outcome = fitted(panel.target, REAL, window, panel=panel)
    return outcome, fit.distribution(X)


@pytest.mark.parametrize("simulated", [linear_in_two, by_garch])
def test_intervals_hold_what_they_say_overall_and_by_fifth(simulated):
    """2,000 rows: standard errors up to 1.1 points overall, 2.5 in a fifth."""
    outcome, forecast = simulated()
    fifth = np.argsort(np.argsort(forecast.scale.mean(axis=0))) * 5 // len(outcome)
    for share in (0.5, 0.8, 0.95):
        low, high = forecast.interval(share)
        inside = (low < outcome) & (outcome < high)
        assert inside.mean() == pytest.approx(share, abs=0.045)
        for group in range(5):
            assert inside[fifth == group].mean() == pytest.approx(share, abs=0.1)


def test_chains_agree_and_warm_ones_find_what_cold_ones_do():
    """R-hat up to 1.05 in 95 % of rows; means of the log-scale within 4 Monte-Carlo errors."""
    target = known_scale()
    first = fitted(target, REAL)[0]
    warm, _, X, _ = fitted(target, REAL, NEXT, first.state)
    cold = fitted(target, REAL, NEXT, None, replace(SETTINGS, warm=False))[0]
    assert warm.cold.tolist() == [True, False, False, False]
    assert warm.gradients[1:].max() < 0.6 * cold.gradients.min()
    chosen = X[np.linspace(0, len(X) - 1, 40).astype(int)]
    ours, theirs = (np.log(fit.forecasts(chosen)[1]) for fit in (warm, cold))
    for traces in (ours, theirs):
        r_hat = [float(arviz.rhat(np.ascontiguousarray(traces[:, :, i]))) for i in range(40)]
        assert np.quantile(r_hat, 0.95) < 1.05
    error = [
        [t[:, :, i].std() / float(arviz.ess(np.ascontiguousarray(t[:, :, i]))) ** 0.5
         for t in (ours[1:], theirs)]
        for i in range(40)
    ]  # fmt: skip
    z = (ours[1:].mean(axis=(0, 1)) - theirs.mean(axis=(0, 1)))[:40] / np.hypot(
        *np.transpose(error)
    )
    assert np.abs(z).max() < 4


def test_a_planted_signal_is_found_by_the_net_alone_and_a_placebo_by_nobody():
    net, linear = scores(planted(PANEL, 0), PLANTED)
    gain = (net - linear).reshape(-1, 10).mean(axis=1)
    assert gain.mean() < -3 * gain.std() / len(gain) ** 0.5
    net, linear = scores(placebo(PANEL, 0), SHUFFLED)
    assert abs((net - linear).mean()) < 0.01

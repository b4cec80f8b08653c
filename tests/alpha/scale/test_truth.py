"""Statistics of whole windows, on targets whose scale is known: 10 stocks, 600 days."""

from dataclasses import replace

import arviz
import numpy as np
import pytest

from tests.alpha.market import prices
from tilewright.alpha.controls import PLANTED, REAL, SHUFFLED
from tilewright.alpha.scale.controls import placebo, planted
from tilewright.alpha.scale.panel import make_panel, test_rows, training_rows
from tilewright.alpha.scale.program import fit_window
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.scale_baselines import LINEAR, pooled_baselines
from tilewright.alpha.walking.windows import windows_of

pytestmark = pytest.mark.slow
test_rows.__test__ = False  # a name of the package, no test

SETTINGS = ScaleSettings(train=600, test=200)
PRICES = prices(1300, 10, seed=3)
PANEL = make_panel(PRICES, 1)
WINDOW, NEXT, *_ = windows_of(PRICES.days, SETTINGS)


def fitted(target: np.ndarray, series: str, window=WINDOW, state=None, settings=SETTINGS):
    rows = training_rows(PANEL, window, target)
    fit = fit_window(settings, rows, window, state, series)
    places, X = test_rows(PANEL, window, rows)
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


def test_intervals_hold_what_they_say_overall_and_by_fifth():
    """2,000 rows: standard errors up to 1.1 points overall, 2.5 in a fifth."""
    fit, _, X, outcome = fitted(known_scale(), REAL)
    forecast = fit.distribution(X)
    fifth = np.argsort(np.argsort(forecast.scale.mean(axis=0))) * 5 // len(X)
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

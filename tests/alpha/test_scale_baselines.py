"""Simple models of scale: they find what is planted, and look at nothing that comes later."""

import numpy as np
import pytest
import scipy.stats

from tests.alpha.market import prices
from tilewright.alpha.features import ewma_volatility
from tilewright.alpha.scale_baselines import (
    EWMA,
    HAR,
    LINEAR,
    garch,
    pooled_baselines,
    scale_regression,
)
from tilewright.alpha.scale_features import NAMES

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6000, 28))
SLOPES = np.zeros(28)
SLOPES[[NAMES.index("move_5"), NAMES.index("market_slow")]] = 0.3, -0.2
Y = 0.8 * np.exp(X @ SLOPES) * RNG.standard_t(5, 6000)


def test_planted_slopes_are_found():
    """6000 rows tell a slope of the log-scale to 0.012 (Fisher information 2 df / (df + 3))."""
    corners = np.concatenate([np.zeros((1, 28)), np.eye(28)])
    found = scale_regression(X, Y, corners)
    log_scale = np.log(found.scale[0])
    np.testing.assert_allclose(log_scale[1:] - log_scale[0], SLOPES, atol=0.05)
    assert log_scale[0] == pytest.approx(np.log(0.8), abs=0.06)
    assert 4 < found.df < 6.5


def test_more_features_score_better():
    test = RNG.normal(size=(6000, 28))
    y = 0.8 * np.exp(test @ SLOPES) * RNG.standard_t(5, 6000)
    scores = {name: m.log_score(y).mean() for name, m in pooled_baselines(X, Y, test).items()}
    assert scores[LINEAR] < scores[HAR] - 0.01 < scores[EWMA] - 0.02
    truth = -scipy.stats.t.logpdf(y, 5, 0, 0.8 * np.exp(test @ SLOPES)).mean()
    assert scores[LINEAR] < truth + 0.01


def simulated(days: int, stocks: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Prices of a GARCH(1,1), and the deviation of the return after each day."""
    rng = np.random.default_rng(seed)
    variance, log_price = np.full(stocks, 1e-4), np.zeros(stocks)
    prices, ahead = [], []
    for _ in range(days):
        shock = np.sqrt(variance * 4 / 6) * rng.standard_t(6, stocks)
        log_price = log_price + shock
        variance = 2e-6 + 0.1 * shock**2 + 0.88 * variance
        prices.append(np.exp(log_price))
        ahead.append(np.sqrt(variance))
    return np.array(prices), np.array(ahead)


@pytest.mark.parametrize("asymmetric", [False, True])
def test_garch_knows_its_own(asymmetric):
    pytest.importorskip("arch", reason="arch is not installed (the extra dev has it)")
    import pandas as pd

    table, ahead = simulated(2000, 2, 1)
    found = garch(table, (300, 1900), (1905, 1990), asymmetric)
    usual = ewma_volatility(pd.DataFrame(np.log(table)).diff()).to_numpy()[1905:1990]
    for stock, mixture in enumerate(found):
        deviation = mixture.deviation() * usual[:, stock]
        np.testing.assert_allclose(deviation / ahead[1905:1990, stock], 1, atol=0.25)


def test_garch_does_not_look_ahead():
    pytest.importorskip("arch", reason="arch is not installed (the extra dev has it)")
    table = prices().values
    changed = table.copy()
    changed[611:] *= np.exp(np.random.default_rng(2).normal(size=changed[611:].shape))
    one, other = (garch(values, (300, 600), (601, 618), True) for values in (table, changed))
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(ours.scale[0, :10], theirs.scale[0, :10])
        assert not np.array_equal(ours.scale[0, 10:], theirs.scale[0, 10:])

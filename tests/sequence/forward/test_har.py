"""Regressions refitted every month know what is known, and are least squares."""

import numpy as np
import pandas as pd
import pytest

from tests.sequence.forward.small import PRICES
from tilewright.sequence.forward.har import MONTH, NAMES, Rolling
from tilewright.sequence.forward.panel import INPUTS, make_forward_panel

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4, 3))
Y = 2 + X @ [1.0, -0.5, 0.0] + 0.3 * RNG.normal(size=(150, 4))
Y[RNG.uniform(size=Y.shape) < 0.1] = np.nan


@pytest.mark.parametrize("horizon", [1, 5])
def test_each_month_is_a_fit_to_what_is_known_then(horizon):
    said = Rolling(X, Y).forecasts((90, 150), horizon, span=60)
    for start in (90, 90 + MONTH):
        last = start - horizon + 1
        rows, y = X[last - 60 : last].reshape(-1, 3), Y[last - 60 : last].reshape(-1)
        known = np.isfinite(y)
        design = np.column_stack([np.ones(known.sum()), rows[known]])
        line = np.linalg.lstsq(design, y[known], rcond=None)[0]
        wanted = line[0] + X[start : start + MONTH] @ line[1:]
        np.testing.assert_allclose(said[start - 90 :][: len(wanted)], wanted, atol=1e-6)


def test_targets_that_are_not_known_yet_move_nothing():
    later = Y.copy()
    later[90 - 5 + 1 :] = 100.0
    one, other = (Rolling(X, y).forecasts((90, 90 + MONTH), 5) for y in (Y, later))
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_ridge_shrinks_what_is_noise():
    noise = RNG.normal(size=(60, 4))
    plain, ridge = (Rolling(X[:60], noise).coefficients(0, 60, on) for on in (False, True))
    assert np.abs(ridge[1:]).sum() < 0.6 * np.abs(plain[1:]).sum()
    plain, ridge = (Rolling(X, Y).coefficients(0, 150, on) for on in (False, True))
    np.testing.assert_allclose(ridge, plain, atol=0.02)


def test_what_is_read_knows_no_later_price():
    changed = PRICES.values.copy()
    changed[380:] *= 1.5
    one = make_forward_panel(PRICES, "volatility")
    other = make_forward_panel(type(PRICES)(PRICES.days, PRICES.names, changed, "x"), "volatility")
    for name in ("inputs", "har", "there", "unit"):
        np.testing.assert_array_equal(getattr(one, name)[:380], getattr(other, name)[:380])
    np.testing.assert_array_equal(one.target[:375], other.target[:375])
    assert not np.allclose(one.target[378], other.target[378])
    assert one.inputs.shape[-1] == len(INPUTS)


def test_har_has_the_log_of_what_it_says():
    returns = pd.DataFrame(np.log(PRICES.values)).diff().to_numpy()
    har = make_forward_panel(PRICES, "density").har
    week = 0.5 * np.log(np.mean(returns[396:401, 1] ** 2))
    assert har[400, 1, NAMES.index("own_5")] == pytest.approx(week)
    market = 0.5 * np.log(np.mean(returns[379:401].mean(axis=1) ** 2))
    assert har[400, 2, NAMES.index("market_22")] == pytest.approx(market)
    assert len(NAMES) == 20

"""The scikit-learn estimator."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from tilewright.alpha import AlphaRegressor

RNG = np.random.default_rng(0)
X = 5 + 2 * RNG.normal(size=(400, 3))
Y = 3 + 0.5 * X[:, 0] + RNG.standard_t(5, 400)


@pytest.fixture(scope="module")
def fitted():
    return AlphaRegressor(hidden=8, warmup=80, draws=80, leapfrogs=10).fit(X, Y)


def test_it_predicts(fitted):
    mean, deviation = fitted.predict(X, return_std=True)
    assert mean.shape == deviation.shape == (400,)
    assert fitted.score(X, Y) > 0.1
    assert fitted.failure_ == ""
    assert fitted.r_hat_.max() < 1.2


def test_intervals_cover(fitted):
    inside = np.abs(fitted.predict_distribution(X).cdf(Y) - 0.5) < 0.45
    assert 0.84 < inside.mean() < 0.96  # 400 rows: standard error 0.015


def test_same_state_same_bits(fitted):
    again = clone(fitted).fit(X, Y)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_parameters_are_only_stored():
    assert AlphaRegressor(hidden=-3).get_params()["hidden"] == -3
    with pytest.raises(ValueError, match="hidden must be 1 or more"):
        AlphaRegressor(hidden=-3).fit(X, Y)


def test_bad_input(fitted):
    with pytest.raises(NotFittedError):
        AlphaRegressor().predict(X)
    with pytest.raises(ValueError, match="NaN"):
        AlphaRegressor().fit(np.where(X > 9, np.nan, X), Y)
    with pytest.raises(ValueError, match="2 features"):
        fitted.predict(X[:, :2])


def test_chains_that_fail_are_said():
    with pytest.warns(ConvergenceWarning, match="The chains failed"):
        AlphaRegressor(hidden=2, warmup=1, draws=4, leapfrogs=1).fit(X, Y)

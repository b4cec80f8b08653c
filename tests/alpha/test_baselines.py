"""Null, ridge, least squares, and the noise fitted to them."""

import numpy as np
import pytest
import scipy.stats
from sklearn.linear_model import LinearRegression, Ridge

from tilewright.alpha.baselines import (
    NORMAL,
    NULL,
    OLS,
    RIDGE,
    baselines,
    best_penalty,
    cross_validation,
)
from tilewright.alpha.noise import fit_degrees, fit_scale


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 6))
    X[:, 5] = 0.0  # a constant feature
    return X, 0.2 + X @ [0.3, -0.2, 0, 0, 0, 1] + rng.standard_t(4, 3000), rng.normal(size=(7, 6))


def test_locations_are_those_of_scikit_learn(rows):
    X, y, X_test = rows
    found = baselines(X, y, X_test, 4.0)
    assert (found[NULL].location == 0).all()
    least = LinearRegression().fit(X, y)
    np.testing.assert_allclose(found[OLS].location, least.predict(X_test))
    np.testing.assert_array_equal(found[OLS].location, found[NORMAL].location)
    ridge = Ridge(best_penalty(X, y)).fit(X, y)
    np.testing.assert_allclose(found[RIDGE].location, ridge.predict(X_test))
    assert found[NORMAL].scale == pytest.approx((y - least.predict(X)).std(), rel=0.01)


def test_scores_of_penalties_count_the_intercept():
    """Against the hat matrix of a regression whose intercept is not penalised."""
    rng = np.random.default_rng(1)
    X, penalties = rng.normal(size=(12, 4)), np.array([0.1, 1.0, 10.0])
    y = 5 + X[:, 0] + rng.normal(size=12)
    ones = np.column_stack([np.ones(12), X])
    expected = []
    for penalty in penalties:
        inverse = np.linalg.inv(ones.T @ ones + penalty * np.diag([0, 1, 1, 1, 1]))
        hat = ones @ inverse @ ones.T
        expected.append(np.sum((y - hat @ y) ** 2) / (1 - np.trace(hat) / 12) ** 2)
    np.testing.assert_allclose(cross_validation(X, y, penalties), expected)


def test_deviation_of_least_squares_has_its_degrees_of_freedom():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(30, 6)), rng.normal(size=30)
    left = y - LinearRegression().fit(X, y).predict(X)
    assert baselines(X, y, X, 4.0)[NORMAL].scale == pytest.approx(np.sqrt(np.sum(left**2) / 23))


def test_penalty_is_large_without_signal():
    rng = np.random.default_rng(3)
    X, noise = rng.normal(size=(2000, 5)), rng.normal(size=2000)
    assert best_penalty(X, X[:, 0] + 0.1 * noise) < 100 < best_penalty(X, noise)


@pytest.mark.parametrize("df", [3.0, 8.0])
def test_scale_is_the_likeliest(df):
    sample = 0.7 * np.random.default_rng(0).standard_t(df, 4000)
    expected = scipy.stats.t.fit(sample, f0=df, floc=0)[2]
    assert fit_scale(sample, df) == pytest.approx(expected, rel=1e-3)


def test_degrees_of_freedom_are_found():
    rng = np.random.default_rng(0)
    assert 3 <= fit_degrees(rng.standard_t(4, 5000)) <= 5
    assert fit_degrees(rng.normal(size=5000)) >= 20

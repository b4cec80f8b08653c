"""Noise that depends on the features is noticed; noise that does not is not, but for chance."""

import numpy as np
import pytest
import scipy.optimize

from tilewright.alpha.heteroscedasticity import (
    FEWEST,
    MOST,
    _surprise,
    leave_one_out,
    most_likely,
    p_value,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3)).clip(-4, 4)
NOISE = RNG.normal(size=200)
CURVE = np.sin(2 * X[:, 0]) + X[:, 1]


@pytest.mark.parametrize(
    "scale",
    [np.exp(0.5 * X[:, 2]), 0.2 + np.abs(X[:, 0]), np.exp(0.4 * CURVE)],
    ids=["linear", "at both ends", "with the mean"],
)
def test_planted_dependence_is_noticed(scale):
    assert p_value(X, CURVE + 0.5 * scale * NOISE) < 0.01


@pytest.mark.parametrize("tails", [np.inf, 3.0], ids=["normal", "heavy"])
def test_noise_that_is_the_same_everywhere_is_left_alone(tails):
    """Of 60 data sets with p < 0.05 more than 10 come about once in 3,000 times."""
    rng = np.random.default_rng(1)

    def once() -> float:
        X = rng.normal(size=(100, 2))
        noise = rng.normal(size=100) if tails == np.inf else rng.standard_t(tails, 100)
        return p_value(X, np.sin(2 * X[:, 0]) + 0.3 * noise)

    found = np.array([once() for _ in range(60)])
    assert np.sum(found < 0.05) <= 10
    assert 0.3 < found.mean() < 0.7


def test_the_same_rows_have_the_same_p_value():
    y = CURVE + NOISE
    assert p_value(X, y) == p_value(X, y)


def test_too_few_rows_say_nothing():
    few = slice(FEWEST - 1)
    assert p_value(X[few], (np.exp(X[:, 0]) * NOISE)[few]) == 1
    assert p_value(X, np.zeros(len(X))) == 1


def test_more_columns_than_rows():
    X = RNG.normal(size=(60, 80))
    assert p_value(X, RNG.normal(size=60)) > 0.01


def test_of_many_rows_some_are_looked_at():
    many = np.repeat(X, 1 + 2 * MOST // len(X), axis=0)
    assert 0 < p_value(many, RNG.normal(size=len(many))) <= 1


def test_slopes():
    logs, centre = RNG.normal(size=5) / 2, np.zeros(5)
    off = scipy.optimize.check_grad(
        lambda at: _surprise(at, X, CURVE, centre)[0],
        lambda at: _surprise(at, X, CURVE, centre)[1],
        logs,
    )
    assert off < 1e-3 * np.abs(_surprise(logs, X, CURVE, centre)[1]).max()


def test_left_out_means_left_out():
    some = slice(60)
    seen, y = X[some], (CURVE + 0.3 * NOISE)[some]
    logs = most_likely(seen, y)
    found = leave_one_out(logs, seen, y)
    lengths, signal, noise = np.exp(logs[:-2]), np.exp(2 * logs[-2]), np.exp(2 * logs[-1])
    apart = ((seen[:, None] - seen) / lengths) ** 2
    covariance = signal * np.exp(-0.5 * apart.sum(axis=2))
    others = np.arange(len(y)) != 7
    pull = np.linalg.solve(
        covariance[others][:, others] + noise * np.eye(59), covariance[others, 7]
    )
    forecast = y.mean() + pull @ (y[others] - y.mean())
    deviation = np.sqrt(signal + noise - pull @ covariance[others, 7])
    np.testing.assert_allclose(found.forecast[7], forecast)
    np.testing.assert_allclose(found.residual[7], (y[7] - forecast) / deviation)

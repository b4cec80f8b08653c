"""The scikit-learn estimator."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.alpha.scikit_learn import SAME_TO_ROUNDING
from tilewright.alpha import AlphaRegressor
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.noise import fit_degrees
from tilewright.errors import DataWarning

RNG = np.random.default_rng(0)
X = 5 + 2 * RNG.normal(size=(400, 3))
Y = 3 + 0.5 * X[:, 0] + RNG.standard_t(5, 400)
TINY = AlphaRegressor(hidden=4, warmup=20, draws=10, leapfrogs=4)


def fit_quietly(estimator, X: Any = X, y=Y, sample_weight=None):
    """Chains this short may well fail: that is not looked at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(estimator).fit(X, y, sample_weight)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::tilewright.errors.DataWarning")  # some of their data are odd
@parametrize_with_checks([TINY], expected_failed_checks=lambda _: SAME_TO_ROUNDING)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def fitted():
    return AlphaRegressor(hidden=8, warmup=80, draws=80, leapfrogs=10).fit(X, Y)


def test_it_predicts(fitted):
    mean, deviation = fitted.predict(X, return_std=True)
    assert mean.shape == deviation.shape == (400,)
    assert fitted.score(X, Y) > 0.25
    assert fitted.failure_ == ""
    assert fitted.r_hat_.max() < 1.2


def test_intervals_cover(fitted):
    inside = np.abs(fitted.predict_distribution(X).cdf(Y) - 0.5) < 0.45
    assert 0.84 < inside.mean() < 0.96  # 400 rows: standard error 0.015


def test_same_state_same_bits(fitted):
    again = clone(fitted).fit(X, Y)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


@pytest.mark.parametrize(("unit", "shift"), [(1.0, 100.0), (1.0, -1e4), (1e-7, 3.0), (1e9, 0.0)])
def test_where_the_target_lies_and_its_unit_change_nothing(fitted, unit, shift):
    moved = clone(fitted).fit(X, shift + unit * Y)
    mean, deviation = moved.predict(X, return_std=True)
    expected, spread = fitted.predict(X, return_std=True)
    assert moved.df_ == fitted.df_ == fit_degrees((Y - Y.mean()) / Y.std())
    assert moved.signal_ == pytest.approx(fitted.signal_, rel=1e-5)
    # chains part after a while: means agree to their Monte-Carlo error, about a tenth of the noise
    np.testing.assert_allclose((mean - shift) / unit, expected, atol=0.25)
    np.testing.assert_allclose(deviation / unit, spread, rtol=0.15)


def test_a_strong_signal_is_not_shrunk_away():
    y = np.sin(X[:, 0]) + 0.1 * RNG.normal(size=400)
    strong = fit_quietly(AlphaRegressor(warmup=150, draws=100), y=y)
    assert strong.signal_ > 0.8
    assert strong.score(X, y) > 0.8
    assert fit_quietly(clone(TINY).set_params(signal=0.15), y=y).signal_ == 0.15


def test_noise_has_the_signal_that_priors_expect():
    assert fit_quietly(TINY, y=RNG.standard_t(4, 400)).signal_ == 0.15


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3])
def test_a_constant_target(value):
    found = fit_quietly(TINY, y=np.full(400, value)).predict(X)
    np.testing.assert_allclose(found, value, atol=0.2)


def test_parameters_are_only_stored():
    assert AlphaRegressor(hidden=-3).get_params()["hidden"] == -3


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (dict(hidden=-3), "hidden must be 1 or more, not -3"),
        (dict(hidden="8"), "hidden must be a whole number, not '8'"),
        (dict(hidden=8.0), "hidden must be a whole number, not 8.0"),
        (dict(draws=True), "draws must be a whole number, not True"),
        (dict(leapfrogs=10**12), "leapfrogs must be 1000000 or less"),
        *((dict(df=df), "df must be a number above 1") for df in (0, -1, 1, np.nan, np.inf, "5")),
        *((dict(signal=s), "signal must be a number above 0, up to 1") for s in (0, 2, np.nan)),
        (dict(random_state=-1), "seed must be 0 or more, not -1"),
        (dict(random_state=2**64), "seed must be 18446744073709551615 or less"),
        (dict(random_state="now"), "'now' cannot be used to seed"),
        (dict(machine="abacus"), "Unknown machine 'abacus'"),
    ],
    ids=str,
)
def test_parameters_that_make_no_sense(parameters, words):
    with pytest.raises(ValueError, match=words):
        AlphaRegressor(**parameters).fit(X, Y)


def test_every_seed_is_another():
    seeds = (0, 1, 2**32, 2**32 + 1, 2**33, 2**64 - 1)
    found = [fit_quietly(clone(TINY).set_params(random_state=s)).positions_.b2 for s in seeds]
    assert len({leaf.tobytes() for leaf in found}) == len(seeds)


def test_random_states_are_scikit_learns():
    def intercepts(state):
        return fit_quietly(clone(TINY).set_params(random_state=state)).positions_.b2

    one, other = (intercepts(np.random.RandomState(seed)) for seed in (3, 4))
    np.testing.assert_array_equal(one, intercepts(np.random.RandomState(3)))
    assert not np.array_equal(one, other)
    np.random.seed(5)
    before = intercepts(None)
    assert not np.array_equal(before, intercepts(None))
    np.random.seed(5)
    np.testing.assert_array_equal(before, intercepts(None))


def test_bad_input(fitted):
    with pytest.raises(NotFittedError):
        AlphaRegressor().predict(X)
    with pytest.raises(ValueError, match="NaN"):
        AlphaRegressor().fit(np.where(X > 9, np.nan, X), Y)
    with pytest.raises(ValueError, match="2 features"):
        fitted.predict(X[:, :2])
    with pytest.raises(ValueError, match="A feature is too large"):
        AlphaRegressor().fit(1e200 * X, Y)
    with pytest.raises(ValueError, match="The target is too large"):
        AlphaRegressor().fit(X, 1e200 * Y)
    with pytest.raises(ValueError, match="A feature is too small: its variance is below 2e-308"):
        AlphaRegressor().fit(1e-200 * X, Y)
    with pytest.raises(ValueError, match="The target is too small"):
        AlphaRegressor().fit(X, 1e-200 * Y)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (Y > 0, "y must hold numbers, not True and False"),
        (Y.astype(str), "y must hold numbers, not text"),
        (np.full(400, np.datetime64("2022-01-01")), "y must hold numbers, not datetime64"),
        (np.where(Y > 5, Y.astype(object), np.array(None)), "y contains NaN, or nothing"),
    ],
    ids=["bool", "text", "days", "gaps"],
)
def test_targets_that_are_no_numbers(y, words):
    with pytest.raises(ValueError, match=words):
        AlphaRegressor().fit(X, y)


def test_units_of_features_change_nothing(fitted):
    """From nanometres to light years, or a share of volume; rounding aside."""
    for unit in (1e-9, 1e-30, 1e15):
        other = fit_quietly(TINY, unit * X).predict(unit * X)
        np.testing.assert_allclose(other, fit_quietly(TINY, X).predict(X), rtol=1e-3, atol=1e-3)


def test_a_weight_is_how_often_a_row_is_there():
    """What is fitted before the chains is the same; their means agree to Monte-Carlo error."""
    weight = np.random.default_rng(1).integers(0, 4, 400)
    wild = np.where(weight > 0, Y, 1e30)  # what counts nothing may be anything
    some = clone(TINY).set_params(hidden=8, warmup=100, draws=200, leapfrogs=10)
    weighted = fit_quietly(some, y=wild, sample_weight=weight)
    repeated = fit_quietly(some, np.repeat(X, weight, axis=0), np.repeat(Y, weight))
    for name in ("train_", "centre_", "unit_", "df_", "signal_"):
        ours, theirs = (np.ravel(getattr(m, name)) for m in (weighted, repeated))
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    mean, deviation = weighted.predict(X, return_std=True)
    expected, spread = repeated.predict(X, return_std=True)
    np.testing.assert_allclose(mean, expected, atol=0.25)
    np.testing.assert_allclose(deviation, spread, rtol=0.15)
    assert abs(repeated.unit_ / Y.std() - 1) > 1e-3


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.ones(3), r"sample_weight.shape == \(3,\), expected \(400,\)"),
        (np.where(X[:, 0] > 9, -1, 1), "must be finite and 0 or more, not -1"),
        (np.where(X[:, 0] > 9, np.nan, 1), "must be finite and 0 or more, not nan"),
        (np.zeros(400), "must contain at least one non-zero number"),
        (["many"] * 400, "sample_weight must hold numbers"),
    ],
    ids=str,
)
def test_weights_that_make_no_sense(weight, words):
    with pytest.raises(ValueError, match=words):
        TINY.fit(X, Y, sample_weight=weight)


def test_chains_that_fail_are_said():
    with pytest.warns(ConvergenceWarning, match="The chains failed"):
        AlphaRegressor(hidden=2, warmup=1, draws=4, leapfrogs=1).fit(X, Y)


@pytest.mark.parametrize(
    ("scale", "words"), [(1e30, "None of 2 chains can start"), (1e18, "All 2 chains diverged")]
)
def test_chains_that_all_diverge_leave_no_fit(scale, words):
    """The talk's prior expects returns, in units of its own."""
    model = AlphaRegressor(hidden=8, prior="talk", warmup=60, draws=40, leapfrogs=10)
    with pytest.raises(AlphaError, match=words):
        model.fit(X, scale * Y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_features_that_say_nothing_or_too_much():
    odd = np.c_[X[:, 0], np.full(400, 3.0), 2 - 5 * Y]
    with pytest.warns(DataWarning) as said:
        fit_quietly(TINY, odd)
    texts = [str(one.message) for one in said]
    assert texts[0].startswith("Input 1 is constant in what is learned from")
    assert texts[1].startswith("Input 2 is the target itself: is that known when forecasts")
    named = pd.DataFrame(odd, columns=["a", "b", "c"])
    with pytest.warns(DataWarning) as said:
        fit_quietly(TINY, named)
    assert str(said[1].message).startswith("Input 'c' is the target itself")
    counts = (np.arange(400) < 200).astype(float)  # rows that do not count are not looked at
    late = np.where(counts[:, None] > 0, odd[:, [0, 2]], X[:, [0, 2]])
    with pytest.warns(DataWarning, match="Input 1 is the target itself"):
        fit_quietly(TINY, late, sample_weight=counts)

"""The regressor with learned scales."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.alpha.scikit_learn import SAME_TO_ROUNDING
from tilewright.alpha import AlphaRegressor, BayesianMLPRegressor

RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, size=(300, 3))
NOISE = RNG.standard_normal(300)
CURVED = np.sin(2 * X[:, 0]) + 0.1 * NOISE
SPREAD = 2 + np.exp(0.8 * X[:, 0]) * NOISE
TINY = BayesianMLPRegressor(
    hidden=2, chains=2, warmup=20, draws=8, thin=1, doublings=3, sampler="nuts", patience=1
)
SHORT = BayesianMLPRegressor(hidden=8, chains=2, warmup=200, draws=150, doublings=6, patience=1)


def fit_quietly(estimator, X=X, y=CURVED, **parameters):
    """Chains this short may well fail: that is not looked at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(estimator).set_params(**parameters).fit(X, y)


@pytest.mark.slow  # a program for each shape of data; those of AlphaRegressor are quick
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::tilewright.errors.DataWarning")
@parametrize_with_checks([TINY], expected_failed_checks=lambda _: SAME_TO_ROUNDING)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@cache
def curved():
    return fit_quietly(SHORT, relevance=True)


@cache
def spread(kind):
    return fit_quietly(SHORT, y=SPREAD, mean="constant", scale=kind)


def test_a_curve_is_found():
    assert curved().score(X, CURVED) > 0.9
    low, high = curved().predict_distribution(X).interval(0.9)
    assert 0.82 < ((low < CURVED) & (high > CURVED)).mean() < 0.98


def test_the_relevant_feature_is_reported():
    one, *others = curved().relevance_
    assert curved().relevance_.shape == (3,)
    assert one > 2 * max(others)


@pytest.mark.parametrize("kind", ["linear", "net"])
def test_how_widely_a_target_scatters_is_found(kind):
    found = spread(kind).predict_distribution(X)
    scale = found.deviation()
    truth = np.exp(0.8 * X[:, 0])
    assert np.corrcoef(np.log(scale), np.log(truth))[0, 1] > 0.95
    # 300 rows tell a log-scale to about 0.06 each way; prior and draws add some
    np.testing.assert_allclose(np.log(scale / truth).mean(), 0, atol=0.25)
    assert found.scale.shape == found.location.shape
    assert np.ndim(found.df) == 1
    calm = spread(kind).predict_distribution(X[truth < 0.5]).log_score(SPREAD[truth < 0.5])
    assert calm.mean() < 1.2  # common noise has 1.9 there


@pytest.mark.parametrize(("y", "kind"), [(CURVED, "constant"), (SPREAD, "net")])
def test_the_data_decide_whether_noise_depends_on_them(y, kind):
    model = fit_quietly(TINY, y=y)
    assert model.scale_ == kind
    assert (model.scale_p_value_ < 0.01) == (kind == "net")
    asked = fit_quietly(TINY, y=y, scale=kind)
    assert asked.scale_ == kind
    assert not hasattr(asked, "scale_p_value_")
    np.testing.assert_array_equal(model.predict(X), asked.predict(X))


def test_rows_that_weigh_nothing_have_no_say_in_it():
    y = np.concatenate([CURVED, SPREAD])
    weight = np.repeat([1.0, 0.0], len(X))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = clone(TINY).fit(np.concatenate([X, X]), y, sample_weight=weight)
    assert found.scale_ == "constant"


def test_fixed_priors_have_one_scale():
    assert fit_quietly(TINY, prior="talk", y=SPREAD).scale_ == "constant"


def test_both_heads_are_looked_at():
    assert curved().r_hat_.shape == (10,)
    assert spread("linear").r_hat_.shape == (18,)


def test_degrees_of_freedom_are_sampled_or_known():
    assert curved().df_ > 4
    assert curved().positions_.log_degrees.shape == (2, 150)
    known = fit_quietly(TINY, df=3.0)
    assert known.positions_.log_degrees is None
    assert known.df_ == known.predict_distribution(X).df == 3.0


def test_layers():
    deep = fit_quietly(TINY, hidden=(4, 3, 2))
    assert [layer.b.shape for layer in deep.positions_.mean.layers] == [
        (2, 8, 4), (2, 8, 3), (2, 8, 2)
    ]  # fmt: skip
    assert np.isfinite(deep.predict(X)).all()


def test_same_state_same_bits():
    one, same, other = (fit_quietly(TINY, random_state=s).predict(X) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_blocks_of_rows_change_nothing(monkeypatch):
    whole = curved().predict(X, return_std=True)
    monkeypatch.setattr("tilewright.alpha.regressor.BLOCK", 77)
    for ours, theirs in zip(curved().predict(X, return_std=True), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_the_cost_is_known_before():
    assert BayesianMLPRegressor(patience=1).gradients() == 4 * (500 + 500 * 255 + 2000 * 127)
    assert BayesianMLPRegressor(patience=4).gradients() == 4 * (500 + 500 * 255 + 8000 * 127)
    assert AlphaRegressor().gradients() == 2 * 160 * 20


def test_the_talks_prior():
    """Flat priors: the noise's scale is 100, and nothing is standardised."""
    y = 100 * NOISE
    found = fit_quietly(TINY, X=1000 * X, y=y, prior="talk").predict_distribution(1000 * X)
    assert found.df == 2.2
    np.testing.assert_array_equal(found.scale, 100)


def test_returns_are_a_preset():
    settings: dict[str, Any] = dict(hidden=3, chains=2, warmup=20, draws=10, leapfrogs=4)
    one = fit_quietly(AlphaRegressor(**settings))
    assert one.scale_ == "constant"
    same = fit_quietly(BayesianMLPRegressor(prior="returns", **settings))
    np.testing.assert_array_equal(one.predict(X), same.predict(X))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (dict(prior="flat"), "Unknown prior 'flat': choose one of learned, returns, talk"),
        (dict(mean="curve"), "Unknown mean 'curve'"),
        (dict(scale=None), "Unknown scale None"),
        (dict(hidden=()), "hidden must have 1 to 3 layers, not 0"),
        (dict(hidden=(2, 2, 2, 2)), "hidden must have 1 to 3 layers, not 4"),
        (dict(scale_hidden=(2, 0)), "scale_hidden must be 1 or more, not 0"),
        (dict(relevance=1), "relevance must be True or False, not 1"),
        (dict(warmup=5), "warmup must be 20 or more, not 5"),
        (dict(patience=0), "patience must be 1 or more, not 0"),
        (dict(thin=0), "thin must be 1 or more, not 0"),
        (dict(doublings=13), "doublings must be 12 or less, not 13"),
        (dict(chains=1), "chains must be 2 or more, not 1"),
        (dict(precision="bfloat16"), "precision must be 'float32' with the prior 'learned'"),
        (dict(prior="returns", scale="net"), "scale='net' needs the prior 'learned'"),
        (dict(prior="talk", hidden=(3, 3)), r"hidden=\(3, 3\) needs the prior 'learned'"),
    ],
    ids=str,
)
def test_parameters_that_make_no_sense(parameters, words):
    with pytest.raises(ValueError, match=words):
        clone(TINY).set_params(**parameters).fit(X, CURVED)


def test_not_fitted(tmp_path):
    for use in (TINY.predict, TINY.predict_distribution):
        with pytest.raises(NotFittedError):
            use(X)
    with pytest.raises(NotFittedError):
        TINY.save(tmp_path)

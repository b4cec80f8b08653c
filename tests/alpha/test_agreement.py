"""Chains that disagree go on."""

import warnings
from functools import cache

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from tilewright.alpha import AlphaRegressor, BayesianMLPRegressor, agreement

RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, size=(80, 2))
Y = np.sin(2 * X[:, 0]) + 0.1 * RNG.standard_normal(80)
TINY = BayesianMLPRegressor(
    hidden=2, chains=2, warmup=20, draws=9, thin=1, doublings=3, scale="constant"
)


@cache
def fitted(patience, prior="learned"):
    """Chains this short never agree, and may be taken for ones that never will."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore", ConvergenceWarning)
        patch.setattr("tilewright.alpha.regressor.APART", np.inf)
        return clone(TINY).set_params(patience=patience, prior=prior).fit(X, Y)


def constants(model):
    return np.asarray(model.positions_.mean.constant)


@pytest.mark.parametrize(("patience", "times"), [(1, 1), (2, 2), (3, 2), (4, 4)])
def test_as_long_as_told_by_powers_of_two(patience, times):
    assert fitted(patience).extended_ == times
    assert constants(fitted(patience)).shape == (2, 9)
    assert fitted(patience).failure_


def test_to_go_on_no_chain_is_traced_from_its_beginning(monkeypatch):
    """That takes seconds, and only says what the first program's results are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clone(TINY).set_params(patience=1).fit(X, Y)
        agreement._compiled_longer.cache_clear()
        monkeypatch.setattr("tilewright.alpha.priors.Learned.sample", None)
        monkeypatch.setattr("tilewright.alpha.regressor.APART", np.inf)
        assert clone(TINY).set_params(patience=2).fit(X, Y).extended_ == 2


def test_every_second_draw_is_kept():
    once, twice, more = (constants(fitted(times)) for times in (1, 2, 4))
    np.testing.assert_array_equal(twice[:, :4], once[:, 1::2])
    np.testing.assert_array_equal(more[:, :4], twice[:, 1::2])
    assert not np.isin(twice[:, 4:], once).all()
    assert not np.isin(more[:, 4:], twice).any()


@pytest.mark.parametrize("bounds", [dict(AGREED=np.inf), dict(APART=1.0)], ids=str)
def test_chains_that_agree_or_never_will_do_not(bounds):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bounds.items():
            patch.setattr(f"tilewright.alpha.regressor.{name}", value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = clone(TINY).set_params(patience=4).fit(X, Y)
    assert model.extended_ == 1
    np.testing.assert_array_equal(constants(model), constants(fitted(1)))


@pytest.mark.parametrize("prior", ["returns", "talk"])
def test_those_of_fixed_priors_do_not(prior):
    assert fitted(4, prior).extended_ == 1
    assert AlphaRegressor().patience == 1

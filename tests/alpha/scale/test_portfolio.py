"""Scenarios of tomorrow: each instrument's own distribution, and how they went together."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from skfolio import RiskMeasure
from skfolio.optimization import MeanRisk

from tests.alpha.scale.small import PRICES, SMALL
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.ahead import ahead
from tilewright.alpha.scale.factors import factor_series
from tilewright.alpha.scale.folder import opened
from tilewright.alpha.scale.portfolio import ScenarioPrior, scenarios
from tilewright.alpha.scale.walk import open_walk, walk


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("portfolio") / "job"
    walk(PRICES, SMALL, place)
    return place


def test_ranks_are_the_past_s_and_values_the_model_s(folder):
    found, model = scenarios(opened(folder), 100, seed=3), ahead(opened(folder))
    assert found.shape == (100, 3)
    past = model.panel.target[np.isfinite(model.panel.target).all(axis=1)][-100:]
    ranks = [np.asarray(spearmanr(table).statistic) for table in (found, past)]  # type: ignore
    np.testing.assert_allclose(ranks[0], ranks[1], atol=1e-12)
    drawn = np.expm1(np.sort(model.forecast.sample(100, 3), axis=0) * model.unit)
    np.testing.assert_allclose(np.sort(found.to_numpy(), axis=0), drawn)


def test_a_portfolio_of_skfolio_takes_them(folder):
    import pandas as pd

    names = ["S2", "S0"]
    X = pd.DataFrame(np.random.default_rng(0).normal(0, 0.01, (50, 2)), columns=names)
    prior = ScenarioPrior(folder, 100).fit(X)
    np.testing.assert_array_equal(
        prior.return_distribution_.returns, scenarios(opened(folder), 100)[names]
    )
    model = MeanRisk(risk_measure=RiskMeasure.CVAR, prior_estimator=ScenarioPrior(folder, 100))
    assert np.sum(model.fit(X).weights_) == pytest.approx(1)  # type: ignore[arg-type]
    with pytest.raises(AlphaError, match="says nothing of 'X9' today"):
        prior.fit(X.rename(columns={"S0": "X9"}))


def test_a_factor_by_date_and_asset(folder):
    found = open_walk(opened(folder))
    series = factor_series(found, "q05")
    assert series.index.names == ["date", "asset"]
    first = next(iter(found.scored()))
    day, stock = first.places[0]
    value = series.loc[PRICES.days[day], PRICES.names[stock]]
    assert value == pytest.approx(first.quantiles[0, 1, 0] * first.unit[0])
    assert len(series) == sum(len(one.places) for one in found.scored())
    with pytest.raises(AlphaError, match="column must be one of scale"):
        factor_series(found, "mean")


def test_one_asset_alone(folder):
    import pandas as pd

    prior = ScenarioPrior(folder, 100).fit(pd.DataFrame({"S1": [0.0, 0.1]}))
    found = prior.return_distribution_
    np.testing.assert_allclose(found.covariance, [[found.returns.var(ddof=1)]])


def test_seeds_that_cannot_be(folder):
    for seed in (-1, 2**32, "a"):
        with pytest.raises(AlphaError, match="seed must be"):
            scenarios(opened(folder), 100, seed)  # pyright: ignore[reportArgumentType]

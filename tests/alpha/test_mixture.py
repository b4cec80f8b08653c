"""Mixtures of Student-t distributions against closed forms and samples."""

import numpy as np
import pytest
import scipy.stats
import scoringrules

from tilewright.alpha.mixture import Mixture, student_cdf
from tilewright.alpha.results import LEVELS

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("df", [2.5, 4.0, 30.0])
def test_one_component_is_a_student_t(df):
    y = RNG.standard_t(3, 300) * 2
    one = Mixture(np.full((1, 300), 0.1), np.array([0.8]), df)
    np.testing.assert_allclose(one.crps(y), scoringrules.crps_t(y, df, 0.1, 0.8), atol=3e-6)
    np.testing.assert_allclose(-one.log_pdf(y), scoringrules.logs_t(y, df, 0.1, 0.8), atol=1e-12)
    np.testing.assert_allclose(one.cdf(y), scipy.stats.t.cdf((y - 0.1) / 0.8, df), atol=1e-7)


def test_one_component_is_normal():
    y = RNG.normal(size=300)
    one = Mixture(np.full((1, 300), -0.2), np.array([1.3]), np.inf)
    np.testing.assert_allclose(one.crps(y), scoringrules.crps_normal(y, -0.2, 1.3), atol=1e-6)
    np.testing.assert_allclose(-one.log_pdf(y), scoringrules.logs_normal(y, -0.2, 1.3), atol=1e-12)


@pytest.fixture(scope="module")
def wide():
    return Mixture(RNG.normal(0, 0.5, (50, 8)), RNG.uniform(0.5, 1.5, 50), 4.0)


def test_scores_of_a_mixture_are_those_of_its_samples(wide):
    y = np.linspace(-3, 3, 8)
    draws = wide.location[:, :, None] + wide.scale[:, None, None] * RNG.standard_t(
        4.0, (50, 8, 4000)
    )
    sample = draws.transpose(1, 0, 2).reshape(8, -1)
    expected = np.asarray(scoringrules.crps_ensemble(y, sample))  # pyright: ignore[reportArgumentType]
    # 200,000 samples of deviation below 2: standard errors below 0.005; 8 rows at 4 of them
    np.testing.assert_allclose(wide.crps(y), expected, atol=0.02)
    np.testing.assert_allclose(wide.cdf(y), (sample < y[:, None]).mean(axis=1), atol=0.005)
    np.testing.assert_allclose(wide.mean(), sample.mean(axis=1), atol=0.02)
    np.testing.assert_allclose(wide.deviation(), sample.std(axis=1), rtol=0.03)


def test_quantiles_undo_the_distribution_function(wide):
    for level, found in zip(LEVELS, wide.quantile(LEVELS), strict=True):
        np.testing.assert_allclose(wide.cdf(found), level, atol=1e-5)


@pytest.mark.parametrize("df", [1.5, 4.0, 30.0, np.inf])
def test_quantiles_far_out(df):
    scales = np.exp(RNG.normal(size=50))
    mixed = Mixture(100 + RNG.normal(0, 0.5, (50, 8)), scales, df)
    for level in (1e-4, 0.001, 0.5, 0.999, 1 - 1e-4):
        found = mixed.cdf(mixed.quantile(level))
        np.testing.assert_allclose(found, level, rtol=1e-4)
        np.testing.assert_allclose(1 - found, 1 - level, rtol=1e-3)


def test_one_level_is_one_row(wide):
    np.testing.assert_array_equal(wide.quantile(0.5), wide.quantile([0.5])[0])
    for bad in (0, 1.0, -0.1, np.nan, [[0.5]]):
        with pytest.raises(ValueError, match="Levels must lie above 0 and below 1"):
            wide.quantile(bad)


def test_density_is_the_slope_of_the_distribution_function(wide):
    x = np.linspace(-2, 2, 8)
    slope = (wide.cdf(x + 0.02) - wide.cdf(x - 0.02)) / 0.04
    np.testing.assert_allclose(np.exp(wide.log_pdf(x)), slope, rtol=1e-3)


def test_far_tails():
    assert student_cdf(np.array([-1e9, 1e9]), 4.0) == pytest.approx([0, 1], abs=1e-12)

"""Mixtures of Student-t distributions against closed forms and samples."""

import numpy as np
import pytest
import scipy.stats

from tilewright.alpha.mixture import Mixture
from tilewright.alpha.results import LEVELS

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def scoringrules():
    """Compiles its rules when it is imported, for seconds."""
    import scoringrules

    return scoringrules


@pytest.mark.parametrize("df", [2.5, 4.0, 30.0])
def test_one_component_is_a_student_t(scoringrules, df):
    y = RNG.standard_t(3, 300) * 2
    one = Mixture(np.full((1, 300), 0.1), np.array([0.8]), df)
    np.testing.assert_allclose(one.crps(y), scoringrules.crps_t(y, df, 0.1, 0.8), atol=3e-6)
    np.testing.assert_allclose(-one.log_pdf(y), scoringrules.logs_t(y, df, 0.1, 0.8), atol=1e-12)
    np.testing.assert_allclose(one.cdf(y), scipy.stats.t.cdf((y - 0.1) / 0.8, df), atol=1e-7)


def test_one_component_is_normal(scoringrules):
    y = RNG.normal(size=300)
    one = Mixture(np.full((1, 300), -0.2), np.array([1.3]), np.inf)
    np.testing.assert_allclose(one.crps(y), scoringrules.crps_normal(y, -0.2, 1.3), atol=1e-6)
    np.testing.assert_allclose(-one.log_pdf(y), scoringrules.logs_normal(y, -0.2, 1.3), atol=1e-12)


@pytest.fixture(scope="module")
def wide():
    return Mixture(RNG.normal(0, 0.5, (50, 8)), RNG.uniform(0.5, 1.5, 50), 4.0)


def test_scores_of_a_mixture_are_those_of_its_samples(scoringrules, wide):
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
    for bad in (1.01, -0.1, np.nan, [[0.5]]):
        with pytest.raises(ValueError, match="Levels must lie between 0 and 1"):
            wide.quantile(bad)


def test_the_ends(wide):
    np.testing.assert_array_equal(wide.quantile([0, 1]), [[-np.inf] * 8, [np.inf] * 8])
    np.testing.assert_array_equal(wide.interval(1.0), wide.quantile([0, 1]))
    np.testing.assert_allclose(wide.interval(0.9), wide.quantile([0.05, 0.95]), rtol=1e-12)
    with pytest.raises(ValueError, match="share must lie between 0 and 1"):
        wide.interval(1.5)


def test_density_is_the_slope_of_the_distribution_function(wide):
    x = np.linspace(-2, 2, 8)
    slope = (wide.cdf(x + 0.02) - wide.cdf(x - 0.02)) / 0.04
    np.testing.assert_allclose(np.exp(wide.log_pdf(x)), slope, rtol=1e-3)


@pytest.fixture(scope="module")
def uneven():
    """Scales of draws and rows, degrees of freedom of draws."""
    scale = np.exp(RNG.normal(0, 0.4, (50, 8)) + np.linspace(-2, 2, 8))
    return Mixture(RNG.normal(0, 0.5, (50, 8)), scale, RNG.uniform(2.5, 9, 50))


def test_scales_of_rows_and_degrees_of_draws(uneven):
    """Each row alone is a mixture of Student-t distributions, by scipy."""
    y = np.linspace(-3, 3, 8)
    each = scipy.stats.t(uneven.df[:, None], uneven.location, uneven.scale)
    np.testing.assert_allclose(uneven.cdf(y), each.cdf(y).mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(uneven.pdf(y), each.pdf(y).mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(uneven.log_score(y), -np.log(each.pdf(y).mean(axis=0)), rtol=1e-10)
    second = each.var() + uneven.location**2
    spread = np.sqrt(second.mean(axis=0) - uneven.mean() ** 2)
    np.testing.assert_allclose(uneven.deviation(), spread, rtol=1e-10)
    for level in (0.001, 0.05, 0.5, 0.99):
        np.testing.assert_allclose(each.cdf(uneven.quantile(level)).mean(axis=0), level, rtol=1e-4)


def test_scores_and_tails_are_integrals(uneven):
    """CRPS and expected shortfall against sums over a fine grid."""
    y = np.linspace(-3, 3, 8)
    crps, shortfall = uneven.crps(y), uneven.expected_shortfall(0.025)
    for row in range(8):
        one = scipy.stats.t(uneven.df[:, None], uneven.location[:, [row]], uneven.scale[:, [row]])
        x = np.sinh(np.linspace(-11, 11, 8001)) * uneven.scale[:, row].mean()
        F = one.cdf(x[None]).mean(axis=0)
        inner = np.trapezoid((F - (x >= y[row])) ** 2, x)
        np.testing.assert_allclose(crps[row], inner, rtol=0.01)
        q = uneven.quantile(0.025)[row]
        grid = q - uneven.scale[:, row].mean() * np.expm1(np.linspace(0, 11, 8001))[::-1]
        density = one.pdf(grid[None]).mean(axis=0)
        np.testing.assert_allclose(
            shortfall[row], np.trapezoid(grid * density, grid) / 0.025, rtol=2e-3
        )


APART = {
    "tails that hardly have a mean": (0.0, 1.0, 0.3, np.full(20, 1.05)),
    "one number, heavy": (0.0, 1.0, 0.3, 1.3),
    "some draws normal": (0.0, 1.0, 0.3, np.r_[np.inf, 1.1, 2.0, np.linspace(2.1, 50, 17)]),
    "two clusters": (np.repeat([-1.0, 1.0], 10)[:, None], 1e-3, 0.3, np.full(20, 5.0)),
    "clusters beyond all nodes": (np.repeat([-1e2, 1e2], 10)[:, None], 1e-3, 0.3, np.inf),
    "scales of many sizes": (0.0, 1.0, 4.0, np.linspace(2.1, 20, 20)),
    "larger than any float32": (0.0, 1e40, 0.3, 4.0),
}


@pytest.mark.parametrize("name", APART)
def test_draws_that_lie_apart(name):
    """Against sums over all places that matter to any draw."""
    shift, size, uneven, df = APART[name]
    rng = np.random.default_rng(5)
    location = shift + size * rng.normal(size=(20, 2))
    scale = size * np.exp(uneven * rng.normal(size=(20, 2)))
    mixed = Mixture(location, scale, df)
    each = np.broadcast_to(df, 20)[:, None]
    y = location[0] + scale[0]
    crps, quantiles = mixed.crps(y), mixed.quantile([0.001, 0.24, 0.9])
    shortfall = mixed.expected_shortfall(0.24)
    v = np.sinh(np.linspace(-14, 14, 1501))
    for row in range(2):

        def mean_cdf(x, row=row):
            z = (x - location[:, [row]]) / scale[:, [row]]
            heavy = scipy.stats.t.cdf(z, each)
            return np.where(np.isinf(each), scipy.stats.norm.cdf(z), heavy).mean(axis=0)

        x = np.sort((location[:, row] + scale[:, row] * v[:, None]).ravel())
        x = np.sort(np.concatenate([x, [y[row]] * 2]))  # from both sides
        steps = (np.arange(len(x)) > np.searchsorted(x, y[row])).astype(float)
        inner = np.trapezoid((mean_cdf(x) - steps) ** 2, x)
        np.testing.assert_allclose(crps[row], inner, rtol=1e-3)
        np.testing.assert_allclose(mean_cdf(quantiles[:, row]), [0.001, 0.24, 0.9], rtol=1e-4)
        q = quantiles[1, row]
        below = x[x <= q]
        under = np.trapezoid(np.append(mean_cdf(below), 0.24), np.append(below, q))
        if np.min(df) > 2:  # else what lies below the places counts
            np.testing.assert_allclose(q - shortfall[row], under / 0.24, rtol=1e-3)


@pytest.mark.parametrize("df", [1.2, 4.0, 60.0, np.inf])
def test_quantiles_of_levels_that_tables_do_not_know(df):
    one = Mixture(np.full((2, 1), 3.0), np.full(2, 0.5), df)
    exact = scipy.stats.norm if np.isinf(df) else scipy.stats.t(df)
    for level in (1e-12, 1e-7, 1 - 1e-7):
        np.testing.assert_allclose(one.quantile(level), 3 + 0.5 * exact.ppf(level), rtol=1e-6)
    z = exact.ppf(1e-7)
    tail = exact.pdf(z) * (1 if np.isinf(df) else (df + z * z) / (df - 1)) / 1e-7
    np.testing.assert_allclose(one.expected_shortfall(1e-7), 3 - 0.5 * tail, rtol=1e-4)


def test_outcomes_that_are_missing_or_infinite(wide, uneven):
    y = np.zeros(8)
    y[[1, 2]] = np.nan, np.inf
    for mixed in (wide, uneven):
        expected = mixed.crps(np.zeros(8)), mixed.cdf(np.zeros(8))
        for found, whole, end in zip(
            (mixed.crps(y), mixed.cdf(y)), expected, (np.inf, 1), strict=True
        ):
            assert np.isnan(found[1])
            np.testing.assert_allclose(found[2], end)
            np.testing.assert_array_equal(np.delete(found, [1, 2]), np.delete(whole, [1, 2]))


def test_without_a_mean():
    """Of one degree of freedom or less."""
    heavy = Mixture(np.zeros((2, 1)), np.ones(2), 0.5)
    assert heavy.crps([0.0]) == np.inf
    assert heavy.expected_shortfall(0.1) == -np.inf
    np.testing.assert_allclose(heavy.quantile(0.001), scipy.stats.t(0.5).ppf(0.001), rtol=1e-6)


def test_shortfall_of_everything_is_the_mean(uneven):
    np.testing.assert_array_equal(uneven.expected_shortfall(1), uneven.mean())
    np.testing.assert_allclose(uneven.expected_shortfall(1 - 1e-9), uneven.mean(), atol=1e-5)
    for bad in (0, -1, 2, np.nan):
        with pytest.raises(ValueError, match="level must be above 0, and 1 at most"):
            uneven.expected_shortfall(bad)


@pytest.mark.parametrize("df", [5.0, np.inf])
def test_samples_have_the_distribution(uneven, df):
    for mixed in (uneven, Mixture(uneven.location, uneven.scale[:, 0], df)):
        sample = mixed.sample(20_000, 3)
        assert sample.shape == (20_000, 8)
        for level in (0.05, 0.5, 0.95):  # standard errors below 0.0036; 48 comparisons at 4 of them
            below = (sample < mixed.quantile(level)).mean(axis=0)
            np.testing.assert_allclose(below, level, atol=0.0145)
    np.testing.assert_array_equal(uneven.sample(5, 1), uneven.sample(5, 1))


def test_one_line_says_what_it_is(uneven, wide):
    assert repr(wide) == "Mixture of 50 Student-t distributions (df 4) for each of 8 rows"
    assert "\n" not in repr(uneven)
    assert len(uneven) == 8


@pytest.mark.parametrize(
    ("location", "scale", "df", "words"),
    [
        (np.zeros(3), np.ones(3), 4.0, "location must be"),
        (np.zeros((3, 2)), np.ones(2), 4.0, "scale must be of shape"),
        (np.zeros((3, 2)), np.ones(3), np.ones(2), "df must be a number or"),
        (np.zeros((3, 2)), np.zeros(3), 4.0, "scale must be above 0"),
        (np.zeros((0, 2)), np.zeros(0), 4.0, "with a draw"),
        (np.full((3, 2), np.nan), np.ones(3), 4.0, "must be finite"),
        (np.zeros((3, 2)), np.full(3, np.inf), 4.0, "must be finite"),
        (np.zeros((3, 2)), np.ones(3), -1.0, "df must be above 0"),
        (np.zeros((3, 2)), np.ones(3), np.ones(3), "df must be above 1 in every draw"),
    ],
)
def test_shapes_that_do_not_belong_together(location, scale, df, words):
    with pytest.raises(ValueError, match=words):
        Mixture(location, scale, df)

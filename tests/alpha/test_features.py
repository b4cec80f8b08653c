"""Features: nothing of the future, nothing collinear."""

from typing import Any

import numpy as np
import pytest
import scipy.stats

from tests.alpha.market import prices
from tilewright.alpha.features import HISTORY, NAMES, target_and_features


def test_there_are_22_and_all_are_finite():
    target, features = target_and_features(prices().values)
    assert len(set(NAMES)) == 22 == features.shape[2]
    assert np.isfinite(features[HISTORY:]).all()
    assert np.isfinite(target[HISTORY:-1]).all()
    assert np.isnan(target[-1]).all()


@pytest.mark.parametrize("day", [HISTORY, 400, 618])
def test_the_future_changes_nothing(day):
    values = prices().values
    changed = values.copy()
    changed[day + 1 :] *= np.exp(np.random.default_rng(1).normal(size=changed[day + 1 :].shape))
    (target, features), (other_target, other) = map(target_and_features, (values, changed))
    np.testing.assert_array_equal(features[: day + 1], other[: day + 1])
    np.testing.assert_array_equal(target[:day], other_target[:day])
    assert not np.array_equal(target[day], other_target[day])


def test_the_past_does_change_something():
    values = prices().values
    changed = values.copy()
    changed[:400] *= 1.5  # a jump of all stocks at day 400
    features, other = target_and_features(values)[1], target_and_features(changed)[1]
    assert not np.array_equal(features[400], other[400])


def test_a_split_changes_nothing():
    values = prices().values
    features, other = target_and_features(values)[1], target_and_features(values * 7.0)[1]
    np.testing.assert_allclose(features[HISTORY:], other[HISTORY:], rtol=1e-6, atol=1e-6)


def by_hand(values: np.ndarray, day: int, stock: int) -> dict[str, Any]:
    """Features of one stock-day, from their definitions, by sums over days."""
    log_price = np.log(values)
    returns = np.diff(log_price, axis=0, prepend=np.nan)

    def volatility(day: int, stock: int) -> float:
        past = returns[1 : day + 1, stock] ** 2
        weights = 0.94 ** np.arange(len(past))[::-1]
        return max(np.sqrt(weights @ past / weights.sum()), 1e-4)

    def scaled(day: int, stock: int) -> float:
        return returns[day, stock] / volatility(day - 1, stock)

    def over(first: int, last: int, stock: int) -> float:
        """Scaled log return between two closes that many days ago."""
        move = log_price[day - last, stock] - log_price[day - first, stock]
        return move / volatility(day, stock) / np.sqrt(first - last)

    def rank(all_stocks: list[float]) -> float:
        below = sum(value < all_stocks[stock] for value in all_stocks)
        return (2 * below + 1) / len(all_stocks) - 1

    def spread(days: int, stock: int) -> float:
        return returns[day - days + 1 : day + 1, stock].std(ddof=1)

    stocks, now = range(values.shape[1]), volatility(day, stock)
    recent = np.array([[scaled(d, s) for s in stocks] for d in range(day - 251, day + 1)])
    losses = np.minimum(returns[day - 20 : day + 1, stock], 0)
    market = recent.mean(axis=1)
    return {
        **{f"return_lag_{lag}": scaled(day - lag, stock) for lag in range(5)},
        **{f"return_{days}": over(days, 0, stock) for days in (10, 21, 63)},
        "momentum_126": over(126, 21, stock),
        "momentum_252": over(252, 21, stock),
        "reversal_5": over(5, 0, stock) - np.mean([over(5, 0, s) for s in stocks]),
        "volatility_21": np.log(spread(21, stock) / spread(252, stock)),
        "volatility_ratio": np.log(now / spread(63, stock)),
        "downside_21": np.sqrt(np.mean(losses**2)) / spread(21, stock),
        "skew_63": float(scipy.stats.skew(recent[-63:, stock], bias=False)),
        "largest_21": recent[-21:, stock].max(),
        "gap_to_mean_50": (log_price[day, stock] - log_price[day - 49 : day + 1, stock].mean())
        / (now * np.sqrt(50)),
        "rank_return_1": rank([scaled(day, s) for s in stocks]),
        "rank_momentum_252": rank([over(252, 21, s) for s in stocks]),
        "rank_volatility": rank([spread(252, s) for s in stocks]),
        "market_return_1": market[-1],
        "market_volatility": np.log(market[-21:].std(ddof=1) / market.std(ddof=1)),
    }


@pytest.mark.parametrize(("day", "stock"), [(300, 0), (411, 2), (618, 1)])
def test_every_feature_is_what_its_name_says(day, stock):
    values = prices().values
    features = target_and_features(values)[1][day, stock]
    expected = by_hand(values, day, stock)
    for name, found in zip(NAMES, features, strict=True):
        assert found == pytest.approx(expected[name], rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize("day", [300, 618])
def test_the_target_is_the_next_return_over_the_volatility_known_before(day):
    values = prices().values
    returns = np.diff(np.log(values), axis=0)  # row d: from close d to close d + 1
    weights = 0.94 ** np.arange(day)[::-1]
    volatility = np.sqrt(weights @ returns[:day] ** 2 / weights.sum())
    target = target_and_features(values)[0][day]
    np.testing.assert_allclose(target, returns[day] / volatility, rtol=1e-9)


def test_no_feature_is_a_linear_function_of_others():
    features = target_and_features(prices(2000, 6).values)[1][HISTORY:].reshape(-1, 22)
    assert np.linalg.eigvalsh(np.corrcoef(features.T)).min() > 0.01


def test_target_is_the_next_return_in_units_of_about_one():
    values = prices(3000).values
    target, _ = target_and_features(values)
    next_return = np.log(values[1:] / values[:-1])
    usual = np.s_[HISTORY:-1]
    assert 0.8 < target[usual].std() < 1.4
    assert (np.sign(target[:-1][HISTORY:]) == np.sign(next_return[HISTORY:])).all()

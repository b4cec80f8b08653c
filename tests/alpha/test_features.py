"""Features: nothing of the future, nothing collinear."""

import numpy as np
import pytest

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

"""The planted signal is there and has no linear part; the shuffled target has none."""

import numpy as np

from tests.alpha.market import prices
from tilewright.alpha.controls import FACTORS, STRENGTH, planted, shuffled, strength
from tilewright.alpha.features import HISTORY, NAMES, target_and_features

TARGET, FEATURES = target_and_features(prices(4000, 10).values)
VALID = np.s_[HISTORY:-1]


def test_shuffled_days_are_the_same_days_in_another_order():
    mixed, days = shuffled(TARGET, 0)[VALID], TARGET[VALID]
    centred = days - days.mean(axis=0)
    np.testing.assert_allclose(np.sort(mixed[:, 0]), np.sort(centred[:, 0]))
    order = np.argsort(mixed[:, 0])
    np.testing.assert_allclose(mixed[order], centred[np.argsort(centred[:, 0])])
    assert not np.allclose(mixed, centred)


def test_the_seed_decides():
    np.testing.assert_array_equal(shuffled(TARGET, 3), shuffled(TARGET, 3))
    assert not np.array_equal(shuffled(TARGET, 3)[VALID], shuffled(TARGET, 4)[VALID])


def test_fewer_rows_have_a_stronger_signal():
    assert [strength(n) / STRENGTH for n in (5, 10, 20, 500)] == [4, 2, 1, 1]


def test_planted_signal_is_not_linear():
    signal = (planted(FEATURES, TARGET, 0) - shuffled(TARGET, 0))[VALID].ravel()
    X = FEATURES[VALID].reshape(-1, len(NAMES))
    assert np.isclose(signal.std(), 2 * STRENGTH, rtol=0.02)  # 10 stocks: half the rows of 20
    X = np.column_stack([np.ones(len(X)), X])
    left = signal - X @ np.linalg.lstsq(X, signal, rcond=None)[0]
    assert 1 - left.var() / signal.var() < 0.05
    first, second = (X[:, 1 + NAMES.index(name)] for name in FACTORS)
    assert np.corrcoef(signal, first * second)[0, 1] > 0.999

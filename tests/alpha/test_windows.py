"""Where windows lie, and what is standardised by what."""

import numpy as np
import pytest

from tests.alpha.market import prices
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.features import HISTORY, target_and_features
from tilewright.alpha.windows import CLIP, GAP, TEST, TRAIN, rows_of, standardise, walk_forward


def test_windows_tile_the_days_from_the_newest_back():
    windows = walk_forward(1000, 200)
    tested = [day for w in windows for day in range(w.test, w.test + TEST)]
    assert max(tested) == 998  # day 999 has no target
    assert sorted(tested) == list(range(min(tested), 999))
    assert len(set(tested)) == len(tested)
    assert min(w.start for w in windows) >= HISTORY > min(w.start for w in windows) - TEST


def test_count_limits_the_oldest():
    assert walk_forward(1000, 3) == walk_forward(1000, 200)[:3]


def test_too_few_days():
    need = HISTORY + TRAIN + GAP + TEST + 1
    assert len(walk_forward(need, 5)) == 1
    with pytest.raises(AlphaError, match=f"needs {need} days of prices, and the table has"):
        walk_forward(need - 1, 5)


def test_training_targets_are_known_before_the_test_block():
    table = prices()
    (window,) = walk_forward(len(table.days), 1)
    changed = table.values.copy()
    changed[window.test :] *= 3.0  # the first close that a forecast is made at, and all later ones
    before = rows_of(window, *reversed(target_and_features(table.values)))
    after = rows_of(window, *reversed(target_and_features(changed)))
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])


def test_standardised_by_training_rows_alone():
    rng = np.random.default_rng(0)
    train, test = rng.normal(3, 2, (500, 4)), rng.normal(100, 1, (50, 4))
    train[:, 3] = 1.0
    inside, outside = standardise(train, test)
    np.testing.assert_allclose(inside[:, :3].mean(axis=0), 0, atol=0.02)
    assert np.abs(inside).max() <= CLIP
    assert (inside[:, 3] == 0).all()
    assert (outside[:, :3] == CLIP).all()
    assert np.array_equal(standardise(train, test[:1])[0], inside)

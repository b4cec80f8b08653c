"""Where windows lie, and what is standardised by what."""

import numpy as np
import pytest

from tests.alpha.market import prices
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.features import HISTORY, target_and_features
from tilewright.alpha.windows import (
    CLIP,
    GAP,
    TEST,
    TRAIN,
    inside,
    rows_of,
    standardise,
    training_targets,
    walk_forward,
)


def days(count: int) -> list[str]:
    """Row numbers."""
    return [str(i) for i in range(1, count + 1)]


def test_windows_tile_the_days_from_the_newest_back():
    windows = walk_forward(days(1000), 200)
    tested = [day for w in windows for day in range(w.test, w.test + TEST)]
    assert max(tested) == 998  # day 999 has no target
    assert sorted(tested) == list(range(min(tested), 999))
    assert len(set(tested)) == len(tested)
    assert min(w.start for w in windows) >= HISTORY > min(w.start for w in windows) - TEST


def test_count_limits_the_oldest():
    assert walk_forward(days(1000), 3) == walk_forward(days(1000), 200)[:3]


def test_windows_that_are_known_by_their_dates():
    every = [str(day) for day in np.datetime64("2015-01-01") + np.arange(1000)]
    windows = walk_forward(every, 200, "dates")
    tested = [day for w in windows for day in range(w.test, w.test + TEST)]
    assert sorted(tested) == list(range(HISTORY + TRAIN + GAP, max(tested) + 1))
    assert 999 - TEST < max(tested) + 1 <= 999
    assert [w.index for w in windows] == list(range(len(windows)))
    assert windows[0].number == int(every[windows[0].test].replace("-", ""))
    for cut in (999, 980, 700):
        fewer = {w.number: w.start for w in walk_forward(every[:cut], 200, "dates")}
        assert fewer == {w.number: w.start for w in windows if w.days <= cut}
    assert walk_forward(days(1000), 1, "dates")[0].number == windows[0].test + 1
    assert len(walk_forward(every, 3, "dates")) == 3


def test_too_few_days():
    need = HISTORY + TRAIN + GAP + TEST + 1
    assert len(walk_forward(days(need), 5)) == 1
    with pytest.raises(AlphaError, match=f"needs {need} days of prices, and the table has"):
        walk_forward(days(need - 1), 5)


def test_training_targets_are_known_before_the_test_block():
    table = prices()
    (window,) = walk_forward(table.days, 1)
    changed = table.values.copy()
    changed[window.test :] *= 3.0  # the first close that a forecast is made at, and all later ones
    before = rows_of(window, *reversed(target_and_features(table.values)))
    after = rows_of(window, *reversed(target_and_features(changed)))
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])


def test_every_row_is_of_the_day_that_it_should_be():
    every, stocks = np.arange(900.0), 2
    features = np.repeat(every, stocks).reshape(900, stocks, 1)
    window = walk_forward(days(900), 3)[2]
    X, y, X_test, y_test = rows_of(window, features, features[..., 0])
    trained = np.repeat(every[window.start : window.start + 250], stocks)
    tested = np.repeat(every[window.start + 251 : window.start + 272], stocks)
    np.testing.assert_array_equal(y, trained)
    np.testing.assert_array_equal(training_targets(window, features[..., 0]), trained)
    np.testing.assert_array_equal(y_test, tested)
    assert y_test[0] == window.test
    np.testing.assert_allclose(X[:, 0] * trained.std() + trained.mean(), trained)
    np.testing.assert_allclose(X_test[:, 0] * trained.std() + trained.mean(), tested)


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


@pytest.mark.parametrize("unit", [1e-10, 1e-120, 1e9])
def test_features_are_standardised_in_whatever_units(unit):
    """Such as what a price moves for a dollar that is traded; what is constant is 0."""
    X = np.random.default_rng(0).normal(5, 2, (400, 3)) * unit
    X[:, 2] = 7 * unit + 1e-16 * X[:, 0]
    found = inside(X, X.mean(axis=0), X.std(axis=0))
    np.testing.assert_allclose(found[:, :2].std(axis=0), 1, rtol=0.01)
    np.testing.assert_allclose(found[:, 2], 0, atol=1e-6)

"""Beside other estimators, on data whose answer is known to be curved."""

import numpy as np
import pytest

from tests.alpha.comparison import (
    BOOSTING,
    FIELDS,
    GAUSSIAN,
    OURS,
    PROBLEMS,
    RIDGE,
    UNCOUNTED,
    measured,
    no_worse,
    score,
)

NAMES = [OURS, GAUSSIAN, RIDGE, BOOSTING]
SPLITS, MOST = 10, 5

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seven(tmp_path_factory):
    """Scores of all on ten splits of each set: half an hour of two cores."""
    folder = tmp_path_factory.mktemp("seven")
    counted = [name for name in PROBLEMS if name not in UNCOUNTED]
    return dict(measured(folder, SPLITS, NAMES, {}, counted))


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    ("peer", "margin"), [(GAUSSIAN, "own"), (RIDGE, "none"), (BOOSTING, "none")]
)
def test_five_of_seven_sets_or_more(seven, peer, margin, field):
    """No worse than a Gaussian process but for its error, better than ridge and boosting."""
    good = [no_worse(found[OURS], found[peer], field, margin) for found in seven.values()]
    assert len(good) == 7
    assert sum(good) >= MOST


def test_intervals_hold_and_chains_agree_on_all_sets(seven):
    """Means over splits: what 90 % intervals hold, and R-hat at 95 % of test rows."""
    for found in seven.values():
        assert 0.85 <= np.mean([one.cover for one in found[OURS]]) <= 0.95
        assert np.mean([one.r_hat for one in found[OURS]]) <= 1.05


@pytest.mark.parametrize("problem", ["Friedman 1", "Friedman 2"])
def test_better_than_ridge_and_boosting_and_near_a_gaussian_process(problem):
    """Means of two splits, with a scale for each feature, as the Gaussian process has."""
    tables = [{name: score(problem, seed, name, {}) for name in NAMES} for seed in range(2)]
    r2, log_score = (
        {name: np.mean([getattr(t[name], field) for t in tables]) for name in tables[0]}
        for field in ("r2", "log_score")
    )
    for peer in (RIDGE, BOOSTING):
        assert r2[OURS] > r2[peer]
        assert log_score[OURS] < log_score[peer]
    assert r2[OURS] > r2[GAUSSIAN] - 0.01
    assert log_score[OURS] < log_score[GAUSSIAN] + 0.04
    assert 0.85 < np.mean([table[OURS].cover for table in tables]) < 0.95


def test_firms_that_scatter_by_their_size_get_a_scale_that_is_a_net():
    """Of two splits: chains agree better, intervals hold more, outcomes surprise less."""
    plain, net = (
        [score("grunfeld", seed, OURS, parameters) for seed in range(2)]
        for parameters in ({"scale": "constant"}, {})
    )
    for field in ("log_score", "r_hat"):
        assert all(getattr(b, field) < getattr(a, field) for a, b in zip(plain, net, strict=True))
    assert np.mean([one.cover for one in net]) > np.mean([one.cover for one in plain])
    assert max(one.r_hat for one in net) < 1.15

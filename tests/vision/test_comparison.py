"""The verdict says what the numbers say."""

import numpy as np
import pytest

from tilewright.vision.comparison import LINEAR, MAJORITY, compared

RNG = np.random.default_rng(0)
CAME = RNG.integers(0, 2, 400)


def shares(skill, noise=0.05, seed=1):
    """Probabilities that lean to what came."""
    rng = np.random.default_rng(seed)
    right = np.clip(0.5 + skill + noise * rng.normal(size=len(CAME)), 0.01, 0.99)
    return np.where(CAME[:, None] == np.arange(2), right[:, None], 1 - right[:, None])


@pytest.mark.parametrize("skill, words, best", [
    (0.35, "pays", "net, last blocks trained further"),
    (0.2, "gains nothing", LINEAR),
    (0.05, "made it worse", LINEAR),
])  # fmt: skip
def test_headlines(skill, words, best):
    found = compared(
        np.array([0.5, 0.5]), {"frozen": shares(0.2), "net": shares(skill, seed=2)}, CAME, "blocks"
    )
    assert words in found.verdict[0]
    assert found.best == best
    assert "400 images were tested" in found.verdict[-1]


def test_features_that_tell_nothing():
    found = compared(np.array([0.5, 0.5]), {"frozen": shares(0.0, 0.2)}, CAME, "features")
    assert "tell no more than the frequencies" in found.verdict[0]
    found = compared(np.array([0.5, 0.5]), {"frozen": shares(0.2)}, CAME, "features")
    assert "better than their frequencies" in found.verdict[0]
    assert found.rows[1].log_loss_difference.value == 0


def test_a_net_that_tells_nothing_either():
    for skill in (0.0, -0.05):
        given = {"frozen": shares(0.0, 0.2), "net": shares(skill, 0.2, seed=2)}
        found = compared(np.array([0.5, 0.5]), given, CAME, "head")
        assert found.verdict[0].startswith("Neither the net nor logistic regression")
        assert found.best == MAJORITY


def test_groups_make_errors_larger_and_are_counted():
    groups = np.repeat(np.arange(8), 50)
    helped = shares(0.2) + np.array([1, -1]) * (0.1 * (groups % 2) * (1 - 2 * CAME))[:, None]
    given = {"frozen": shares(0.2), "net": np.clip(helped, 0.01, 0.99)}
    alone = compared(np.array([0.5, 0.5]), given, CAME, "head")
    grouped = compared(np.array([0.5, 0.5]), given, CAME, "head", groups)
    one, other = (f.rows[-1].log_loss_difference.error for f in (alone, grouped))
    assert other > 3 * one
    assert "by 8 groups" in grouped.verdict[-1]

"""What counts as a failed window."""

import numpy as np
import pytest

from tilewright.alpha.diagnostics import ROWS, check_alive, diagnose
from tilewright.alpha.errors import AlphaError

RNG = np.random.default_rng(0)
MEAN, SCALE = RNG.normal(size=(2, 200, 40)), RNG.uniform(0.9, 1.1, (2, 200))
GOOD, NONE, DENSITY = np.array([0.8, 0.9]), np.zeros(2), RNG.normal(size=(2, 200))


def test_chains_that_agree():
    found = diagnose(MEAN, SCALE, GOOD, NONE, DENSITY)
    assert found.failure == ""
    assert found.r_hat.shape == found.ess.shape == (ROWS + 1,)
    assert found.r_hat.max() < 1.1
    assert found.ess.mean() > 250


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(mean=MEAN + np.array([0, 2])[:, None, None]), "chains disagree"),
        (dict(scale=SCALE * np.array([1, np.nan])[:, None]), "not finite"),
        (dict(log_density=DENSITY - np.array([0, np.inf])[:, None]), "no start of a chain has a"),
        (dict(acceptance=np.array([0.9, 0.2])), "accepted 20%"),
        (dict(divergences=np.array([0, 40])), "20% of a chain's draws diverged"),
        (dict(mean=np.zeros_like(MEAN)), "chains disagree"),
    ],
)
def test_failures(change, words):
    sound = dict(mean=MEAN, scale=SCALE, acceptance=GOOD, divergences=NONE, log_density=DENSITY)
    assert words in diagnose(**{**sound, **change}).failure


NOWHERE = np.full_like(DENSITY, -np.inf)


@pytest.mark.parametrize(
    ("divergences", "density", "words"),
    [
        (NONE, NOWHERE, "None of 2 chains can start"),
        (NONE, np.full_like(DENSITY, -7.0), "All 2 chains diverged, or stood still"),
        (np.array([200, 200]), DENSITY, "All 2 chains diverged"),
        (np.array([0, 200]), np.stack([NOWHERE[0], DENSITY[1]]), "All 2 chains diverged"),
    ],
)
def test_nothing_is_learned_where_no_chain_moves(divergences, density, words):
    with pytest.raises(AlphaError, match=words):
        check_alive(divergences, density)


def test_one_chain_that_moves_is_enough():
    """The fit is kept, and said to have failed."""
    check_alive(np.array([200, 0]), DENSITY)
    check_alive(np.array([6, 6]), DENSITY[:, :6])  # so few may stand still by chance
    check_alive(NONE, np.stack([NOWHERE[0], DENSITY[1]]))

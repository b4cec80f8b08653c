"""Losses of 200 steps whose products are in bfloat16, beside float32's from the same starts."""

import jax
import numpy as np
import pytest

import tilewright
from tests.models.steps import NET, SEEDS, batches, ours, smoothed, step
from tilewright.models import efficientnet

pytestmark = pytest.mark.slow


def test_losses_stay_within_the_spread_over_seeds():
    starts = [efficientnet.start(NET, jax.random.key(seed)) for seed in SEEDS]
    given = (*starts[0], *next(batches()))
    program = tilewright.compile(step, *given, tiles=1)
    with jax.default_matmul_precision("bfloat16"):
        half = tilewright.compile(step, *given, tiles=1, law="pairs")
    one, other = (
        np.array([smoothed(ours(exe, *start)) for start in starts]) for exe in (half, program)
    )
    spread = other.std(axis=0, ddof=1)
    for name, row in (("bfloat16", one.mean(0)), ("float32", other.mean(0)), ("spread", spread)):
        print(name, np.round(row, 3))
    assert not np.array_equal(one, other)
    assert np.all(one[:, -1] < 0.5 * one[:, 0])
    assert np.all(np.abs(one.mean(0) - other.mean(0)) <= spread)

"""Steps whose products are in bfloat16, beside those in float32: gradients, and losses."""

from functools import partial

import jax
import numpy as np
import pytest

import tilewright
from tests.models.steps import HALVED, NET, RATE, batches, ours, smoothed, step, step_of
from tilewright.models import efficientnet

pytestmark = pytest.mark.slow
PAIRED = range(24)
"""Starts."""


def programs():
    """Of a step: in float32, and in pairs of bfloat16, which keeps what waits in bfloat16."""
    given = *efficientnet.start(NET, jax.random.key(0)), *next(batches())
    full = tilewright.compile(step, *given, tiles=1)
    with jax.default_matmul_precision("bfloat16"):
        return full, tilewright.compile(partial(step_of, HALVED), *given, tiles=1, law="pairs")


def test_losses_are_float32s_on_average():
    """Means of 20 steps over pairs from equal starts on equal batches: three standard errors of the
    mean difference, which is less than float32's spread over starts.

    Equal laws exceed that at one of the ten points in 6 of 100 versions at most (t of 23 degrees
    of freedom, ten times 0.0064), bits being those of a version.
    """
    starts = [efficientnet.start(NET, jax.random.key(seed)) for seed in PAIRED]
    one, other = (
        np.array([smoothed(ours(program, *start)) for start in starts]) for program in programs()
    )
    spread, apart = one.std(axis=0, ddof=1), other - one
    error = apart.std(axis=0, ddof=1) / len(starts) ** 0.5
    for name, row in (("float32", one.mean(0)), ("bfloat16", other.mean(0)),
                      ("difference", apart.mean(0)), ("its error", error),
                      ("spread", spread)):  # fmt: skip
        print(name, np.round(row, 3))
    assert np.all(other[:, -1] < 0.5 * other[:, 0])
    assert np.all(3 * error < spread)
    assert np.all(np.abs(apart.mean(0)) <= 3 * error)


def test_gradients_of_a_net_that_has_learnt_a_little():
    """Of all weights but those that a norm makes useless, whose gradients are zero."""
    given, start = batches(), efficientnet.start(NET, jax.random.key(0))
    full, half = programs()
    weights, kept, _ = full(*start, *next(given))
    for _ in range(20):
        weights, kept, _ = full(weights, kept, *next(given))
    batch = next(given)
    wanted, found = (exe(weights, kept, *batch) for exe in (full, half))
    assert float(found[2]) != float(wanted[2])
    assert float(found[2]) == pytest.approx(float(wanted[2]), rel=0.03)
    seen = 0
    for before, one, other in zip(
        *map(jax.tree.leaves, (weights, wanted[0], found[0])), strict=True
    ):
        a, b = ((np.asarray(before) - np.asarray(after)).ravel() / RATE for after in (one, other))
        if np.linalg.norm(a) > 1e-4:
            seen += 1
            assert a @ b > 0.97 * np.linalg.norm(a) * np.linalg.norm(b)
    assert seen > 50

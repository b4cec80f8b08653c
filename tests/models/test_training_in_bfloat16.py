"""Steps whose products are in bfloat16: gradients go nearly the same way as float32's."""

import jax
import numpy as np
import pytest

import tilewright
from tests.models.steps import NET, RATE, batches, step
from tilewright.models import efficientnet

pytestmark = pytest.mark.slow


def test_gradients_of_a_net_that_has_learnt_a_little():
    """Of all weights but those that a norm makes useless, whose gradients are zero."""
    given, start = batches(), efficientnet.start(NET, jax.random.key(0))
    first = next(given)
    full = tilewright.compile(step, *start, *first, tiles=1)
    with jax.default_matmul_precision("bfloat16"):
        half = tilewright.compile(step, *start, *first, tiles=1, law="pairs")
    weights, kept, _ = full(*start, *first)
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

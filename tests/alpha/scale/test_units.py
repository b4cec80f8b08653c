"""Units that are given: always the same, and nothing linear in them."""

import jax.numpy as jnp
import numpy as np

from tilewright.alpha.scale.units import apart, inner_weights, linear_part, units_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2000, 6)).astype(np.float32)
WEIGHT = (RNG.uniform(size=2000) < 0.7).astype(np.float32)


def test_they_are_always_the_same():
    for one, other in zip(inner_weights(6, 9), inner_weights(6, 9), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_linear_is_taken_away():
    units = units_of(jnp.asarray(X), 9)
    linear = linear_part(jnp.asarray(X), units, jnp.asarray(WEIGHT))
    left = np.asarray(apart(jnp.asarray(X), units, linear), np.float64)[WEIGHT > 0]
    rows = np.column_stack([np.ones(len(left)), X[WEIGHT > 0]])
    explained = rows @ np.linalg.lstsq(rows, left, rcond=None)[0]
    assert explained.std() < 0.01 * left.std()
    assert left.std(axis=0).min() > 0.05


def test_numpy_and_jax_agree():
    ours, theirs = units_of(X, 9, np), units_of(jnp.asarray(X), 9)
    np.testing.assert_allclose(ours, theirs, atol=2e-6)

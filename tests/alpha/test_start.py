"""Starts whose density is not finite are drawn again, a few times."""

import jax
import jax.numpy as jnp
import numpy as np

import tilewright
from tilewright.alpha.start import TRIES, finite_start

KEYS = jax.random.split(jax.random.key(0), 40)


def started(least: float, run=jax.vmap) -> np.ndarray:
    """From normal draws; only those from `least` on have a density, and a finite one."""

    def one(key):
        return finite_start(key, jax.random.normal, lambda z: jnp.log(z - least))

    return np.asarray(run(one)(KEYS))


def test_the_first_that_will_do_is_taken():
    first = np.asarray(jax.vmap(jax.random.normal)(KEYS))
    found = started(-0.5)
    np.testing.assert_array_equal(found[first > -0.5], first[first > -0.5])
    assert (first <= -0.5).sum() > 0
    assert found.min() > -0.5


def test_there_is_an_end_to_it():
    found = started(5.0)
    last = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, TRIES)))(KEYS)
    np.testing.assert_array_equal(found, np.asarray(last))


def test_compiled():
    def mapped(one):
        return tilewright.compile(tilewright.tile_map(one), KEYS)

    np.testing.assert_allclose(started(0.5, mapped), started(0.5), rtol=1e-5)

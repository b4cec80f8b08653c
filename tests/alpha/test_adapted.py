"""Chains that adapt everything, against a posterior whose moments are known."""

from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tilewright.alpha.adapted import climb, go_on, sample_adapted, trajectory_bounds
from tilewright.alpha.settings import Chain

SCALES = jnp.array([0.1, 1.0, 10.0])
SMALL = Chain(warmup=150, draws=400, thin=2, doublings=5, climb=200)


def density(at):
    """Three normal variables about 1, 2, 3."""
    return -0.5 * jnp.sum(((at - jnp.array([1.0, 2, 3])) / SCALES) ** 2)


@cache
def draws(settings):
    def chain(key):
        return sample_adapted(settings, key, density, jnp.zeros(3), lambda at: at)[0]

    return jax.jit(jax.vmap(chain))(jax.random.split(jax.random.key(0), 4))


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["hmc", "nuts"])
def test_moments(sampler):
    """1600 draws, of which 600 are as good as independent: standard errors 0.04 and 0.03."""
    kept = np.asarray(draws(replace(SMALL, sampler=sampler)).kept).reshape(-1, 3)
    np.testing.assert_allclose((kept.mean(axis=0) - [1, 2, 3]) / SCALES, 0, atol=0.17)
    np.testing.assert_allclose(kept.std(axis=0) / SCALES, 1, atol=0.13)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["hmc", "nuts"])
def test_a_chain_that_goes_on_has_the_same_moments(sampler):
    """As many draws as above, each the last of five transitions, by a number known when it runs."""
    settings = replace(SMALL, sampler=sampler)

    def chain(key, thin):
        _, tuned = sample_adapted(settings, key, density, jnp.zeros(3), lambda at: at)
        keys = jax.random.split(jax.random.fold_in(key, 2), settings.draws)
        return go_on(settings, keys, density, tuned, lambda at: at, thin)

    keys = jax.random.split(jax.random.key(0), 4)
    found, tuned = jax.jit(jax.vmap(chain, (0, None)))(keys, jnp.int32(5))
    kept = np.asarray(found.kept)
    np.testing.assert_array_equal(tuned.position, kept[:, -1])
    assert ((found.acceptance > 0.6) & (found.acceptance < 1)).all()
    kept = kept.reshape(-1, 3)
    np.testing.assert_allclose((kept.mean(axis=0) - [1, 2, 3]) / SCALES, 0, atol=0.17)
    np.testing.assert_allclose(kept.std(axis=0) / SCALES, 1, atol=0.13)


def test_what_is_counted():
    found = draws(SMALL)
    assert found.kept.shape == (4, 400, 3)
    assert found.log_density.shape == (4, 400)
    assert found.warm_up.shape == (4, 150)
    most = SMALL.most_gradients() - SMALL.climb
    assert (found.leapfrogs > 950).all()
    assert (found.leapfrogs < most).all()
    assert ((found.acceptance > 0.6) & (found.acceptance < 1)).all()


def test_trajectories_are_half_of_those_of_the_later_warm_up():
    steps = jnp.array([31] * 75 + [7] * 75)
    assert trajectory_bounds(SMALL, steps) == (2, 5)
    assert trajectory_bounds(SMALL, 0 * steps) == (1, 1)
    assert trajectory_bounds(replace(SMALL, leapfrogs=20), steps) == (10, 30)


def test_the_climb_ends_near_the_top():
    top = climb(density, jnp.zeros(3), 2000)
    np.testing.assert_allclose(top, [1, 2, 3], atol=0.05)
    assert climb(density, jnp.zeros(3), 0).tolist() == [0, 0, 0]


def test_the_most_gradients():
    assert Chain(warmup=100, draws=10, thin=3, doublings=4, climb=7).most_gradients() == (
        7 + 100 * 15 + 30 * 7
    )
    assert Chain("nuts", 100, 10, 3, None, 4, climb=0).most_gradients() == 130 * 15
    assert Chain("hmc", 100, 10, 3, 50, 4, climb=0).most_gradients() == 100 * 15 + 30 * 50

"""Chains: determinism, trajectory lengths, and the posterior itself."""

from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest

from tilewright.alpha.sample import sample_posterior, sample_window, trajectory_bounds
from tilewright.alpha.settings import Sampler
from tilewright.models import returns

RNG = np.random.default_rng(0)
ROWS = 200
X = RNG.normal(size=(ROWS, 3)).astype(np.float32)
Y = (0.5 + 0.8 * RNG.standard_t(5, ROWS)).astype(np.float32)
SMALL = Sampler(warmup=10, draws=12, leapfrogs=4, hidden=4)


@cache
def compiled(settings):
    def chain(key):
        return sample_window(settings, key, X, Y, X[:7], np.float32(5))

    return jax.jit(chain)


def run(settings=SMALL, seed=0):
    return compiled(settings)(jax.random.key(seed))


def test_shapes():
    draws = run()
    assert draws.kept.mean.shape == (12, 7)
    assert draws.kept.scale.shape == draws.log_density.shape == (12,)
    assert draws.warm_up.shape == (10,)
    low, high = trajectory_bounds(4)
    assert 22 * low <= draws.leapfrogs <= 22 * high


def test_same_key_same_bits_other_key_other_draws():
    one, same, other = run(), run(), run(seed=1)
    np.testing.assert_array_equal(one.kept.mean, same.kept.mean)
    assert not np.array_equal(one.kept.mean, other.kept.mean)


def test_trajectories_are_jittered_and_steps_adapted():
    one, other = run(), run(seed=1)
    assert one.leapfrogs != other.leapfrogs
    assert one.leapfrogs % 22 or other.leapfrogs % 22  # 22 trajectories, not all of one length
    # the posterior is wide: a start that is far too short is left behind within ten steps
    assert min(one.step_size, other.step_size) > 1.5 * SMALL.first_step


def test_trajectories_are_as_long_as_said_on_average():
    for mean in (1, 2, 5, 20):
        low, high = trajectory_bounds(mean)
        assert (low + high) / 2 == mean
        assert 1 <= low <= high


@pytest.mark.parametrize("name", [pytest.param("hmc", marks=pytest.mark.slow), "nuts"])
def test_noise_scale_and_mean_are_those_of_the_data(name):
    settings = Sampler(name, warmup=100, draws=300, leapfrogs=8, hidden=4)
    draws = jax.jit(lambda key: sample_window(settings, key, X, Y, X, np.float32(5)))(
        jax.random.key(2)
    )
    assert 0.6 < float(draws.acceptance) <= 1
    assert int(draws.divergences) == 0
    # posterior deviations are 0.05 for the scale and 0.07 for the mean; the intercept's prior is
    # tight (0.15) and pulls the mean to zero by a tenth or so: five deviations are allowed
    assert abs(float(draws.kept.scale.mean()) - 0.8) < 0.25
    assert abs(float(draws.kept.mean.mean()) - 0.45) < 0.35


def test_without_data_draws_come_from_the_prior():
    """With targets that say nothing (df, rows small) weights are standard normal.

    600 draws with an effective size above 200 for each of 8 first-layer weights: their mean square
    is 1 with a standard error below sqrt(2 / 1600) = 0.035; five of them are allowed.
    """
    settings = Sampler(warmup=150, draws=600, leapfrogs=8, hidden=4)
    none = np.zeros((1, 2), np.float32)

    @jax.jit
    def chain(key):
        return sample_posterior(
            settings, key, none, none[:, 0], np.float32(5), lambda at: at.W1
        ).kept

    weights = np.concatenate([chain(jax.random.key(seed)) for seed in (3, 4)])
    assert abs(np.mean(weights**2) - 1) < 0.175
    assert returns.Net._fields[0] == "W1"


def test_bfloat16_forces_leave_the_energy_alone():
    plain, low = run(), run(replace(SMALL, precision="bfloat16"))
    assert not np.array_equal(plain.kept.mean, low.kept.mean)
    np.testing.assert_allclose(low.warm_up[0], plain.warm_up[0], rtol=0.01)

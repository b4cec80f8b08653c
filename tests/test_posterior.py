"""Draws come from the posterior: unmodified HMC, compiled, against what is known exactly.

Tests of means and variances are z-tests with standard errors from the effective sample size, each
at |z| < 4.5: with about 20 of them, a false alarm once in 7,000 runs (seeds are fixed besides).
"""

from typing import Any

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)).astype(np.float32)
Y = (X @ np.array([1.0, -0.5, 0.0, 0.3]) + RNG.normal(size=200)).astype(np.float32)
LIMIT = 4.5


def linear(slope):
    """Unit noise, N(0, 2^2) prior: the posterior is normal."""
    return -0.5 * jnp.sum((Y - X @ slope) ** 2) - jnp.sum(slope**2) / 8


def exact():
    precision = X.T.astype(float) @ X + np.eye(4) / 4
    covariance = np.linalg.inv(precision)
    return covariance @ X.T @ Y, np.sqrt(np.diag(covariance))


def standardised(draws: np.ndarray) -> np.ndarray:
    mean, deviation = exact()
    return (draws - mean) / deviation


def z_scores(draws: np.ndarray) -> np.ndarray:
    """Of the mean and of the mean square, by coordinate; draws are (chain, draw, coordinate)."""
    import arviz

    scores = []
    for values, truth, spread in ((draws, 0.0, 1.0), (draws**2, 1.0, np.sqrt(2))):
        for i in range(draws.shape[-1]):
            count = float(arviz.ess(values[:, :, i], method="mean"))
            scores.append((values[:, :, i].mean() - truth) / (spread / np.sqrt(count)))
    return np.array(scores)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_hmc_draws_from_a_conjugate_posterior(precision):
    density = linear if precision == "float32" else tilewright.force(linear, precision)
    # A quarter turn or so: posterior deviations are about 0.07.
    sampler = blackjax.hmc(density, 0.03, jnp.ones(4), 4)

    def chain(key):
        def draw(state, key):
            state, info = sampler.step(key, state)
            return state, (state.position, info.acceptance_rate)

        first = sampler.init(jnp.zeros(4))  # pyright: ignore[reportCallIssue]
        return jax.lax.scan(draw, first, jax.random.split(key, 2500))[1]

    keys = jax.random.split(jax.random.key(7), 4)
    draws, acceptance = tilewright.compile(tilewright.tile_map(chain), keys)(keys)
    scores = z_scores(standardised(draws[:, 200:].astype(float)))
    assert np.abs(scores).max() < LIMIT, scores
    assert 0.5 < acceptance.mean() < 0.999


def test_a_wrong_posterior_is_noticed():
    rng = np.random.default_rng(1)
    right = rng.normal(size=(4, 2300, 4))
    assert np.abs(z_scores(right)).max() < LIMIT
    assert np.abs(z_scores(right * 1.08)).max() > LIMIT
    assert np.abs(z_scores(right + 0.08)).max() > LIMIT


def trajectory(step, count, position, momentum):
    """Leapfrog over the compiled gradient, there and back."""
    from blackjax.mcmc.integrators import IntegratorState, velocity_verlet

    kinetic = lambda momentum, position=None: 0.5 * jnp.sum(momentum**2)  # noqa: E731
    advance = velocity_verlet(linear, kinetic)
    density: Any = linear(position)
    start = IntegratorState(position, momentum, density, jax.grad(linear)(position))

    def run(state, step):
        return jax.lax.fori_loop(0, count, lambda _, s: advance(s, step), state)

    there = run(start, step)
    back = run(there._replace(momentum=-there.momentum), step)
    energy = lambda s: kinetic(s.momentum) - s.logdensity  # noqa: E731
    return back.position, -back.momentum, energy(there) - energy(start)


@pytest.fixture
def double_precision():
    with jax.enable_x64(True):
        yield


@pytest.mark.usefixtures("double_precision")
def test_leapfrog_is_reversible_and_of_second_order():
    position, momentum = np.array([0.9, -0.4, 0.1, 0.2]), np.array([3.0, -2.0, 5.0, 1.0])
    errors = []
    for step, count in ((0.02, 10), (0.01, 20), (0.005, 40)):
        program = tilewright.compile(
            lambda q, p, h, count=count: trajectory(h, count, q, p), position, momentum, step
        )
        back, turned, error = program(position, momentum, step)
        np.testing.assert_allclose(back, position, atol=1e-11)
        np.testing.assert_allclose(turned, momentum, atol=1e-9)
        errors.append(abs(float(error)))
    ratios = np.array(errors[:-1]) / np.array(errors[1:])
    assert np.all((ratios > 3.4) & (ratios < 4.6)), ratios

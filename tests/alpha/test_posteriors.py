"""Chains against posteriors whose expectations are known without sampling.

The funnel (Neal 2003, its log-variance with deviation 1, so that chains reach its neck), a banana
(Haario, Saksman & Tamminen 1999), a mixture of two normals with a saddle between, and eight schools
(Rubin 1981; Gelman et al. 2013, section 5.5), whose expectations are integrals over two variables.
And our own net where it is a linear regression with known normal noise, whose posterior is normal.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import tilewright
from tilewright.alpha.adapted import sample_adapted
from tilewright.alpha.settings import Chain
from tilewright.models import bnn

pytestmark = pytest.mark.slow

ALARM = 0.001
"""Of any test below, were all chains right: shared by the quantities of all."""
CHAIN = Chain(warmup=1000, draws=4000, thin=2, doublings=8, target_acceptance=0.95)
CHAINS = 8
LEAST = 1000.0
"""As many independent draws are asked for, or an error would be too wide to see anything."""


class Posterior(NamedTuple):
    density: Callable
    dimensions: int
    looked_at: Callable
    """Of a position: quantities whose expectations are known, and of finite variance."""
    truth: np.ndarray


def funnel() -> Posterior:
    """v is standard normal, nine x given v are normal with variance exp(v)."""

    def density(at):
        v, x = at[0], at[1:]
        return -0.5 * v**2 - 0.5 * jnp.sum(x**2) * jnp.exp(-v) - 0.5 * len(x) * v

    def near(v: float) -> float:
        return float(scipy.stats.norm.pdf(v) * (2 * scipy.stats.norm.cdf(np.exp(-v / 2)) - 1))

    share = scipy.integrate.quad(near, -10, 10)[0]
    return Posterior(
        density,
        10,
        lambda at: jnp.stack([at[0], at[0] ** 2, at[1], 1.0 * (jnp.abs(at[1]) < 1)]),
        np.array([0, 1, 0, share]),
    )


def banana() -> Posterior:
    """x is normal with deviation 2, and y - (x^2 - 4) / 4 standard normal."""

    def density(at):
        x, y = at
        return -0.5 * (x / 2) ** 2 - 0.5 * (y - (x**2 - 4) / 4) ** 2

    return Posterior(
        density,
        2,
        lambda at: jnp.stack([at[0], at[0] ** 2, at[1], at[1] ** 2]),
        np.array([0, 4, 0, 1 + 2 * 16 / 16]),
    )


def mixture() -> Posterior:
    """A third about -2 and two thirds about 2 in x, of deviation 1; y standard normal."""

    def density(at):
        x, y = at
        modes = jnp.stack(
            [jnp.log(1 / 3) - 0.5 * (x + 2) ** 2, jnp.log(2 / 3) - 0.5 * (x - 2) ** 2]
        )
        return jax.nn.logsumexp(modes) - 0.5 * y**2

    return Posterior(
        density,
        2,
        lambda at: jnp.stack([at[0], at[0] ** 2, 1.0 * (at[0] > 0), at[1] ** 2]),
        np.array([2 / 3, 5, 1 / 3 + scipy.stats.norm.cdf(2) / 3, 1]),
    )


EFFECTS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
ERRORS = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])


def eight_schools() -> Posterior:
    """mu ~ N(0, 5), tau half-Cauchy(0, 5), effects in units of tau about mu."""

    def density(at):
        mu, log_tau, units = at[0], at[1], at[2:]
        tau = jnp.exp(log_tau)
        effects = mu + tau * units
        fit = jnp.sum(((EFFECTS - effects) / ERRORS) ** 2)
        prior = (mu / 5) ** 2 + jnp.sum(units**2)
        return -0.5 * (fit + prior) - jnp.log1p((tau / 5) ** 2) + log_tau

    def looked_at(at):
        first = at[0] + jnp.exp(at[1]) * at[2]
        return jnp.stack([at[0], at[0] ** 2, at[1], first, 1.0 * (jnp.exp(at[1]) < 5)])

    return Posterior(density, 10, looked_at, _schools())


def _schools() -> np.ndarray:
    """By sums over a grid of mu and log tau; the first effect's mean, given both, is exact."""
    mu = np.linspace(-30, 35, 1301)[:, None, None]
    log_tau = np.linspace(-14, 7, 4201)[None, :, None]
    tau = np.exp(log_tau)
    wide = tau**2 + ERRORS**2
    logs = -0.5 * np.sum((EFFECTS - mu) ** 2 / wide + np.log(wide), axis=2)
    logs += (-0.5 * (mu / 5) ** 2 - np.log1p((tau / 5) ** 2) + log_tau)[..., 0]
    weights = np.exp(logs - logs.max())
    mu, log_tau, tau = mu[..., 0], log_tau[..., 0], tau[..., 0]
    first = mu + (EFFECTS[0] - mu) * tau**2 / (tau**2 + ERRORS[0] ** 2)
    values = (mu, mu**2, log_tau, first, 1.0 * (tau < 5))
    return np.array([np.sum(weights * value) for value in values]) / weights.sum()


NORMAL = 1e5
"""Degrees of freedom of noise that is as good as normal."""


def conjugate() -> Posterior:
    """A linear mean whose prior scale is held at its median (Gelman et al. 2013, section 14.8)."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(30, 3)).astype(np.float32)
    noise = np.exp(bnn.SCALE.constant)
    y = (0.4 + X @ [0.3, -0.2, 0.0] + noise * rng.normal(size=30)).astype(np.float32)
    zero, known = np.zeros((), np.float32), np.float32(NORMAL)

    def density(at):
        mean = bnn.Head(at[0], bnn.Weights(at[1:], zero), (), None)
        noisy = bnn.Head(zero, None, (), None)
        return bnn.log_density(X, y, known)(bnn.Position(mean, noisy, None, None))

    rows = np.column_stack([np.ones(30), X * bnn.MEAN.linear / 3**0.5]) / noise
    covariance = np.linalg.inv(np.eye(4) + rows.T @ rows)
    mean = covariance @ rows.T @ (y / noise)
    truth = np.concatenate([mean, mean**2 + np.diag(covariance)])
    return Posterior(density, 4, lambda at: jnp.concatenate([at, at**2]), truth)


POSTERIORS = {p.__name__: p for p in (funnel, banana, mixture, eight_schools, conjugate)}
SAMPLERS = ("hmc", "nuts")
QUANTITIES = len(SAMPLERS) * sum(len(made().truth) for made in POSTERIORS.values())
LIMIT = scipy.stats.norm.isf(ALARM / (2 * QUANTITIES))


def errors(traces: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of (chains, draws, quantities): means' distances from the truth in their own Monte-Carlo
    errors, and how many independent draws they are worth."""
    import arviz

    columns = [np.ascontiguousarray(traces[:, :, i]) for i in range(traces.shape[2])]
    sizes = np.array([float(arviz.ess(column, method="mean")) for column in columns])
    return (traces.mean(axis=(0, 1)) - truth) / (traces.std(axis=(0, 1)) / np.sqrt(sizes)), sizes


def sampled(posterior: Posterior, sampler: str) -> Any:
    settings = replace(CHAIN, sampler=sampler)

    def chain(key):
        start, key = jax.random.split(key)
        start = jax.random.normal(start, (posterior.dimensions,))
        return sample_adapted(settings, key, posterior.density, start, posterior.looked_at)[0].kept

    keys = jax.random.split(jax.random.key(0), CHAINS)
    return tilewright.compile(tilewright.tile_map(chain), keys)(keys)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", POSTERIORS)
def test_expectations(name, sampler):
    posterior = POSTERIORS[name]()
    traces = np.asarray(sampled(posterior, sampler), np.float64)
    z, sizes = errors(traces, posterior.truth)
    assert sizes.min() > LEAST, sizes
    assert np.abs(z).max() < LIMIT, z
    shifted = traces + 0.15 * traces.std(axis=(0, 1))  # it is noticed where draws are a little off
    assert np.abs(errors(shifted, posterior.truth)[0]).min() > LIMIT

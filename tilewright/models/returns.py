"""Bayesian net for daily returns whose priors are fixed: the density, in a sampler's coordinates.

In: a position, features (rows, features), targets (rows,), the noise's degrees of freedom. Out: the
log posterior density up to a constant, and from it predictions. Plain JAX.

    mean = tanh(X W1 + b1) w2 + b2          y ~ mean + scale * StudentT(df)

A position holds every parameter divided by its prior's standard deviation, so its prior is standard
normal and one step size suits all weights; `posterior_variance` says which coordinates the data
narrow. (The talk's third layer, 1 -> 1 and linear, only rescales the second: left out here.) Scales
that are learned, and noise that depends on the features: `models.bnn`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = Any

INTERCEPT = 0.15
"""Prior standard deviation of the intercept, in units of the target: as large as the net's own."""
OUTPUT = 0.15
"""Prior standard deviation of the net's output were all units at +-1, in units of the target."""


class Net(NamedTuple):
    """Parameters, or a position, or prior standard deviations."""

    W1: Array  # (features, hidden)
    b1: Array  # (hidden,)
    w2: Array  # (hidden,)
    b2: Array  # ()
    log_scale: Array  # () of the noise


def prior_deviation(features: int, hidden: int) -> Net:
    """Fan-in priors: the output's size depends neither on the features nor on the units."""
    return Net(1 / math.sqrt(features), 1.0, OUTPUT / math.sqrt(hidden), INTERCEPT, 1.0)


def parameters(position: Net) -> Net:
    """Weights and log scale that a position stands for."""
    deviation = prior_deviation(*position.W1.shape)
    return Net(*(z * s for z, s in zip(position, deviation, strict=True)))


def predict(position: Net, X: Array) -> Array:
    """Mean of the target, (rows,)."""
    net = parameters(position)
    return jnp.tanh(X @ net.W1 + net.b1) @ net.w2 + net.b2


def predict_columns(position: Net, XT: Array) -> Array:
    """The same from features in columns (features, rows), which XLA likes better on some CPUs."""
    net = parameters(position)
    return net.w2 @ jnp.tanh(net.W1.T @ XT + net.b1[:, None]) + net.b2


def noise_scale(position: Net) -> Array:
    """Scale of the Student-t noise, ()."""
    return jnp.exp(parameters(position).log_scale)


def log_density(
    X: Array,
    y: Array,
    df: Array,
    predict: Callable[[Net, Array], Array] = predict,
    weight: Array | None = None,
) -> Callable[[Net], Array]:
    """Log posterior of a position, up to a constant that depends on `df` alone.

    A row counts `weight` (rows,) times.
    """
    rows = y.shape[0] if weight is None else jnp.sum(weight)

    def density(position: Net) -> Array:
        error = (y - predict(position, X)) / noise_scale(position)
        losses = jnp.log1p(error * error / df)
        likelihood = -0.5 * (df + 1) * jnp.sum(losses if weight is None else weight * losses)
        log_scale = parameters(position).log_scale
        prior = -0.5 * sum(jnp.sum(z * z) for z in position)
        return likelihood - rows * log_scale + prior

    return density


def initial(key: Array, features: int, hidden: int) -> Net:
    """A draw from the prior, but for intercept and noise scale, which start at 0 and 1."""
    first, second, third = jax.random.split(key, 3)
    return Net(
        jax.random.normal(first, (features, hidden)),
        jax.random.normal(second, (hidden,)),
        jax.random.normal(third, (hidden,)),
        jnp.zeros(()),
        jnp.zeros(()),
    )


def posterior_variance(features: int, hidden: int, rows: Array) -> Net:
    """Rough posterior variances of a position's coordinates: a diagonal inverse mass matrix.

    Weak signals leave the weights near their prior. Intercept and log scale are known to about
    1/sqrt(rows): their Fisher information is rows times (df+1)/(df+3) and 2 df/(df+3).
    """
    return Net(
        jnp.ones((features, hidden)),
        jnp.ones(hidden),
        jnp.ones(hidden),
        jnp.asarray(1 / (1 + rows * INTERCEPT**2)),
        jnp.asarray(1 / (1 + rows)),
    )

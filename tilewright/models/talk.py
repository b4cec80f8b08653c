"""The talk's net and posterior, exactly: a workload for speed, not for forecasts.

In: parameters, features (rows, 22) times 0.001, targets (rows,) in basis points. Out: the log
posterior density up to a constant. 963 parameters; plain JAX.

    22 -> 40 tanh -> 1 -> 1        Normal(0, 200) on every parameter
    y ~ StudentT(df 2.2, location net(x), scale 100)

Settings are those of the public example code of the talk's year. The priors are flat against daily
returns: `bnn` and `returns` are the nets for use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

Array = Any

FEATURES, HIDDEN, PARAMETERS = 22, 40, 963
PRIOR, DF, SCALE = 200.0, 2.2, 100.0


class TalkNet(NamedTuple):
    """Parameters."""

    W1: Array  # (22, 40)
    b1: Array  # (40,)
    w2: Array  # (40,)
    b2: Array  # ()
    w3: Array  # ()
    b3: Array  # ()


def start(features: int = FEATURES, hidden: int = HIDDEN) -> TalkNet:
    """All zeros."""
    shapes = (features, hidden), (hidden,), (hidden,), (), (), ()
    return TalkNet(*(jnp.zeros(shape) for shape in shapes))


def predict(net: TalkNet, X: Array, xp: Any = jnp) -> Array:
    """Location in basis points, (rows,)."""
    return (xp.tanh(X @ net.W1 + net.b1) @ net.w2 + net.b2) * net.w3 + net.b3


def predict_columns(net: TalkNet, XT: Array) -> Array:
    """The same from features in columns, (22, rows)."""
    hidden = jnp.tanh(net.W1.T @ XT + net.b1[:, None])
    return (net.w2 @ hidden + net.b2) * net.w3 + net.b3


def log_density(
    X: Array,
    y: Array,
    predict: Callable[[TalkNet, Array], Array] = predict,
    weight: Array | None = None,
) -> Callable[[TalkNet], Array]:
    """Log posterior of the parameters, up to a constant; a row counts `weight` (rows,) times."""

    def density(net: TalkNet) -> Array:
        error = (y - predict(net, X)) / SCALE
        losses = jnp.log1p(error * error / DF)
        likelihood = -0.5 * (DF + 1) * jnp.sum(losses if weight is None else weight * losses)
        prior = -0.5 * sum(jnp.sum((p / PRIOR) ** 2) for p in net)
        return likelihood + prior

    return density


def adapted(step_size: Array, acceptance: Array) -> Array:
    """The simple multiplicative policy: target 0.2, decrement 0.1, increment 0.01."""
    return step_size * jnp.where(acceptance < 0.2, 1 / 1.1, 1.01)

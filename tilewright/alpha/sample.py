"""One chain over one window: unmodified BlackJAX HMC with jittered trajectories.

In: a key, a window's standardised rows, the test rows. Out: `Draws`. A plain JAX function, to be
mapped over (window x chain) by `tile_map`; its memory is what it returns.

Warm-up adapts the step size by dual averaging (Hoffman & Gelman 2014) under the fixed diagonal
metric of `returns.posterior_variance`. It nears its target from above: for 0.8, the demo's chains
accept 0.93 after 60 steps, 0.85 after 1000. The shorter steps do no harm: 155 effective draws of a
forecast out of 200, against 138 and 117 with the longer ones that targets of 0.65 and 0.5 lead to
(means over eight of its windows).

A trajectory has a random number of leapfrog steps, so that none closes on itself (Neal 2011,
section 5.4.2.1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import blackjax
import jax
import jax.numpy as jnp
from blackjax.adaptation.step_size import dual_averaging_adaptation
from jax.flatten_util import ravel_pytree

from tilewright.alpha.settings import Sampler
from tilewright.alpha.start import finite_start
from tilewright.models import returns

Array = Any


class Draws(NamedTuple):
    """What is kept of one chain; `kept` is a tree with a leading axis of draws."""

    kept: Any
    log_density: Array  # (draws,)
    acceptance: Array  # () mean over draws
    divergences: Array  # () how many draws
    leapfrogs: Array  # () steps taken, warm-up included
    step_size: Array  # ()
    warm_up: Array  # (warm-up,) log density after each transition: what checks compare


class Forecast(NamedTuple):
    """Predictive mean on the test rows, (draws, test rows), and noise scale, (draws,)."""

    mean: Array
    scale: Array


def sample_window(
    settings: Sampler, key: Array, X: Array, y: Array, X_test: Array, df: Array
) -> Draws:
    """Sample the posterior of rows X (rows, features), y (rows,); forecast X_test."""

    def keep(position: returns.Net) -> Forecast:
        return Forecast(returns.predict(position, X_test), returns.noise_scale(position))

    return sample_posterior(settings, key, X, y, df, keep)


def sample_posterior(
    settings: Sampler,
    key: Array,
    X: Array,
    y: Array,
    df: Array,
    keep: Callable[[returns.Net], Any],
    columns: bool = False,
    weight: Array | None = None,
) -> Draws:
    """Sample, keeping `keep(position)` of every draw; `columns` transposes the data first.

    A row counts `weight` (rows,) times.
    """
    density = density_of(settings.precision)(X, y, df, columns, weight)
    start, warm, sample = jax.random.split(key, 3)
    features = X.shape[1]
    rows = y.shape[0] if weight is None else jnp.sum(weight)
    metric, _ = ravel_pytree(returns.posterior_variance(features, settings.hidden, rows))
    step = _transition(settings, density, metric)
    position = finite_start(
        start, lambda key: returns.initial(key, features, settings.hidden), density
    )
    state = blackjax.hmc.init(position, density)
    state, size, warm_trace, spent = _warm_up(settings, step, state, warm)

    def draw(state: Any, key: Array) -> tuple[Any, Any]:
        state, info = step(key, state, size)
        outcome = info.acceptance_rate, info.is_divergent, info.num_integration_steps
        return state, (keep(state.position), state.logdensity, *outcome)

    _, (kept, density_trace, acceptance, divergent, steps) = jax.lax.scan(
        draw, state, jax.random.split(sample, settings.draws)
    )
    return Draws(
        kept,
        density_trace,
        jnp.mean(acceptance),
        jnp.sum(divergent),
        spent + jnp.sum(steps),
        size,
        warm_trace,
    )


@lru_cache
def density_of(precision: str) -> Callable:
    """`(X, y, df) -> log density`, whose gradient is of that precision; one object for each."""

    def density(X: Array, y: Array, df: Array, columns: bool = False, weight: Any = None) -> Any:
        seen, predict = (X.T, returns.predict_columns) if columns else (X, returns.predict)
        found = returns.log_density(seen, y, df, predict, weight)
        if precision == "float32":
            return found
        from tilewright import force

        return force(found, precision)

    return density


def example(features: int, hidden: int) -> returns.Net:
    """A position, of which the shapes count."""
    return jax.eval_shape(lambda: returns.initial(jax.random.key(0), features, hidden))


def _transition(settings: Sampler, density: Callable, metric: Array) -> Callable:
    """`(key, state, step size) -> (state, info)`."""
    if settings.name == "nuts":
        kernel = blackjax.nuts.build_kernel()

        def nuts(key: Array, state: Any, size: Array) -> Any:
            return kernel(key, state, density, size, metric, 6)

        return nuts
    kernel = blackjax.hmc.build_kernel()
    low, high = trajectory_bounds(settings.leapfrogs)

    def jittered(key: Array, state: Any, size: Array) -> Any:
        length, key = jax.random.split(key)
        steps = jax.random.randint(length, (), low, high + 1)
        return kernel(key, state, density, size, metric, steps)

    return jittered


def trajectory_bounds(leapfrogs: int) -> tuple[int, int]:
    """Shortest and longest trajectory around a mean."""
    return max(1, leapfrogs - leapfrogs // 2), leapfrogs + leapfrogs // 2


def _warm_up(
    settings: Sampler, step: Callable, state: Any, key: Array
) -> tuple[Any, Array, Any, Array]:
    """State, adapted step size, log density after each transition, leapfrog steps taken."""
    begin, update, finish = dual_averaging_adaptation(settings.target_acceptance)

    def turn(carry: Any, key: Array) -> tuple[Any, Any]:
        state, averaging = carry
        state, info = step(key, state, jnp.exp(averaging.log_step_size))
        averaging = update(averaging, info.acceptance_rate)
        return (state, averaging), (state.logdensity, info.num_integration_steps)

    keys = jax.random.split(key, settings.warmup)
    opening = state, begin(settings.first_step)
    (state, averaging), (trace, steps) = jax.lax.scan(turn, opening, keys)
    return state, finish(averaging), trace, jnp.sum(steps)

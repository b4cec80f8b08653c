"""One chain over one window, cold or from where the window before ended; by unmodified BlackJAX.

In: a key, the window's rows, and a state (ignored by a cold chain). Out: `Chained`: draws, as
positions of `models.bnn`, and the next state. A plain JAX function, mapped over the chains of a
window by `tile_map`; which kind a chain is, is data, so that one program serves all windows.

*Cold*: a climb by Adam with the scales held at their medians (a posterior has its mode where a
scale is 0 and nothing moves, which is not where its mass is), then NUTS with window adaptation.
*Warm*: position, metric and step size of the window before; some transitions adapt the step size
and bring the position to the new rows. Both then draw by NUTS. All move in the coordinates that
`coordinates.py` finds for the window's rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import blackjax
import jax
import jax.numpy as jnp
from blackjax.adaptation.step_size import dual_averaging_adaptation
from jax.flatten_util import ravel_pytree

from tilewright.alpha.adapted import climb
from tilewright.alpha.scale.coordinates import (
    Coordinates,
    at_position,
    coordinates_of,
    log_volume,
    position_of,
)
from tilewright.alpha.scale.settings import FLOOR, ScaleChain
from tilewright.alpha.scale.units import apart, linear_part, units_of
from tilewright.alpha.start import finite_start
from tilewright.models import bnn

Array = Any

PRIOR_DRAWS = 5
"""What a variance of draws is shrunk by, towards a thousandth (Stan's rule)."""


class Chained(NamedTuple):
    """Of one chain; `variance` is that of its draws, in its own coordinates."""

    positions: Any  # leaves (draws, ...)
    log_density: Array  # (draws,)
    acceptance: Array  # ()
    divergences: Array
    gradients: Array
    last: Any  # position
    variance: Array  # (coordinates,)
    step_size: Array  # ()
    linear: Array  # (1 + features, units): what `units.apart` takes away


class _Ready(NamedTuple):
    """A chain that may draw."""

    at: Any
    variance: Array
    step_size: Array
    steps: Array


def sample_chain(
    settings: ScaleChain,
    form: bnn.Form,
    key: Array,
    cold: Array,
    position: bnn.Position,
    variance: Array,
    step_size: Array,
    X: Array,
    y: Array,
    weight: Array,
) -> Chained:
    """Draws of the posterior of rows X (rows, features), y (rows,) that count by `weight`."""
    density, coordinates, linear = posterior_of(form, X, y, weight)
    opening, key = jax.random.split(key)

    def from_nothing(key: Array) -> _Ready:
        start = finite_start(
            opening, lambda key: at_position(bnn.initial(key, form, False), coordinates), density
        )
        return _adapted(
            settings, key, density, climb(bnn.with_scales_held(density), start, settings.climb)
        )

    def from_before(key: Array) -> _Ready:
        start = at_position(position, coordinates)
        return _readapted(settings, key, density, start, variance, step_size)

    warm, sample = jax.random.split(key)
    ready = jax.lax.cond(cold, from_nothing, from_before, warm)
    drawn = _drawn(settings, sample, density, ready, lambda at: position_of(at, coordinates))
    return drawn._replace(linear=linear)


def posterior_of(
    form: bnn.Form, X: Array, y: Array, weight: Array
) -> tuple[Callable, Coordinates, Array]:
    """The log density in a chain's coordinates, those, and what `units.apart` takes away."""
    units, linear = None, jnp.zeros((0, 0))
    if form.scale == bnn.UNITS:
        whole = units_of(X, form.scale_hidden[0])
        linear = linear_part(X, whole, weight)
        units = apart(X, whole, linear) * weight[:, None]
    coordinates = coordinates_of(X, weight, units)
    seen = X if units is None else jnp.concatenate([X, units], axis=1)
    posterior = bnn.log_density(seen, y, jnp.float32(1), weight, FLOOR)

    def density(at: Any) -> Array:
        return posterior(position_of(at, coordinates)) + log_volume(at, coordinates)

    return density, coordinates, linear


def _adapted(settings: ScaleChain, key: Array, density: Callable, start: Any) -> _Ready:
    """By window adaptation."""
    adaptation = blackjax.window_adaptation(
        blackjax.nuts,
        density,
        target_acceptance_rate=settings.target_acceptance,
        max_num_doublings=settings.doublings,
    )
    run: Callable = adaptation.run
    (state, found), trace = run(key, start, settings.warmup)
    steps = jnp.sum(trace.info.num_integration_steps) + settings.climb
    return _Ready(state.position, found["inverse_mass_matrix"], found["step_size"], steps)


def _readapted(
    settings: ScaleChain,
    key: Array,
    density: Callable,
    start: Any,
    variance: Array,
    step_size: Array,
) -> _Ready:
    """By dual averaging of the step size (Hoffman & Gelman 2014), the metric as it is."""
    begin, update, finish = dual_averaging_adaptation(settings.target_acceptance)
    nuts = blackjax.nuts.build_kernel()

    def turn(carry: Any, key: Array) -> tuple[Any, Array]:
        state, averaging = carry
        size = jnp.exp(averaging.log_step_size)
        state, info = nuts(key, state, density, size, variance, settings.doublings)
        return (state, update(averaging, info.acceptance_rate)), info.num_integration_steps

    opening = blackjax.nuts.init(start, density), begin(step_size)
    keys = jax.random.split(key, settings.rewarm)
    (state, averaging), steps = jax.lax.scan(turn, opening, keys)
    return _Ready(state.position, variance, finish(averaging), jnp.sum(steps))


def _drawn(
    settings: ScaleChain, key: Array, density: Callable, ready: _Ready, position: Callable
) -> Chained:
    nuts = blackjax.nuts.build_kernel()

    def turn(state: Any, key: Array) -> tuple[Any, Any]:
        state, info = nuts(key, state, density, ready.step_size, ready.variance, settings.doublings)
        return state, (info.acceptance_rate, info.is_divergent, info.num_integration_steps)

    def draw(state: Any, key: Array) -> tuple[Any, Any]:
        state, outcomes = jax.lax.scan(turn, state, jax.random.split(key, settings.thin))
        kept = position(state.position), state.logdensity, ravel_pytree(state.position)[0]
        return state, (kept, outcomes)

    state, ((positions, densities, flat), (acceptance, divergent, steps)) = jax.lax.scan(
        draw, blackjax.nuts.init(ready.at, density), jax.random.split(key, settings.draws)
    )
    share = settings.draws / (settings.draws + PRIOR_DRAWS)
    return Chained(
        positions,
        densities,
        jnp.mean(acceptance),
        jnp.sum(divergent),
        ready.steps + jnp.sum(steps),
        position(state.position),
        share * jnp.var(flat, axis=0) + (1 - share) * 1e-3,
        ready.step_size,
        jnp.zeros((0, 0)),
    )

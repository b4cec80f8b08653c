"""One chain whose metric and trajectories are found, by unmodified BlackJAX.

In: a log density, a start. Out: `Draws`, and what a chain needs to go on from there. Plain JAX
functions, to be mapped over chains by `tile_map`; their memory is what they return.

1. *Climb*: Adam (Kingma & Ba 2015), so that the metric is not adapted to the way to the posterior.
   It is cheap: a step is one gradient, and a transition takes up to 255.
2. *Warm-up*: NUTS with window adaptation of step size and diagonal metric.
3. *Draws*: by NUTS, or by HMC with jittered trajectories, on average half as long as those that
   NUTS took in the second half of the warm-up: it throws about half of each away, HMC none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import blackjax
import jax
import jax.numpy as jnp

from tilewright.alpha.sample import Draws
from tilewright.alpha.settings import Chain

Array = Any

RATE, FIRST, SECOND, TINY = 0.02, 0.9, 0.999, 1e-8
"""Of Adam: step, decay of both moments, and what no moment is divided by less than."""


class Tuned(NamedTuple):
    """A chain after its warm-up: where it is, and what its transitions are made of."""

    position: Any
    step_size: Array  # ()
    metric: Array  # (coordinates,) the inverse of its mass
    shortest: Array  # () of HMC's trajectories, in steps
    longest: Array  # ()


def sample_adapted(
    settings: Chain,
    key: Array,
    density: Callable,
    start: Any,
    keep: Callable,
    uphill: Callable | None = None,
) -> tuple[Draws, Tuned]:
    """Sample `density` from the position `start`, keeping `keep(position)` of every draw.

    The climb is up `uphill`, where that is another.
    """
    warm, sample = jax.random.split(key)
    position = climb(uphill or density, start, settings.climb)
    tuned, steps, densities = _warm_up(settings, warm, density, position)
    keys = jax.random.split(sample, settings.draws)
    draws, tuned = go_on(settings, keys, density, tuned, keep, settings.thin)
    taken = draws.leapfrogs + jnp.sum(steps)
    return draws._replace(leapfrogs=taken, warm_up=densities), tuned


def _warm_up(
    settings: Chain, key: Array, density: Callable, position: Any
) -> tuple[Tuned, Array, Array]:
    """The chain tuned, and of each transition its steps and log density, (warm-up,)."""
    adaptation = blackjax.window_adaptation(
        blackjax.nuts,
        density,
        target_acceptance_rate=settings.target_acceptance,
        max_num_doublings=settings.doublings,
    )
    run: Callable = adaptation.run
    (state, found), trace = run(key, position, settings.warmup)
    steps = trace.info.num_integration_steps
    bounds = trajectory_bounds(settings, steps)
    tuned = Tuned(state.position, found["step_size"], found["inverse_mass_matrix"], *bounds)
    return tuned, steps, trace.state.logdensity


def go_on(
    settings: Chain, keys: Array, density: Callable, tuned: Tuned, keep: Callable, thin: Any
) -> tuple[Draws, Tuned]:
    """A draw for each key (draws,) from where a chain is, the last of `thin` transitions."""
    init, step = _transition(settings, density, tuned)

    def turn(number: Array, carry: Any, key: Array) -> Any:
        state, sums = carry
        state, info = step(jax.random.fold_in(key, number), state)
        found = info.acceptance_rate, info.is_divergent, info.num_integration_steps
        return state, tuple(total + one for total, one in zip(sums, found, strict=True))

    def draw(state: Any, key: Array) -> tuple[Any, Any]:
        nothing = jnp.zeros(()), jnp.int32(0), jnp.int32(0)
        state, sums = jax.lax.fori_loop(0, thin, partial(turn, key=key), (state, nothing))
        return state, (keep(state.position), state.logdensity, *sums)

    state, (kept, densities, acceptance, divergent, taken) = jax.lax.scan(
        draw, init(tuned.position, density), keys
    )
    return Draws(
        kept,
        densities,
        jnp.mean(acceptance) / thin,
        jnp.sum(divergent) / thin,
        jnp.sum(taken),
        tuned.step_size,
        jnp.zeros(0),
    ), tuned._replace(position=state.position)


def _transition(settings: Chain, density: Callable, tuned: Tuned) -> tuple[Callable, Callable]:
    """How a state is made, and `(key, state) -> (state, info)`."""
    size, metric = tuned.step_size, tuned.metric
    if settings.sampler == "nuts":
        nuts = blackjax.nuts.build_kernel()
        return blackjax.nuts.init, lambda key, state: nuts(
            key, state, density, size, metric, settings.doublings
        )
    hmc = blackjax.hmc.build_kernel()

    def jittered(key: Array, state: Any) -> Any:
        length, key = jax.random.split(key)
        count = jax.random.randint(length, (), tuned.shortest, tuned.longest + 1)
        return hmc(key, state, density, size, metric, count)

    return blackjax.hmc.init, jittered


def trajectory_bounds(settings: Chain, steps: Array) -> tuple[Array, Array]:
    """Shortest and longest of HMC, after a warm-up whose trajectories had so many steps."""
    found = 0.5 * jnp.mean(steps[settings.warmup // 2 :])
    mean = found if settings.leapfrogs is None else jnp.asarray(float(settings.leapfrogs))
    low, high = (jnp.maximum(1, jnp.round(part * mean)).astype(int) for part in (0.5, 1.5))
    return low, high


def climb(density: Callable, position: Any, steps: int) -> Any:
    """The position after some steps of Adam up the density."""
    slope = jax.grad(density)

    def turn(number: Array, carry: Any) -> Any:
        at, first, second = carry
        gradient = slope(at)
        first = jax.tree.map(lambda m, g: FIRST * m + (1 - FIRST) * g, first, gradient)
        second = jax.tree.map(lambda v, g: SECOND * v + (1 - SECOND) * g * g, second, gradient)
        taken = number + 1.0
        grown, spread = 1 - FIRST**taken, 1 - SECOND**taken

        def moved(z: Array, m: Array, v: Array) -> Array:
            return z + RATE * (m / grown) / (jnp.sqrt(v / spread) + TINY)

        return jax.tree.map(moved, at, first, second), first, second

    zero = jax.tree.map(jnp.zeros_like, position)
    return jax.lax.fori_loop(0, steps, turn, (position, zero, zero))[0]

"""One chain whose metric and trajectories are found, by unmodified BlackJAX.

In: a log density, a start. Out: `Draws`. A plain JAX function, to be mapped over chains by
`tile_map`; its memory is what it returns.

1. *Climb*: Adam (Kingma & Ba 2015), so that the metric is not adapted to the way to the posterior.
   It is cheap: a step is one gradient, and a transition takes up to 255.
2. *Warm-up*: NUTS with window adaptation of step size and diagonal metric.
3. *Draws*: by NUTS, or by HMC with jittered trajectories, on average half as long as those that
   NUTS took in the second half of the warm-up: it throws about half of each away, HMC none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import blackjax
import jax
import jax.numpy as jnp

from tilewright.alpha.sample import Draws
from tilewright.alpha.settings import Chain

Array = Any

RATE, FIRST, SECOND, TINY = 0.02, 0.9, 0.999, 1e-8
"""Of Adam: step, decay of both moments, and what no moment is divided by less than."""


def sample_adapted(
    settings: Chain,
    key: Array,
    density: Callable,
    start: Any,
    keep: Callable,
    uphill: Callable | None = None,
) -> Draws:
    """Sample `density` from the position `start`, keeping `keep(position)` of every draw.

    The climb is up `uphill`, where that is another.
    """
    warm, sample = jax.random.split(key)
    position = climb(uphill or density, start, settings.climb)
    adaptation = blackjax.window_adaptation(
        blackjax.nuts,
        density,
        target_acceptance_rate=settings.target_acceptance,
        max_num_doublings=settings.doublings,
    )
    run: Callable = adaptation.run
    (state, found), trace = run(warm, position, settings.warmup)
    steps = trace.info.num_integration_steps
    step = _transition(settings, density, found, steps)
    if settings.sampler == "hmc":
        state = blackjax.hmc.init(state.position, density)

    def turn(state: Any, key: Array) -> tuple[Any, Any]:
        state, info = step(key, state)
        return state, (info.acceptance_rate, info.is_divergent, info.num_integration_steps)

    def draw(state: Any, key: Array) -> tuple[Any, Any]:
        state, outcomes = jax.lax.scan(turn, state, jax.random.split(key, settings.thin))
        return state, (keep(state.position), state.logdensity, *outcomes)

    _, (kept, densities, acceptance, divergent, taken) = jax.lax.scan(
        draw, state, jax.random.split(sample, settings.draws)
    )
    return Draws(
        kept,
        densities,
        jnp.mean(acceptance),
        jnp.sum(divergent) / settings.thin,
        jnp.sum(steps) + jnp.sum(taken),
        found["step_size"],
        trace.state.logdensity,
    )


def _transition(settings: Chain, density: Callable, found: Any, steps: Array) -> Callable:
    """`(key, state) -> (state, info)`; `steps` are those of the warm-up's transitions."""
    size, metric = found["step_size"], found["inverse_mass_matrix"]
    if settings.sampler == "nuts":
        nuts = blackjax.nuts.build_kernel()
        return lambda key, state: nuts(key, state, density, size, metric, settings.doublings)
    hmc = blackjax.hmc.build_kernel()
    low, high = trajectory_bounds(settings, steps)

    def jittered(key: Array, state: Any) -> Any:
        length, key = jax.random.split(key)
        count = jax.random.randint(length, (), low, high + 1)
        return hmc(key, state, density, size, metric, count)

    return jittered


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

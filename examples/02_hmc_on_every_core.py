"""Unmodified BlackJAX, one chain after another taken by whichever core is free (`tile_map`)."""

import blackjax
import jax
import jax.numpy as jnp
import numpy as np

import tilewright

rng = np.random.default_rng(0)
x = rng.normal(size=(500, 5)).astype(np.float32)
true_slope = np.array([1.0, -2.0, 0.5, 0.0, 3.0], np.float32)
y = x @ true_slope + rng.normal(size=500).astype(np.float32)


def log_density(slope):
    """Linear regression with unit noise and a wide normal prior."""
    return -0.5 * jnp.sum((y - x @ slope) ** 2) - 0.5 * jnp.sum(slope**2) / 100


def chain(key):
    """Warm up, then draw 500 positions."""
    warm_up, sample = jax.random.split(key)
    adaptation = blackjax.window_adaptation(blackjax.nuts, log_density)
    (state, parameters), _ = adaptation.run(warm_up, jnp.zeros(5), 200)  # pyright: ignore
    sampler = blackjax.nuts(log_density, **parameters)

    def draw(state, key):
        state, _ = sampler.step(key, state)
        return state, state.position

    return jax.lax.scan(draw, state, jax.random.split(sample, 500))[1]


keys = jax.random.split(jax.random.key(0), 4)
program = tilewright.compile(tilewright.tile_map(chain), keys)
draws = program(keys)

print("true     ", true_slope)
print("posterior", draws.mean((0, 1)).round(2), "+-", draws.std((0, 1)).round(2))

"""HMC with a bfloat16 force and a float32 energy is still exact: only acceptance pays."""

import blackjax
import jax
import jax.numpy as jnp
import numpy as np

import tilewright

rng = np.random.default_rng(0)
x = rng.normal(size=(250, 22)).astype(np.float32)
y = np.tanh(x[:, 0]) + rng.standard_t(4, size=250).astype(np.float32)


def log_density(p):
    """A net with 40 hidden units, Student-t errors and a standard normal prior."""
    error = y - jnp.tanh(x @ p["w1"] + p["b1"]) @ p["w2"]
    prior = sum(jnp.sum(value**2) for value in jax.tree.leaves(p))
    return -2.5 * jnp.sum(jnp.log1p(error**2 / 4)) - 0.5 * prior


start = {"w1": jnp.zeros((22, 40)), "b1": jnp.zeros(40), "w2": jnp.full(40, 0.1)}
keys = jax.random.split(jax.random.key(0), 2)

for name, density in (
    ("float32", log_density),
    ("bfloat16", tilewright.force(log_density, "bfloat16")),
):
    sampler = blackjax.hmc(density, 0.02, jnp.ones(22 * 40 + 80), 50)

    def chain(key, sampler=sampler):
        def draw(state, key):
            state, info = sampler.step(key, state)
            return state, info.acceptance_rate

        first = sampler.init(start)  # pyright: ignore[reportCallIssue]
        return jax.lax.scan(draw, first, jax.random.split(key, 100))[1]

    acceptance = tilewright.compile(tilewright.tile_map(chain), keys)(keys)
    print(f"{name}: acceptance {acceptance.mean():.3f}")

"""A long map gives its instances as they finish, in bounded memory, and can be stopped."""

import jax
import jax.numpy as jnp

import tilewright


def simulate(key):
    """The terminal value and the largest fall of a random walk of 10,000 steps."""
    path = jnp.cumsum(jax.random.normal(key, (10_000,)))
    return path[-1], jnp.max(jax.lax.cummax(path) - path)


keys = jax.random.split(jax.random.key(0), 200)
program = tilewright.compile(tilewright.tile_map(simulate), keys)

with program.start(keys, stream=True) as run:
    for number, (terminal, fall) in run.finished():
        if number % 50 == 0:
            progress = run.progress()
            print(f"{progress.completed}/{progress.total}: {terminal:8.1f}, fell by {fall:.1f}")

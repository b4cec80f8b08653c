"""Where the bytes live and the cycles go: the plan, what limits it, and a profile of one run."""

import jax
import jax.numpy as jnp
import numpy as np
from rich import print

import tilewright

rng = np.random.default_rng(0)
x = rng.normal(size=(20_000, 22)).astype(np.float32)
y = rng.normal(size=20_000).astype(np.float32)
weights = rng.normal(size=(22, 40)).astype(np.float32)


def loss(weights):
    """Never writes its 20,000 x 40 activations to memory: rows run through it in strips."""
    return jnp.mean((jnp.tanh(x @ weights).sum(1) - y) ** 2)


exe = tilewright.compile(jax.grad(loss), weights)

print(exe.report())
print(exe.profile(weights))
print("\n".join(exe.program.splitlines()[-30:]))

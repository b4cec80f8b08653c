"""Any JAX function becomes one native program; it takes and gives NumPy arrays.

Data that the function closes over are inputs in disguise: new data never recompile.
"""

import jax
import jax.numpy as jnp
import numpy as np

import tilewright

rng = np.random.default_rng(0)
features = rng.normal(size=(1000, 22)).astype(np.float32)
target = np.tanh(features[:, 0]) + 0.1 * rng.normal(size=1000).astype(np.float32)


def loss(weights, features, target):
    """Mean squared error of a net with one hidden layer."""
    hidden = jnp.tanh(features @ weights["in"])
    return jnp.mean((hidden @ weights["out"] - target) ** 2)


def train(weights, features, target):
    """A hundred steps of gradient descent, as one program."""

    def step(_, weights):
        gradient = jax.grad(loss)(weights, features, target)
        return jax.tree.map(lambda w, g: w - 0.1 * g, weights, gradient)

    return jax.lax.fori_loop(0, 100, step, weights)


weights = {
    "in": rng.normal(size=(22, 40)).astype(np.float32) / 5,
    "out": rng.normal(size=40).astype(np.float32) / 6,
}
program = tilewright.compile(train, weights, features, target)
trained = program(weights, features, target)

before, after = loss(weights, features, target), loss(trained, features, target)
print(f"loss before {before:.4f}, after {after:.4f}")

"""The batch's norm: its own gradient is that of its formula, once and twice."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tilewright.models.convolutional import by_batch

RANDOM = np.random.default_rng(0)
RAW = 3 + 2 * RANDOM.normal(size=(3, 4, 5, 6))
SCALE, SHIFT = RANDOM.normal(size=(2, 6))
EPSILON = 1e-3


def formula(raw, scale, shift):
    mean = jnp.mean(raw, (0, 1, 2))
    variance = jnp.mean((raw - mean) ** 2, (0, 1, 2))
    return (raw - mean) * lax.rsqrt(variance + EPSILON) * scale + shift, mean, variance


def ours(raw, scale, shift):
    return by_batch(EPSILON, raw, scale, shift)


def loss(norm):
    """Weighs each element of all three results differently."""

    def function(*given):
        return sum(jnp.sum(jnp.sin(x) * jnp.arange(x.size).reshape(x.shape)) for x in norm(*given))

    return function


def test_gradients():
    with jax.enable_x64(True):
        given = RAW, SCALE, SHIFT
        both = [jax.jit(jax.grad(loss(norm), (0, 1, 2)))(*given) for norm in (ours, formula)]
        for one, other in zip(*both, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_gradients_of_gradients():
    def steepness(norm):
        inner = jax.grad(loss(norm), (0, 1, 2))
        return jax.grad(lambda *given: sum(jnp.sum(g**2) for g in inner(*given)), (0, 1, 2))

    with jax.enable_x64(True):
        both = [jax.jit(steepness(norm))(RAW, SCALE, SHIFT) for norm in (ours, formula)]
        for one, other in zip(*both, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-4)

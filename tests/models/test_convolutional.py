"""The batch's norm: its own gradient is that of its formula, once and twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tilewright.models.convolutional import by_batch

RANDOM = np.random.default_rng(0)
RAW = 3 + 2 * RANDOM.normal(size=(3, 4, 5, 6))
SCALE, SHIFT, ABOUT = RANDOM.normal(size=(3, 6))
EPSILON = 1e-3


def formula(raw, scale, shift):
    mean = jnp.mean(raw, (0, 1, 2))
    variance = jnp.mean((raw - mean) ** 2, (0, 1, 2))
    return (raw - mean) * lax.rsqrt(variance + EPSILON) * scale + shift, mean, variance


def ours(raw, scale, shift):
    return by_batch(EPSILON, None, (False, False), raw, scale, shift, ABOUT)


def by_image(raw, scale, shift):
    return by_batch(EPSILON, None, (True, True), raw, scale, shift, ABOUT)


def there_by_place(raw, scale, shift):
    return by_batch(EPSILON, None, (False, True), raw, scale, shift, ABOUT)


WAYS = pytest.mark.parametrize("ours", [ours, by_image, there_by_place], ids=lambda f: f.__name__)


def loss(norm):
    """Weighs each element of all three results differently."""

    def function(*given):
        return sum(jnp.sum(jnp.sin(x) * jnp.arange(x.size).reshape(x.shape)) for x in norm(*given))

    return function


@WAYS
def test_gradients(ours):
    with jax.enable_x64(True):
        given = RAW, SCALE, SHIFT
        both = [jax.jit(jax.grad(loss(norm), (0, 1, 2)))(*given) for norm in (ours, formula)]
        for one, other in zip(*both, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@WAYS
def test_gradients_of_gradients(ours):
    def steepness(norm):
        inner = jax.grad(loss(norm), (0, 1, 2))
        return jax.grad(lambda *given: sum(jnp.sum(g**2) for g in inner(*given)), (0, 1, 2))

    with jax.enable_x64(True):
        both = [jax.jit(steepness(norm))(RAW, SCALE, SHIFT) for norm in (ours, formula)]
        for one, other in zip(*both, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-4)


@WAYS
def test_slopes(ours):
    with jax.enable_x64(True):
        given = RAW, SCALE, SHIFT
        along = tuple(RANDOM.normal(size=x.shape) for x in given)
        both = [jax.jvp(norm, given, along) for norm in (ours, formula)]
        for one, other in zip(*map(jax.tree.leaves, both), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_a_curvature_times_a_vector():
    """Forward over reverse, as optimisers of the second order have it."""

    def along(norm):
        gradient = jax.grad(lambda raw: loss(norm)(raw, SCALE, SHIFT))
        return jax.jvp(gradient, (RAW,), (np.cos(RAW),))[1]

    with jax.enable_x64(True):
        np.testing.assert_allclose(along(ours), along(formula), rtol=1e-7, atol=1e-7)


def test_rounding_grows_with_the_distance():
    """Of the variance in float32: as 1 + (mean - about)^2 / variance, and never below zero."""
    raw = (10 + RANDOM.normal(size=(4, 16, 16, 8))).astype(np.float32)
    exact = np.var(raw.astype(np.float64), (0, 1, 2))
    unit = float(np.finfo(np.float32).eps)
    for about in (10, 9, 0):
        _, mean, variance = by_batch(
            EPSILON, None, (False, False), raw, 1.0, 0.0, np.full(8, about, np.float32)
        )
        bound = 8 * unit * (1 + (10 - about) ** 2 / exact)
        assert np.all(np.abs(variance / exact - 1) < bound)
        np.testing.assert_allclose(mean, np.mean(raw, (0, 1, 2)), rtol=8 * unit)
    flat = np.full((2, 3, 3, 4), 0.1, np.float32)
    assert np.all(
        by_batch(EPSILON, None, (False, False), flat, 1.0, 0.0, np.zeros(4, np.float32))[2] >= 0
    )


def rounded(raw, scale, shift):
    return by_batch(EPSILON, "bfloat16", (False, True), raw, scale, shift, ABOUT)


def test_what_is_kept_in_bfloat16():
    """Statistics are those of what was not rounded; the rest is off by the rounding of
    raw - about, and gradients by that of what comes in."""
    raw, scale, shift = (x.astype(np.float32) for x in (RAW, SCALE, SHIFT))
    (one, *kept), (other, *wanted) = rounded(raw, scale, shift), ours(raw, scale, shift)
    for found, expected in zip(kept, wanted, strict=True):
        np.testing.assert_array_equal(found, expected)
    unit = float(jnp.finfo(jnp.bfloat16).eps) / 2
    spread = np.sqrt(np.var(raw, (0, 1, 2)))
    most = unit * np.abs(raw - ABOUT) * np.abs(scale) / spread
    assert np.all(np.abs(one - other) <= 1.01 * most + 1e-5)
    assert np.any(np.abs(one - other) > 0.1 * most)
    gradients = [jax.grad(loss(norm), (0, 1, 2))(raw, scale, shift) for norm in (rounded, ours)]
    for found, expected in zip(*gradients, strict=True):
        assert np.linalg.norm(found - expected) < 0.03 * np.linalg.norm(expected)

"""Jacobi rotations in parallel order: what `eigh` and `svd` share.

An even number of rows is held as a top and a bottom half. A round rotates row i of the top with row
i of the bottom, for all i at once, and then moves the rows round a ring in which only the first
stays, so that after n - 1 rounds, one sweep, each row has met each other row once and all are back
in their places (Brent and Luk, SIAM J. Sci. Stat. Comput. 6, 1985).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array

SWEEPS = 30
"""More than any matrix needs; convergence is quadratic and stops the loop long before."""


def rotate(matrix: Array, cosine: Array, sine: Array) -> Array:
    """Rotate top rows with bottom rows, then move them on. `cosine`, `sine`: (n / 2,).

    In Rutishauser's form, by which a small angle makes a small rounding error.
    """
    half = matrix.shape[0] // 2
    top, bottom = matrix[:half], matrix[half:]
    half_tangent = (sine / (1 + cosine))[:, None]
    sine = sine[:, None]
    return advance(
        top - sine * (bottom + half_tangent * top),
        bottom + sine * (top - half_tangent * bottom),
    )


def advance(top: Array, bottom: Array) -> Array:
    """Both halves as one array, moved one place round the ring."""
    if top.shape[0] == 1:
        return jnp.concatenate([top, bottom])
    return jnp.concatenate([top[:1], bottom[:1], top[1:-1], bottom[1:], top[-1:]])


def angles(first: Array, second: Array, product: Array) -> tuple[Array, Array]:
    """Cosine and sine of the rotations that make [[first, product], [product, second]] diagonal."""
    idle = product == 0
    ratio = (second - first) / (2 * jnp.where(idle, 1, product))
    size = jnp.abs(ratio)
    tangent = jnp.where(ratio < 0, -1, 1) / (size + jnp.sqrt(1 + size * size))
    tangent = jnp.where(idle, 0, tangent).astype(first.dtype)
    cosine = 1 / jnp.sqrt(1 + tangent * tangent)
    return cosine, tangent * cosine


def sweeps(
    one_round: Callable[[Any], Any], error: Callable[[Any], Array], n: int, state: Any
) -> Any:
    """Whole sweeps of rounds until `error(state)` is below the rounding error."""

    def going_on(carry: tuple[Array, Any]) -> Array:
        count, state = carry
        value = error(state)
        return (count < SWEEPS) & (value > jnp.finfo(value.dtype).eps)

    def sweep(carry: tuple[Array, Any]) -> tuple[Array, Any]:
        count, state = carry
        return count + 1, lax.fori_loop(0, n - 1, lambda _, inner: one_round(inner), state)

    return lax.while_loop(going_on, sweep, (jnp.int32(0), state))[1]


def identity(matrix: Array, size: int) -> Array:
    """Where the product of rotations begins; a NaN in the matrix spoils it."""
    return jnp.eye(size, dtype=matrix.dtype) + 0 * jnp.sum(matrix)


def prepare(matrix: Array) -> tuple[Array, Array]:
    """The matrix over its largest element, and that element; a NaN or infinity spoils all of it."""
    largest = jnp.max(jnp.abs(matrix), initial=0)
    scale = jnp.where(largest == 0, 1, largest)
    scaled = matrix / scale
    return scaled + 0 * jnp.sum(scaled), scale

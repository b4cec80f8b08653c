"""Householder QR, in LAPACK's two steps: reflectors (geqrf), and their product (orgqr)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from tilewright.trace.decompose import blocked_qr, householder

Array = jax.Array

LARGE = 64
"""From more columns on, reflectors are applied a panel at a time."""


def geqrf(matrix: Array) -> tuple[Array, Array]:
    """R in the upper triangle of an (m, n) matrix, reflectors below it, and their factors tau."""
    steps = min(matrix.shape)
    return blocked_qr.geqrf(matrix) if steps > LARGE else householder.reduce(matrix, 0, steps)


def householder_product(reflectors: Array, taus: Array) -> Array:
    """The first n columns of the product of k reflectors, held as `geqrf` leaves them, (m, n)."""
    make = blocked_qr.product if taus.shape[0] > LARGE else householder.product
    return make(reflectors, taus)


def qr(matrix: Array, *, full_matrices: bool) -> tuple[Array, Array]:
    """Q (m, k) and R (k, n), with k = m when full, else the lesser of m and n."""
    m, n = matrix.shape
    reduced, taus = geqrf(matrix)
    k = m if full_matrices else min(m, n)
    reflectors = reduced[:, :k] if k <= n else jnp.pad(reduced, ((0, 0), (0, k - n)))
    return householder_product(reflectors, taus), jnp.triu(reduced[:k])

"""Singular values and vectors, of a tall matrix after QR.

Of small ones by one-sided Jacobi rotations (Hestenes), which do many at once; larger ones are made
bidiagonal first, and then diagonal by implicit QR.

Signs of the vectors are ours, not LAPACK's (see `eigh`); those of a pair agree with each other.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from tilewright.trace.decompose import blocked_qr, jacobi
from tilewright.trace.decompose.bidiagonalise import bidiagonalise
from tilewright.trace.decompose.cholesky import dot
from tilewright.trace.decompose.implicit_qr import implicit_qr
from tilewright.trace.decompose.qr import geqrf, householder_product, qr

Array = jax.Array

SMALL = 8
"""Matrices of up to so many columns are made diagonal by rotations alone."""


def singular_values(matrix: Array) -> Array:
    """Singular values of an (m, n) matrix, descending."""
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    scaled, scale = jacobi.prepare(matrix)
    square = _square(scaled)
    if square.shape[0] > SMALL:
        values, _, _ = _by_reflectors(square)
    else:
        values = _norms(_orthogonal_rows(square.T, with_vectors=False)[0])
    return -jnp.sort(-values) * scale


def svd(matrix: Array, *, full_matrices: bool) -> tuple[Array, Array, Array]:
    """Values (k,), left vectors (m, k or m) and right vectors, transposed, (k or n, n)."""
    m, n = matrix.shape
    if m < n:
        values, left, right = svd(matrix.T, full_matrices=full_matrices)
        return values, right.T, left.T
    scaled, scale = jacobi.prepare(matrix)
    first, reduced = None, scaled
    if m > n:
        first, reduced = qr(scaled, full_matrices=full_matrices)
    values, left, right = (_by_rotations if n <= SMALL else _by_reflectors)(reduced[:n])
    if first is not None:
        left = jnp.concatenate([dot(first[:, :n], left), first[:, n:]], 1)
    return values * scale, left, right


def _by_rotations(matrix: Array) -> tuple[Array, Array, Array]:
    """Values (n,), descending, left vectors (n, n), right ones transposed."""
    rows, vectors = _orthogonal_rows(matrix.T, with_vectors=True)
    values = _norms(rows)
    order = jnp.argsort(-values)
    return values[order], _normalised(rows[order]), vectors[order]


def _by_reflectors(matrix: Array) -> tuple[Array, Array, Array]:
    """As `_by_rotations`."""
    diagonal, beside, of_left, of_right = bidiagonalise(matrix)
    start = jacobi.identity(matrix, matrix.shape[0])
    values, left, right = implicit_qr(diagonal, beside, start, start)
    order = jnp.argsort(-jnp.abs(values))
    values, left, right = values[order], left[order].T, right[order].T
    left = blocked_qr.applied(*of_left, left)
    right = blocked_qr.applied(*of_right, right)
    right = right * jnp.where(values < 0, -1, 1)
    return jnp.abs(values), left, right.T


def _square(matrix: Array) -> Array:
    m, n = matrix.shape
    return jnp.triu(geqrf(matrix)[0][:n]) if m > n else matrix


def _norms(rows: Array) -> Array:
    return jnp.sqrt(jnp.sum(rows * rows, 1))


def _normalised(rows: Array) -> Array:
    """Orthonormal columns along the rows. Householder's Q, so rows of zeros are completed too."""
    reduced, taus = geqrf(rows.T)
    signs = jnp.where(jnp.diagonal(reduced) < 0, -1, 1)
    return householder_product(reduced, taus) * signs


def _orthogonal_rows(matrix: Array, with_vectors: bool) -> tuple[Array, Array]:
    """Rotate the rows of an (n, n) matrix until they are orthogonal; and the rotations' product."""
    n = matrix.shape[0]
    size = n + n % 2
    half = size // 2
    state = jnp.pad(matrix, ((0, size - n), (0, 0)))
    if with_vectors:
        state = jnp.concatenate([state, jacobi.identity(matrix, size)], 1)

    def one_round(state: Array) -> Array:
        top, bottom = state[:half, :n], state[half:, :n]
        first, second = jnp.sum(top * top, 1), jnp.sum(bottom * bottom, 1)
        cosine, sine = jacobi.angles(first, second, jnp.sum(top * bottom, 1))
        return jacobi.rotate(state, cosine, sine)

    state = jacobi.sweeps(one_round, lambda state: _leaning(state[:, :n]), size, state)
    return state[:n, :n], state[:n, n : n + n]


def _leaning(rows: Array) -> Array:
    """The largest cosine between two rows, over what rounding makes of zero."""
    n = rows.shape[0]
    products = dot(rows, rows.T)
    norms = _norms(rows)
    scale = norms[:, None] * norms[None, :]
    cosines = jnp.abs(products) / jnp.where(scale == 0, 1, scale)
    return jnp.max(jnp.where(jnp.eye(n, dtype=bool), 0, cosines)) / max(n, 8)

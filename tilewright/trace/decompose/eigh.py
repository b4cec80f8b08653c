"""Eigenvalues and eigenvectors of a symmetric matrix.

Of small ones by two-sided Jacobi rotations, which do many at once; larger ones are made tridiagonal
first, and then diagonal by implicit QL.

An eigenvector's sign is nobody's convention: LAPACK's follows from the course of its iteration, and
ours from that of the rotations. What hangs on it (draws by `method="eigh"`) has the same
distribution as JAX's, and other values.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from tilewright.trace.decompose import blocked_qr, jacobi
from tilewright.trace.decompose.implicit_ql import implicit_ql
from tilewright.trace.decompose.tridiagonalise import tridiagonalise

Array = jax.Array

SMALL = 8
"""Matrices of up to so many rows are diagonalised by rotations alone."""


def eigh(
    matrix: Array, *, lower: bool, sort: bool = True, subset: tuple[int, int] | None = None
) -> tuple[Array, Array]:
    """Eigenvectors (n, n), in columns, and eigenvalues (n,), ascending when sorted.

    Only one triangle of the matrix is read.
    """
    n = matrix.shape[0]
    triangle = jnp.tril(matrix) if lower else jnp.triu(matrix)
    other = jnp.tril(matrix, -1).T if lower else jnp.triu(matrix, 1).T
    scaled, scale = jacobi.prepare(triangle + other)
    values, vectors = (_by_rotations if n <= SMALL else _by_reflectors)(scaled)
    values = values * scale
    if sort:
        order = jnp.argsort(values)
        values, vectors = values[order], vectors[order]
    start, stop = subset or (0, n)
    return vectors[start:stop].T, values[start:stop]


def _by_reflectors(matrix: Array) -> tuple[Array, Array]:
    """Eigenvalues (n,) and eigenvectors (n, n), in rows."""
    diagonal, beside, taus, reflectors = tridiagonalise(matrix)
    values, rows = implicit_ql(diagonal, beside, jacobi.identity(matrix, matrix.shape[0]))
    columns = rows.T
    below = blocked_qr.applied(reflectors, taus, columns[1:])
    return values, jnp.concatenate([columns[:1], below]).T


def _by_rotations(matrix: Array) -> tuple[Array, Array]:
    """Eigenvalues (n,) and eigenvectors (n, n), in rows. A row of zeros makes n even."""
    n = matrix.shape[0]
    size = n + n % 2
    half = size // 2
    matrix = jnp.pad(matrix, ((0, size - n), (0, size - n)))
    rotated = _rotated_positions(size, half)

    def one_round(state: tuple[Array, Array]) -> tuple[Array, Array]:
        a, vectors = state
        diagonal = a.reshape(-1)[:: size + 1]
        beside = a.reshape(-1)[half : half * (size + 1) : size + 1]
        cosine, sine = jacobi.angles(diagonal[:half], diagonal[half:], beside)
        both = jacobi.rotate(jnp.concatenate([a, vectors], 1), cosine, sine)
        a = jacobi.rotate(both[:, :size].T, cosine, sine)
        return jnp.where(rotated, 0, a), both[:, size:]

    def error(state: tuple[Array, Array]) -> Array:
        """Off-diagonal part over the whole, as root sums of squares."""
        squares = state[0] * state[0]
        whole = jnp.sum(squares)
        off = jnp.sum(jnp.where(jnp.eye(size, dtype=bool), 0, squares))
        return jnp.sqrt(off / jnp.where(whole == 0, 1, whole))

    start = (matrix, jacobi.identity(matrix, size))
    a, vectors = jacobi.sweeps(one_round, error, size, start)
    return a.reshape(-1)[:: size + 1][:n], vectors[:n, :n]


def _rotated_positions(size: int, half: int) -> Array:
    """Where the elements that a round makes zero lie after it."""
    apart = jnp.arange(size)[:, None] - jnp.arange(size)[None, :]
    pairs = jnp.abs(apart) == half
    moved = jacobi.advance(pairs[:half], pairs[half:]).T
    return jacobi.advance(moved[:half], moved[half:])

"""Eigenvalues and eigenvectors of a symmetric matrix.

Of small ones by two-sided Jacobi rotations, which do many at once; larger ones are made tridiagonal
first, and then diagonal by implicit QL, or by parts if vectors of many rows are wanted.

An eigenvector's sign is nobody's convention: LAPACK's follows from the course of its iteration, and
ours from that of the rotations. What hangs on it (draws by `method="eigh"`) has the same
distribution as JAX's, and other values.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from tilewright.trace.decompose import blocked_qr, jacobi
from tilewright.trace.decompose.divided import PART, divided
from tilewright.trace.decompose.implicit_ql import implicit_ql
from tilewright.trace.decompose.tridiagonalise import tridiagonalise

Array = jax.Array

SMALL = 8
"""Matrices of up to so many rows are diagonalised by rotations alone."""


def eigh(
    matrix: Array,
    *,
    lower: bool,
    sort: bool = True,
    subset: tuple[int, int] | None = None,
    vectors_read: bool = True,
) -> tuple[Array, Array]:
    """Eigenvectors (n, n), in columns, and eigenvalues (n,), ascending when sorted.

    Only one triangle of the matrix is read. Values of which no vectors are read cost less so.
    """
    n = matrix.shape[0]
    triangle = jnp.tril(matrix) if lower else jnp.triu(matrix)
    other = jnp.tril(matrix, -1).T if lower else jnp.triu(matrix, 1).T
    scaled, scale = jacobi.prepare(triangle + other)
    by_parts = vectors_read and n > PART and matrix.dtype == jnp.float32
    reduced = _by_parts if by_parts else _by_reflectors
    values, vectors = (_by_rotations if n <= SMALL else reduced)(scaled)
    values = values * scale
    if sort and not by_parts:
        order = jnp.argsort(values)
        values, vectors = values[order], vectors[order]
    start, stop = subset or (0, n)
    return vectors[start:stop].T, values[start:stop]


def _by_reflectors(matrix: Array) -> tuple[Array, Array]:
    """Eigenvalues (n,) and eigenvectors (n, n), in rows."""
    diagonal, beside, taus, reflectors = tridiagonalise(matrix)
    values, rows = implicit_ql(diagonal, beside, jacobi.identity(matrix, matrix.shape[0]))
    return values, _turned_back(reflectors, taus, rows.T)


def _by_parts(matrix: Array) -> tuple[Array, Array]:
    """As `_by_reflectors`; values ascend."""
    diagonal, beside, taus, reflectors = tridiagonalise(matrix)
    values, columns = divided(diagonal, beside)
    return values, _turned_back(reflectors, taus, columns)


def _turned_back(reflectors: Array, taus: Array, columns: Array) -> Array:
    """Vectors of the tridiagonal matrix, in columns, as those of the matrix, in rows."""
    return blocked_qr.applied(reflectors, taus, columns).T


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

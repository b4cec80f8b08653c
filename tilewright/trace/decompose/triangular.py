"""Triangular systems: substitution, a row of the solution at a time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from tilewright.trace.decompose.cholesky import dot

Array = jax.Array


def triangular_solve(
    matrix: Array,
    target: Array,
    *,
    left_side: bool,
    lower: bool,
    transpose_a: bool,
    unit_diagonal: bool,
) -> Array:
    """X of op(matrix) X = target (m, k), or of X op(matrix) = target (k, m); matrix is (m, m)."""
    if not left_side:
        target, transpose_a = target.T, not transpose_a
    if transpose_a:
        matrix, lower = matrix.T, not lower
    matrix = jnp.tril(matrix) if lower else jnp.triu(matrix)
    solution = _substitute(matrix, target, lower, unit_diagonal)
    return solution if left_side else solution.T


def _substitute(matrix: Array, target: Array, lower: bool, unit_diagonal: bool) -> Array:
    """Rows not solved yet are zero in `solution`, so whole rows of the matrix can be multiplied."""
    n = matrix.shape[0]

    def row(step: Array, solution: Array) -> Array:
        i = step if lower else n - 1 - step
        factors = lax.dynamic_index_in_dim(matrix, i, 0, keepdims=False)
        rest = lax.dynamic_index_in_dim(target, i, 0, keepdims=False) - dot(factors, solution)
        if not unit_diagonal:
            rest = rest / lax.dynamic_index_in_dim(factors, i, 0, keepdims=False)
        return lax.dynamic_update_index_in_dim(solution, rest, i, 0)

    return lax.fori_loop(0, n, row, jnp.zeros_like(target))

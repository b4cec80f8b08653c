"""Large triangular systems: by halves, so that most of the work is products."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from tilewright.trace.decompose.cholesky import dot, halved

Array = jax.Array


def triangular_solve(matrix: Array, target: Array, *, lower: bool, unit: bool) -> Array:
    """X of `matrix` X = `target` (n, m); only one triangle of the matrix is read."""
    half = halved(matrix.shape[0])
    begin, end = slice(None, half), slice(half, None)
    if not lower:
        begin, end = end, begin

    def solve(part: slice, right: Array) -> Array:
        return lax.linalg.triangular_solve(
            matrix[part, part], right, left_side=True, lower=lower, unit_diagonal=unit
        )

    first = solve(begin, target[begin])
    last = solve(end, target[end] - dot(matrix[end, begin], first))
    return jnp.concatenate([first, last] if lower else [last, first])

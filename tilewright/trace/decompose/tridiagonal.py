"""Tridiagonal systems: Gaussian elimination with partial pivoting, as LAPACK's gtsv."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


def tridiagonal_solve(lower: Array, diagonal: Array, upper: Array, target: Array) -> Array:
    """X (n, k) of A X = target (n, k); the rest, (n,), are A[i, i - 1], A[i, i] and A[i, i + 1].

    All NaN when a pivot is zero.
    """
    upper = upper.at[-1].set(0)
    first = (diagonal[0], upper[0], target[0])
    last, rows = lax.scan(_eliminate, first, (lower[1:], diagonal[1:], upper[1:], target[1:]))
    zero = jnp.zeros_like(last[0])
    ends = (last[0], zero, zero, last[2])
    rows = jax.tree.map(lambda row, end: jnp.concatenate([row, end[None]]), rows, ends)
    nothing = jnp.zeros_like(target[0])
    _, solution = lax.scan(_substitute, (nothing, nothing), rows, reverse=True)
    return jnp.where(jnp.all(rows[0] != 0), solution, jnp.nan)


def _eliminate(
    above: tuple[Array, Array, Array], row: tuple[Array, Array, Array, Array]
) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array, Array]]:
    """The next row without its first element; and the row above: pivot, two beside it, target.

    The larger of both first elements is the pivot.
    """
    pivot, beside, target = above
    first, diagonal, upper, below = row
    swap = jnp.abs(first) > jnp.abs(pivot)
    factor = jnp.where(swap, pivot / jnp.where(swap, first, 1), first / jnp.where(swap, 1, pivot))
    factor = jnp.where(first == 0, 0, factor)
    rest = jnp.where(swap, beside - factor * diagonal, diagonal - factor * beside)
    right = jnp.where(swap, -factor * upper, upper)
    remaining = jnp.where(swap, target - factor * below, below - factor * target)
    done = (
        jnp.where(swap, first, pivot),
        jnp.where(swap, diagonal, beside),
        jnp.where(swap, upper, 0),
        jnp.where(swap, below, target),
    )
    return (rest, right, remaining), done


def _substitute(
    solved: tuple[Array, Array], row: tuple[Array, Array, Array, Array]
) -> tuple[tuple[Array, Array], Array]:
    """One row of the solution from the two after it."""
    next_one, one_after = solved
    pivot, beside, two_beside, target = row
    value = (target - beside * next_one - two_beside * one_after) / pivot
    return (value, next_one), value

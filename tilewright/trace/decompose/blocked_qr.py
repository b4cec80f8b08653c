"""Householder QR of large matrices: reflectors by panels of columns, applied as products.

A panel's reflectors make I - V T V', with T = (D^-1 + S)^-1: D holds their factors tau, S what is
above the diagonal of V'V (Schreiber and Van Loan; the formula, Puglisi). T is never made:
triangular systems with S D and D S stand for it, and a tau of zero harms neither.

Columns are cut into a few stretches; in each the loop over panels works on all that is right of and
below the stretch's first element, for one shape of products. What is finished there is not harmed:
V is zero above a panel, and finished columns are zero below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
from jax import lax

from tilewright.trace.decompose.cholesky import dot
from tilewright.trace.decompose.householder import reduce

Array = jax.Array

PANEL = 32
_STRETCH, _MOST_STRETCHES = 128, 3


def geqrf(matrix: Array) -> tuple[Array, Array]:
    """As `qr.geqrf`."""
    steps = min(matrix.shape)
    taus, factors = [], jnp.zeros_like(matrix)
    for start, columns in _stretches(steps):

        def panel(first: Array | int, width: int, state: tuple[Array, ...]) -> tuple[Array, ...]:
            rest, found, tau = state
            part = lax.dynamic_slice_in_dim(rest, first, width, 1)
            reduced, scales = reduce(part, first, width)
            vectors = _vectors(reduced, first)
            rest = _applied(rest, vectors, scales, transposed=True)
            rest = lax.dynamic_update_slice_in_dim(rest, reduced - _below(reduced, first), first, 1)
            found = lax.dynamic_update_slice_in_dim(found, _below(reduced, first), first, 1)
            return rest, found, lax.dynamic_update_slice_in_dim(tau, scales, first, 0)

        rest = matrix[start:, start:]
        state = (rest, jnp.zeros_like(rest), jnp.zeros(columns, matrix.dtype))
        rest, found, tau = _over_panels(panel, columns, state, backwards=False)
        matrix = matrix.at[start:, start:].set(rest)
        factors = factors.at[start:, start:].add(found)
        taus.append(tau)
    return jnp.triu(matrix) + factors, jnp.concatenate(taus)


def product(reflectors: Array, taus: Array) -> Array:
    """As `qr.householder_product`."""
    m, n = reflectors.shape
    result = jnp.eye(m, n, dtype=reflectors.dtype)
    for start, columns in reversed(list(_stretches(taus.shape[0]))):
        known, tau = reflectors[start:, start:], taus[start:]

        def panel(first: Array | int, width: int, state: tuple[Array, ...]) -> tuple[Array, ...]:
            part = lax.dynamic_slice_in_dim(known, first, width, 1)  # noqa: B023
            scales = lax.dynamic_slice_in_dim(tau, first, width, 0)  # noqa: B023
            return (_applied(state[0], _vectors(part, first), scales, transposed=False),)

        state = (result[start:, start:],)
        (rest,) = _over_panels(panel, columns, state, backwards=True)
        result = result.at[start:, start:].set(rest)
    return result


def _stretches(steps: int) -> Iterator[tuple[int, int]]:
    """First column and number of columns of each, whole panels but for the last."""
    length = max(_STRETCH, -(-steps // (_MOST_STRETCHES * PANEL)) * PANEL)
    for start in range(0, steps, length):
        yield start, min(length, steps - start)


def _over_panels(
    panel: Callable, columns: int, state: tuple[Array, ...], *, backwards: bool
) -> tuple[Array, ...]:
    """`panel` for each whole one in a loop, and for what is left: the last one, or the first."""
    count, rest = divmod(columns, PANEL)

    def turn(i: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        number = count - 1 - i if backwards else i
        return panel(number * PANEL, PANEL, state)

    if rest and backwards:
        state = panel(count * PANEL, rest, state)
    if count:
        state = lax.fori_loop(0, count, turn, state)
    if rest and not backwards:
        state = panel(count * PANEL, rest, state)
    return state


def _below(panel: Array, first: Array | int) -> Array:
    """What is below the diagonal, which begins in row `first`; else zeros."""
    rows, columns = (lax.broadcasted_iota(jnp.int32, panel.shape, d) for d in (0, 1))
    return jnp.where(rows > columns + first, panel, 0)


def _vectors(panel: Array, first: Array | int) -> Array:
    rows, columns = (lax.broadcasted_iota(jnp.int32, panel.shape, d) for d in (0, 1))
    return jnp.where(rows == columns + first, 1, _below(panel, first))


def _applied(matrix: Array, vectors: Array, taus: Array, *, transposed: bool) -> Array:
    """(I - V T V') matrix, or with T'."""
    overlaps = dot(vectors.T, vectors)
    along = dot(vectors.T, matrix)
    if transposed:
        along = taus[:, None] * _solved(overlaps * taus[None, :], along, lower=True)
    else:
        along = _solved(taus[:, None] * overlaps, taus[:, None] * along, lower=False)
    return matrix - dot(vectors, along)


def _solved(matrix: Array, target: Array, *, lower: bool) -> Array:
    return lax.linalg.triangular_solve(
        matrix, target, left_side=True, lower=lower, unit_diagonal=True
    )

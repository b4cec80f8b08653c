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
    m, n = matrix.shape
    steps = min(m, n)
    panel_width, all_of = whole(steps)
    matrix = jnp.pad(matrix, ((0, max(0, all_of - m)), (0, max(0, all_of - n))))
    taus, factors = [], jnp.zeros_like(matrix)
    for start, columns in stretches(all_of, panel_width, short=True):

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
        rest, found, tau = over_panels(panel, columns, state, panel_width, backwards=False)
        matrix = matrix.at[start:, start:].set(rest)
        factors = factors.at[start:, start:].add(found)
        taus.append(tau)
    return (jnp.triu(matrix) + factors)[:m, :n], jnp.concatenate(taus)[:steps]


def product(reflectors: Array, taus: Array) -> Array:
    """As `qr.householder_product`."""
    m, n = reflectors.shape
    start = jnp.eye(m, n, dtype=reflectors.dtype)
    return _times(reflectors[:, : taus.shape[0]], taus, start, triangular=True)


def applied(reflectors: Array, taus: Array, matrix: Array) -> Array:
    """The product of k reflectors, held as `geqrf` leaves them, (m, k), times a matrix (m, n)."""
    return _times(reflectors, taus, matrix, triangular=False)


def _times(reflectors: Array, taus: Array, result: Array, *, triangular: bool) -> Array:
    """`triangular`: what is left of the matrix's diagonal is zero."""
    steps = taus.shape[0]
    panel_width, all_of = whole(steps)
    reflectors = jnp.pad(reflectors, ((0, 0), (0, all_of - steps)))
    taus = jnp.pad(taus, (0, all_of - steps))
    for start, columns in reversed(list(stretches(all_of, panel_width, short=triangular))):
        known, tau = reflectors[start:, start:], taus[start:]

        def panel(first: Array | int, width: int, state: tuple[Array, ...]) -> tuple[Array, ...]:
            part = lax.dynamic_slice_in_dim(known, first, width, 1)  # noqa: B023
            scales = lax.dynamic_slice_in_dim(tau, first, width, 0)  # noqa: B023
            return (_applied(state[0], _vectors(part, first), scales, transposed=False),)

        left = start if triangular else 0
        state = (result[start:, left:],)
        (rest,) = over_panels(panel, columns, state, panel_width, backwards=True)
        result = result.at[start:, left:].set(rest)
    return result


def whole(steps: int) -> tuple[int, int]:
    """Columns of a panel, and of all, so that no panel is left over: a few more than `steps`.

    A matrix with zeros for those has the same reflectors, and others that change nothing.
    """
    count = -(-steps // PANEL)
    width = -(-steps // max(count, 1))
    return width, width * count


def stretches(steps: int, width: int, *, short: bool = False) -> Iterator[tuple[int, int]]:
    """First column and number of columns of each, whole panels: some 128, or a third of all.

    What is left over makes those before it longer, or, if they are to be `short`, is one more: less
    work for the processor, and more code.
    """
    most = max(_STRETCH, -(-steps // _MOST_STRETCHES))
    length = (most // width if short else -(-most // width)) * width
    for start in range(0, steps, length):
        yield start, min(length, steps - start)


def over_panels(
    panel: Callable, columns: int, state: tuple[Array, ...], width: int, *, backwards: bool
) -> tuple[Array, ...]:
    """`panel` for each in a loop."""
    count = columns // width

    def turn(i: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        number = count - 1 - i if backwards else i
        return panel(number * width, width, state)

    return lax.fori_loop(0, count, turn, state)


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

"""Roots of a secular equation: eigenvalues and eigenvectors of a diagonal matrix and one dyad.

Of D + rho z z', the eigenvalues are the roots of 1 + rho sum z_i^2 / (D_i - x): one between each
two neighbours of D, one beyond the largest. All are sought at once, each from its nearer
neighbour on, so that its distance from all of D has small relative errors. An iteration puts simple
poles at both neighbours, with the function's value and slopes (the middle way: Li, LAPACK working
note 89), and halves what the root is known to lie in where that leads out of it. Of the roots that
were found z is made anew (Gu and Eisenstat, SIAM J. Matrix Anal. Appl. 15, 1994): vectors are then
orthogonal to rounding, however near to each other the roots.

LAPACK takes out elements of z that vanish, and equal ones of D, for neither leaves a root between
neighbours. Here they are moved apart by `APART`: numbers are float64, and the results float32.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from tilewright.trace.decompose.sweeps import at, put

Array = jax.Array

APART = 2.0**-46
"""Of the norm, by which neighbours differ at least: of 1,000 rows, 2^-36 in all."""

ENOUGH = 2.0**-36
"""A step of less, of the way from a neighbour of D to the root: the next, squared, is none."""

MOST = 60
"""Steps, more than any root needs: some six are usual."""


BEYOND = 4.0
"""More than any of D, and than any eigenvalue: where D is longer than the matrix."""


def eigen(d: Array, z: Array, rho: Array, count: Array, order: Array) -> tuple[Array, Array]:
    """Eigenvalues (n,), ascending, and eigenvectors (n, n), in columns, of D + rho z z'.

    `d` (n,), of a norm of about 1, ascends; `z` (n,) has the norm sqrt 2; `rho` is not negative.
    Only the first `count` of each are the matrix's; what is right of as many columns is unknown.
    Row i of the vectors is put in place `order[i]`.
    """
    n = d.shape[0]
    step = APART * lax.iota(d.dtype, n)
    poles = lax.cummax(d - step) + step
    z = jnp.where(jnp.abs(z) < APART, APART, z)
    origin, offset = _roots(poles, z * z, jnp.maximum(rho, APART), count)
    z = _made_anew(origin, offset, poles, z, count)

    def row(i: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        vectors, squares = state
        new = at(z, i) / (at(poles, i) - origin - offset)
        return put(vectors, new, at(order, i)), squares + new * new

    start = jnp.zeros((n, n), d.dtype), jnp.zeros(n, d.dtype)
    vectors, squares = lax.fori_loop(0, count, row, start)
    return origin + offset, vectors * (1 / jnp.sqrt(squares))


def _roots(poles: Array, squares: Array, rho: Array, count: Array) -> tuple[Array, Array]:
    """Each root as a pole beside it and the distance from there."""
    n = poles.shape[0]
    places = lax.iota(jnp.int32, n)
    last = places >= count - 1
    whole = rho * jnp.sum(jnp.where(places < count, squares, 0))
    width = jnp.where(last, whole, jnp.roll(poles, -1) - poles)
    valued = partial(_valued, poles, squares, 1 / rho, count)
    below = valued(poles, width / 2)[0] < 0
    far = below & ~last
    origin = jnp.where(far, jnp.roll(poles, -1), poles)
    lower = jnp.where(far, -width / 2, jnp.where(below, width / 2, 0))
    upper = jnp.where(far, 0, jnp.where(below, width, width / 2))
    beside = jnp.where(last, at(poles, count - 2), poles) - origin, jnp.where(far | last, 0, width)

    def going_on(state: tuple[Array, ...]) -> Array:
        return (state[0] < MOST) & jnp.any(state[-1])

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        steps, offset, lower, upper, _ = state
        sums = valued(origin, offset)
        below = sums[0] < 0
        lower, upper = jnp.where(below, offset, lower), jnp.where(below, upper, offset)
        move = _middle_way(sums, beside[0] - offset, beside[1] - offset, last)
        more = (jnp.abs(move) > ENOUGH * jnp.abs(offset)) & (places < count)
        inside = (offset + move > lower) & (offset + move < upper)
        other = jnp.where(more, (lower + upper) / 2, offset)
        return steps + 1, jnp.where(inside, offset + move, other), lower, upper, more

    start = (jnp.int32(0), (lower + upper) / 2, lower, upper, jnp.ones(n, bool))
    return origin, lax.while_loop(going_on, step, start)[1]


def _valued(
    poles: Array, squares: Array, constant: Array, count: Array, origin: Array, offset: Array
) -> tuple[Array, Array, Array]:
    """The function over rho, and the slopes of what is left of each root and of what is right.

    All is left of the last root: there the slope of the last pole is held to be the right one.
    """
    n = poles.shape[0]
    left_of = jnp.minimum(lax.iota(jnp.int32, n), count - 2)

    def add(i: Array, sums: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        value, left, right = sums
        inverse = 1 / (at(poles, i) - origin - offset)
        term = at(squares, i) * inverse
        slope, is_left = term * inverse, i <= left_of
        left, right = (
            left + jnp.where(is_left, slope, 0),
            right + jnp.where(is_left, 0, slope),
        )
        return value + term, left, right

    none = jnp.zeros(n, poles.dtype)
    return lax.fori_loop(0, count, add, (none + constant, none, none))


def _middle_way(sums: tuple[Array, ...], a: Array, b: Array, last: Array) -> Array:
    """How far it is to the root of c + s / (a - x) + t / (b - x), of the same value and slopes.

    `a` and `b` are the ways to the poles on both sides; for the last root, to the last two.
    """
    value, left, right = sums
    constant = value - a * left - b * right
    both = (a + b) * value - a * b * (left + right)
    root = jnp.sqrt(jnp.abs(both * both - 4 * a * b * value * constant))
    root = jnp.where(last, -root, root)
    constant = jnp.where(last, jnp.abs(constant), constant)
    is_plain = (both <= 0) != last
    move = jnp.where(is_plain, (both - root) / (2 * constant), 2 * a * b * value / (both + root))
    return jnp.where(move * value < 0, move, -value / (left + right))


def _made_anew(origin: Array, offset: Array, poles: Array, z: Array, count: Array) -> Array:
    """What z is if the roots are exact, but for a factor common to all."""
    n = poles.shape[0]
    places = lax.iota(jnp.int32, n)

    def multiply(j: Array, product: Array) -> Array:
        other = jnp.where(j < places, at(poles, j), at(poles, j + 1))
        return product * ((poles - at(origin, j) - at(offset, j)) / (poles - other))

    last = poles - at(origin, count - 1) - at(offset, count - 1)
    product = lax.fori_loop(0, count - 1, multiply, last)
    return jnp.where(z < 0, -1, 1) * jnp.sqrt(jnp.abs(product))

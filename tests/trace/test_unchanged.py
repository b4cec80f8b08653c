"""Numbers that a function's text says, followed through calls and loops, as XLA follows them.

What is divided by them shows it: in bits, a product with the reciprocal is no quotient.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tilewright.trace.unchanged import unchanged

DIVIDENDS = np.random.default_rng(0).uniform(0.5, 100, 512).astype(np.float32)


def hundred():
    return jnp.ceil(jnp.sqrt(jnp.float32(2)) * jnp.float32(70)) + 1


def straight(x):
    return x / hundred()


def by_an_integer(x):
    return x / (jnp.int32(99) + 1)


def scan_over(x):
    divisor = hundred()
    return lax.scan(lambda total, v: (total + v, v / divisor), jnp.float32(0), x)[1]


def scan_with(x):
    def turn(carry, v):
        return (carry[0], carry[1] + 1), v / carry[0]

    return lax.scan(turn, (hundred(), 0), x)[1]


def mapped(x):
    divisor = hundred()
    return tilewright.tile_map(lambda v: v / divisor)(x)


def loop_over(x):
    divisor = hundred()
    return lax.fori_loop(0, 2, lambda _, v: v / divisor, x)


def loop_with(x):
    def turn(state):
        return state[0] + 1, x / state[2], state[2]

    return lax.while_loop(lambda state: state[0] < x[0], turn, (0.0, x, hundred()))[1]


def after_a_loop(x):
    _, count = lax.while_loop(lambda s: s[0] < x[0], lambda s: (s[0] + 1, s[1]), (0.0, hundred()))
    return x / count


def loops_in_loops(x):
    def inner(state):
        return state[0] + 1, x / state[2], state[2]

    def turn(state):
        _, quotient, divisor = lax.while_loop(lambda s: s[0] < 2, inner, (0, *state[1:]))
        return state[0] + 1, quotient, jax.jit(lambda v: v)(divisor)

    return lax.while_loop(lambda s: s[0] < x[0], turn, (0, x, hundred()))[1]


def one_of_two(x):
    return lax.cond(x[0] > 0, lambda v, n: v / n, lambda v, n: v, x, hundred())


def branches_that_pass_it_on(x):
    def turn(state):
        number = lax.cond(state[0] > 3, lambda n: n, lambda n: n, state[2])
        return state[0] + 1, x / state[2], lax.select(state[0] > 1, number, state[2])

    return lax.while_loop(lambda state: state[0] < x[0], turn, (0.0, x, hundred()))[1]


@pytest.mark.parametrize("divided", [
    straight, by_an_integer, scan_over, scan_with, mapped, loop_over, loop_with, after_a_loop,
    loops_in_loops, one_of_two, branches_that_pass_it_on,
])  # fmt: skip
def test_a_division_has_the_bits_of_jit(divided):
    found = np.asarray(tilewright.compile(divided, DIVIDENDS)(DIVIDENDS))
    assert found.tobytes() == np.asarray(jax.jit(divided)(DIVIDENDS)).tobytes()
    assert (found != DIVIDENDS / np.float32(100)).any()


def test_a_carry_that_changes_is_no_number():
    def divided(x):
        def turn(divisor, v):
            return divisor + 1, v / divisor

        return lax.scan(turn, hundred(), x)[1]

    found = np.asarray(tilewright.compile(divided, DIVIDENDS)(DIVIDENDS))
    divisors = np.arange(100, 100 + len(DIVIDENDS), dtype=np.float32)
    np.testing.assert_array_equal(found, DIVIDENDS / divisors)


def test_carries_that_change_places():
    def body(a, b, c, d):
        return b, a, jnp.where(a > 0, c, d), jax.jit(lambda v: v)(d)

    jaxpr = jax.make_jaxpr(body)(1.0, 2.0, 3.0, 4.0).jaxpr
    assert unchanged(jaxpr, 0, 4) == [False, False, False, True]


def test_a_sampler_of_times_draws_what_it_draws_under_jit():
    """It hashes the bits of times, which are a share of a number of steps that is computed."""
    diffrax = pytest.importorskip("diffrax")

    def path(key):
        noise = diffrax.UnsafeBrownianPath(shape=(), key=key)
        drift = diffrax.ODETerm(lambda t, y, args: -y)
        terms = diffrax.MultiTerm(drift, diffrax.ControlTerm(lambda t, y, args: 0.2, noise))
        return diffrax.diffeqsolve(
            terms, diffrax.Euler(), 0.0, 1.0, 0.01, jnp.float32(1),
            saveat=diffrax.SaveAt(steps=True), adjoint=diffrax.DirectAdjoint(),
            max_steps=128, throw=False,
        ).ys  # fmt: skip

    keys = jax.random.split(jax.random.key(42), 3)
    mapped = tilewright.tile_map(path)
    found, wanted = tilewright.compile(mapped, keys)(keys), jax.jit(mapped)(keys)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_loops_in_loops_are_looked_at_once():
    """Eight, each with ten carries: were each looked at for each of them, this would not end."""

    def nested(depth, carries):
        if not depth:
            return [*carries[1:], carries[0]]
        return lax.scan(lambda c, _: (nested(depth - 1, c), None), carries, length=2)[0]

    def divided(x):
        return x / nested(8, [hundred() + i for i in range(10)])[0]

    assert tilewright.compile(divided, DIVIDENDS)(DIVIDENDS).shape == DIVIDENDS.shape

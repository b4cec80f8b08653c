"""Sums that take the vertex that makes what they sum: which, in what order, and the bits."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.agree import agree
from tilewright.machine.host import host_machine

FEW = host_machine().tile.features.registers < 32
A, B = (np.random.default_rng(i).normal(size=700).astype(np.float32) for i in range(2))
WIDE = np.random.default_rng(2).normal(size=(9000, 40)).astype(np.float32)


def names(function, *arguments) -> list[str]:
    """The vertices of a program in one tile, in order."""
    text = tilewright.compile(function, *arguments, tiles=1).program
    return [line.split()[0] for line in text.splitlines() if "->" in line]


def both(a, b):
    """A result, and a sum over it and more."""
    product = (a - 1) * b
    return product, jnp.sum(product * a - b)


def test_one_vertex_stores_and_sums():
    assert names(both, A, B) == ["reduce_sum_float32_700_over_0_of_5_storing_1"]
    agree(both, A, B, relative=1e-5, absolute=1e-4)


@pytest.mark.skipif(FEW, reason="long expressions need the registers for themselves")
def test_long_expressions_are_taken_where_registers_are_many():
    def function(a, b):
        soft = jnp.tanh(a) / (b * b + 1)
        return soft, jnp.sum(soft)

    assert len(names(function, A, B)) == 1
    _, total = tilewright.compile(function, A, B)(A, B)
    expected = np.tanh(A.astype(np.float64)) / (B.astype(np.float64) ** 2 + 1)
    np.testing.assert_allclose(total, expected.sum(), rtol=1e-4)


def test_several_functions_stay_apart():
    """They are faster one after the other."""

    def function(a, b):
        soft = jnp.log1p(jnp.exp(a)) * jnp.tanh(b)
        return soft, jnp.sum(soft)

    assert len(names(function, A, B)) == 2
    soft, total = tilewright.compile(function, A, B)(A, B)
    expected = np.log1p(np.exp(A.astype(np.float64))) * np.tanh(B)
    np.testing.assert_allclose(soft, expected, rtol=1e-5)
    np.testing.assert_allclose(total, expected.sum(), rtol=1e-4)


def test_small_ones_stay_apart():
    assert len(names(both, A[:100], B[:100])) == 2


def test_what_is_computed_between_is_waited_for():
    """The sum reads what comes after the vertex that it would take."""

    def function(a, b):
        product = a * b
        return product, jnp.sum(product + jnp.flip(jnp.cumsum(product)))

    assert not any("storing" in name for name in names(function, A, B))
    agree(function, A, B, relative=1e-4, absolute=1e-3)


def test_one_of_two_sums_takes_it():
    def function(a, b):
        product = a * b
        return product, jnp.sum(product), jnp.max(product)

    assert sum("storing" in name for name in names(function, A, B)) == 1
    agree(function, A, B, relative=1e-5, absolute=1e-4)


def test_rows_are_summed_on_the_way_where_they_are_far():
    """Of 1.4 MB and more; what is near is read again."""

    def function(a, b):
        product = (a - 1) * b
        return product, product.sum(0)

    near = WIDE[:200]
    large = names(function, WIDE, WIDE)
    assert len(names(function, near, near)) == 2
    agree(function, near, near, relative=1e-5, absolute=1e-3)
    if WIDE.nbytes > host_machine().tile.memory:
        assert all("storing" in name or name.startswith("tree") for name in large)
    agree(function, WIDE, WIDE, relative=1e-5, absolute=1e-2, simulated=False)


@pytest.mark.parametrize("shape", [(700,), (300, 40), (9000, 33), (30, 20, 24)])
def test_fused_and_unfused_programs_have_the_same_bits(shape):
    """Alone, a sum and what it sums are two programs."""
    x, y = (np.random.default_rng(i).normal(size=shape).astype(np.float32) for i in range(2))
    axes = tuple(range(max(1, len(shape) - 1)))

    def made(x, y):
        return jnp.tanh(x) * y - 1

    def fused(x, y):
        return lax.map(lambda p: (made(*p), made(*p).sum(axes)), (x[None], y[None]))

    product, total = tilewright.compile(fused, x, y)(x, y)
    alone = tilewright.compile(made, x, y)(x, y)
    summed = tilewright.compile(lambda p: p.sum(axes), alone)(alone)
    assert np.asarray(product[0]).tobytes() == np.asarray(alone).tobytes()
    assert np.asarray(total[0]).tobytes() == np.asarray(summed).tobytes()


def test_a_carry_is_summed_before_it_is_written_over():
    def function(a, b):
        def step(_, carry):
            a, total = carry
            a = a * 0.5 + b
            return a, total + jnp.sum(a * b)

        return lax.fori_loop(0, 3, step, (a, jnp.float32(0)))

    agree(function, A, B, relative=1e-5, absolute=1e-3)

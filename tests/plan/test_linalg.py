"""Batches of matrices, in groups and singly, over tiles: always the same bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.agree import agree, on_tiles
from tests.machines import LARGE, SMALL, eager
from tilewright.plan.ir import Call, Spread
from tilewright.plan.lower import lower
from tilewright.simulate import simulate
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)


def numbers(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def positive(*shape):
    a = numbers(*shape)
    return a @ a.swapaxes(-1, -2) + np.eye(shape[-1], dtype=np.float32)


def everything(a, b):
    """A factor, solutions on both sides, and factors with pivots."""
    factor = lax.linalg.cholesky(a, symmetrize_input=False)
    upper = lax.linalg.triangular_solve(factor, b, left_side=True, lower=True, transpose_a=True)
    right = lax.linalg.triangular_solve(factor, jnp.swapaxes(b, -1, -2), lower=True)
    return factor, upper, right, lax.linalg.lu(a - 2 * b[..., :1])


@pytest.fixture
def everything_is_spread(monkeypatch):
    monkeypatch.setattr("tilewright.compiler.host_machine", eager)
    monkeypatch.setattr("tilewright.compilation.recall", lambda text, machine, make: make())


@pytest.mark.parametrize(
    ("n", "batch"), [(1, (1,)), (3, (17,)), (9, (2,)), (3, (3, 47)), (9, (3, 13)), (17, (16,))]
)
def test_four_ways(n, batch, everything_is_spread):
    """Whole groups, a smaller one, single matrices; JAX, NumPy, simulated, native, 1 to 5 tiles."""
    agree(everything, positive(*batch, n, n), numbers(*batch, n, 2), absolute=2e-3)


@pytest.mark.parametrize("n", [4, 18])
def test_a_matrix_has_the_same_bits_alone_and_among_others(n):
    a, b = positive(150, n, n), numbers(150, n, 3)
    whole = jax.tree.leaves(tilewright.compile(everything, a, b)(a, b))
    for count in (1, 20):
        program = tilewright.compile(everything, a[:count], b[:count])
        some = jax.tree.leaves(program(a[-count:], b[-count:]))
        for one, other in zip(some, whole, strict=True):
            np.testing.assert_array_equal(one, other[-count:])


def test_large_batches_are_dealt_out_in_groups_and_a_rest():
    a = positive(1000, 16, 16)
    program = on_tiles(2, lambda a: lax.linalg.cholesky(a, symmetrize_input=False), a)
    spreads = [s for s in program.compiled.program.steps if isinstance(s, Spread)]
    assert [(s.count, s.joins) for s in spreads] == [(62, False), (1, True)]


def test_small_batches_are_not():
    a = positive(20, 4, 4)
    program = tilewright.compile(lambda a: lax.linalg.cholesky(a, symmetrize_input=False), a)
    steps = program.compiled.program.steps
    assert [type(step) for step in steps] == [Call] * 3


def test_large_matrices_go_one_by_one():
    a = positive(3, 150, 150)
    agree(lambda a: lax.linalg.cholesky(a, symmetrize_input=False), a, absolute=1e-3)


def test_any_layout():
    """Matrices that lie transposed, apart, with the batch last, or in a slice."""

    def function(a, b):
        last = jnp.moveaxis(a, 0, -1).reshape(9, 9, 4, 5)
        moved = jnp.moveaxis(last * 2, (2, 3), (0, 1))
        return (
            lax.linalg.lu(jnp.swapaxes(a, 1, 2)),
            everything(a[::2, 1:, 1:], b[::2, 1:]),
            lax.linalg.cholesky(moved, symmetrize_input=False),
        )

    agree(function, positive(20, 9, 9), numbers(20, 9, 2), absolute=2e-3)


def test_in_loops_and_maps():
    a, b = positive(6, 5, 5), numbers(6, 5, 2)

    def step(carry, x):
        factor, upper, right, (factors, _, _) = everything(*x)
        return carry + upper @ right + factors, factor

    agree(lambda a, b: lax.scan(step, jnp.zeros((5, 5)), (a, b)), a, b, absolute=2e-3)
    agree(tilewright.tile_map(everything), a, b, absolute=2e-3)


def test_right_sides_are_solved_for_in_their_own_memory():
    """What is read again is kept; what is not is overwritten."""
    a, b = positive(40, 40), numbers(40, 3)

    def function(a, b):
        c = jnp.sin(b)
        x = lax.linalg.triangular_solve(a, c, left_side=True, lower=True)
        y = lax.linalg.triangular_solve(a, x, left_side=True, lower=False)
        return c, lax.linalg.triangular_solve(a, y * 2, left_side=True, lower=True)

    agree(function, a, b, exact=False, absolute=1e-3)


@pytest.mark.parametrize("n", [3, 20])
def test_two_very_different_machines(n):
    """Groups of other sizes, singly on one and dealt out on the other: the same bits."""
    a, b = positive(37, n, n), numbers(37, n, 2)
    results = []
    for machine in (SMALL, LARGE):
        program, constants = lower(trace(everything, a, b).graph, machine)
        results.append(simulate(program, [*constants, a, b], 3).outputs)
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_many_right_sides_are_dealt_out(everything_is_spread):
    a, b = positive(20, 20), numbers(20, 300)

    def function(a, b):
        return lax.linalg.triangular_solve(a, b, left_side=True, lower=False)

    steps = on_tiles(2, function, a, b).compiled.program.steps
    solves = [s for s in steps if isinstance(s, Spread) and "solve" in s.steps[0].codelet.name]
    assert [s.count for s in solves] == [3, 1]
    agree(function, a, b, absolute=1e-4)

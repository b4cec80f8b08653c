"""Transposes move to where they cost least, and only where nothing is computed twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.graph.same import assert_same, ops
from tilewright.graph.eliminate import eliminate
from tilewright.graph.ir import Graph
from tilewright.graph.products import simplify_products
from tilewright.graph.simplify import simplify
from tilewright.graph.transposes import raise_transposes
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
A, B = (RANDOM.normal(size=(5, 3)).astype(np.float32) for _ in range(2))
X, Y = (RANDOM.normal(size=n).astype(np.float32) for n in (5, 3))


def rewrite(graph: Graph) -> Graph:
    return eliminate(raise_transposes(eliminate(simplify_products(simplify(graph)))))


def rewritten(function, *arguments) -> list[str]:
    traced = trace(function, *arguments)
    return ops(assert_same(rewrite, traced.graph, [*traced.constants, *arguments]))


def test_outer_products_are_turned_for_nothing():
    assert "transpose" not in rewritten(lambda x, y: jnp.outer(x, y).T, X, Y)
    assert "transpose" not in rewritten(lambda x, y: jnp.sin(x[:, None] * y + 1).T, X, Y)


def test_also_inside_loops():
    def sums(x, y):
        return lax.fori_loop(0, 3, lambda _, c: c + jnp.outer(x, y).T, jnp.zeros((3, 5)))

    assert "transpose" not in rewritten(sums, X, Y)


def test_a_transpose_of_a_transpose():
    assert "transpose" not in rewritten(lambda a: (2 * a.T).T, A)


def test_indices():
    def indexed(x):
        i, j = (lax.broadcasted_iota(jnp.int32, (len(x), 3), d) for d in range(2))
        return jnp.where(i > j, x[:, None], 0.0).T

    assert "transpose" not in rewritten(indexed, X)
    assert "transpose" not in rewritten(indexed, np.resize(X, 500))


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_three_dimensions(order):
    """Where an order and its opposite differ."""

    def function(x, y):
        i, j = (lax.broadcasted_iota(jnp.float32, (5, 3, 4), d) for d in (0, 2))
        return jnp.transpose((x[:, None, None] + y[:, None]) * i - j, order)

    assert "transpose" not in rewritten(function, X, Y)


def test_one_operand_is_read_turned_instead_of_the_result():
    left = rewritten(lambda a, x: (jnp.tanh(a) * x[:, None]).T + 1, A, X)
    assert left.index("transpose") < left.index("tanh")


def test_two_operands_are_not():
    left = rewritten(lambda a, b: (a * b).T, A, B)
    assert left == ["mul", "transpose"]


def test_nothing_is_computed_twice():
    left = rewritten(lambda a: (jnp.tanh(a).T, jnp.tanh(a).sum()), A)
    assert left.count("tanh") == 1
    left = rewritten(lambda x, y: ((z := jnp.outer(x, y)).T, z), X, Y)
    assert left.count("mul") == 1


def test_gradient_of_a_row_times_a_matrix_is_one_vertex():
    """Summed over a scan: one product and one sum, read along lanes."""

    def summed(u, v):
        def add(total, row):
            (gradient,) = jax.vjp(lambda w: row[0] @ w, jnp.zeros((20, 30)))[1](row[1])
            return total + gradient, None

        return lax.scan(add, jnp.zeros((20, 30)), (u, v))[0]

    u, v = (RANDOM.normal(size=(7, n)).astype(np.float32) for n in (20, 30))
    program = tilewright.compile(summed, u, v)
    assert "mul_add_float32_20x30" in program.program
    np.testing.assert_allclose(program(u, v), u.T @ v, rtol=1e-5, atol=1e-5)


def test_products_are_turned_by_swapping_their_matrices():
    """Where a sum of them is turned, or what is made of one."""
    square = A @ B.T
    assert "transpose" not in rewritten(lambda a, b, c: (a @ b + c @ a @ b).T, A, B.T, square)
    assert "transpose" not in rewritten(lambda a, b: jnp.maximum(a @ b - 1.0, 0.0).T, A, B.T)


def test_a_product_that_others_read_is_not_made_twice():
    def both(a, b):
        product = a @ b
        return (product + 1.0).T, product

    assert rewritten(both, A, B.T).count("dot") == 1

"""The meaning of factorisations: what they multiply back to, bits that hang on a matrix alone."""

import numpy as np
import pytest

from tests.graph.same import assert_same_bits, ops
from tilewright.graph.ir import Builder, Graph, Node, Type, Value
from tilewright.graph.ops.linalg import cholesky, lu, triangular_solve
from tilewright.graph.simplify import simplify
from tilewright.graph.verify import GraphError, verify

RANDOM = np.random.default_rng(0)
DTYPES = [np.float32, np.float64]


def numbers(*shape, dtype=np.float32):
    return RANDOM.normal(size=shape).astype(dtype)


def positive(*shape, dtype=np.float32):
    a = numbers(*shape, dtype=dtype)
    return a @ a.swapaxes(-1, -2) + np.eye(shape[-1], dtype=dtype)


def close(ours, theirs, epsilons=64):
    eps = np.finfo(ours.dtype).eps
    size = np.max(np.abs(theirs), initial=1)
    np.testing.assert_allclose(ours, theirs, 0, epsilons * eps * size)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 2, 9, 40])
def test_they_multiply_back(n, dtype):
    a, b = positive(n, n, dtype=dtype), numbers(n, 3, dtype=dtype)
    factor = cholesky(a)
    close(factor @ factor.T, a)
    close(factor @ triangular_solve(factor, b, lower=True, unit=False), b, 256)
    close(factor.T @ triangular_solve(factor.T, b, lower=False, unit=False), b, 256)
    unit = np.tril(factor, -1) / (n + 1) + np.eye(n, dtype=dtype)
    close(unit @ triangular_solve(unit + np.triu(a), b, lower=True, unit=True), b, 256)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (7, 3), (3, 7), (4, 0)])
def test_lu_multiplies_back(shape, dtype):
    a = numbers(*shape, dtype=dtype)
    factors, pivots, order = lu(a)
    steps = min(shape)
    lower = np.tril(factors[:, :steps], -1) + np.eye(shape[0], steps, dtype=dtype)
    close(lower @ np.triu(factors[:steps]), a[order])
    assert (np.abs(lower) <= 1).all()
    assert (pivots >= np.arange(steps)).all()


def test_bits_do_not_hang_on_the_batch():
    a, b = positive(5, 12, 12), numbers(5, 12, 2)
    both = cholesky(a), triangular_solve(a, b, lower=True, unit=False), *lu(a)
    for i in range(5):
        alone = cholesky(a[i]), triangular_solve(a[i], b[i], lower=True, unit=False), *lu(a[i])
        for one, other in zip(both, alone, strict=True):
            assert_same_bits(np.ascontiguousarray(one[i]), other)
    nested = lu(a[:4].reshape(2, 2, 12, 12))
    assert [part.shape for part in nested] == [(2, 2, 12, 12), (2, 2, 12), (2, 2, 12)]


def test_columns_of_a_right_side_are_apart():
    a, b = positive(12, 12), numbers(12, 9)
    whole = triangular_solve(a, b, lower=True, unit=False)
    for j in range(9):
        alone = triangular_solve(a, b[:, j : j + 1], lower=True, unit=False)
        assert_same_bits(whole[:, j : j + 1].copy(), alone)


def test_one_that_fails_does_not_harm_the_others():
    a = np.stack([positive(4, 4), -positive(4, 4), np.full((4, 4), np.nan, np.float32)])
    factors = cholesky(a)
    np.testing.assert_array_equal(factors[0], cholesky(a[0]))
    for failed in factors[1:]:
        np.testing.assert_array_equal(np.isnan(failed), np.tril(np.ones((4, 4), bool)))


def test_pivots_are_the_first_of_the_largest_and_never_nan():
    a = np.array([[1, 2, 3], [-4, 5, 6], [4, np.nan, 9]], np.float32)
    _, pivots, order = lu(a)
    assert pivots.tolist() == [1, 1, 2]
    assert order.tolist() == [1, 0, 2]
    _, pivots, _ = lu(np.full((3, 3), np.nan, np.float32))
    assert pivots.tolist() == [0, 1, 2]


# Nodes.


def node(op, inputs, outputs, **params):
    values = tuple(Value(kind) for kind in inputs)
    made = tuple(Value(kind) for kind in outputs)
    return Graph(values, (Node(op, values, made, params),), made)


SQUARE, WIDE, INTS = Type("float32", (2, 3, 3)), Type("float32", (3, 4)), Type("int32", (3,))
WRONG = {
    "factors square matrices": node("cholesky", [WIDE], [WIDE]),
    "factors matrices": node("cholesky", [Type("float32", (3,))], [Type("float32", (3,))]),
    "factors float32 or float64": node("lu", [INTS], [INTS]),
    "has other operands": node("cholesky", [SQUARE, SQUARE], [SQUARE]),
    "a right side": node("triangular_solve", [SQUARE, WIDE], [WIDE], lower=True, unit=True),
    r"should give .*int32\[3\], int32\[3\]": node("lu", [WIDE], [WIDE, INTS, WIDE]),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_nodes_are_refused(message):
    with pytest.raises(GraphError, match=message):
        verify(WRONG[message])


def masked(op, n, dimensions=(0, 1)):
    """The lower triangle of a factor, as `jnp.tril` writes it; the mask compared by `op`."""
    builder = Builder([Type("float32", (2, n, n))])
    (x,) = builder.inputs
    sides = [builder.op("iota", dimension=d, shape=(n, n), dtype="int32") for d in dimensions]
    mask = builder.op(op, *sides)
    mask = builder.op("broadcast", mask, shape=(2, n, n), dimensions=(1, 2))
    zero = builder.op("broadcast", builder.constant(np.float32(0)), shape=(2, n, n), dimensions=())
    factor = builder.op("cholesky", x)
    return builder.graph([builder.op("select", mask, zero, factor)])


@pytest.mark.parametrize("n", [3, 9])
def test_a_factor_is_masked_only_where_it_matters(n):
    assert "select" not in ops(simplify(masked("ge", n)))
    assert "select" in ops(simplify(masked("gt", n)))
    assert "select" in ops(simplify(masked("ge", n, dimensions=(1, 0)))), "the upper triangle"

"""Reductions, orders and contractions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.trace.comparing import agree, operations
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(3, 4, 5)).astype(np.float32)
AWKWARD = np.array([3, -0.0, np.nan, 0.0, -np.inf, 2, -1, np.inf, -np.nan, 2, 0.5], np.float32)


def test_reductions():
    agree(lambda x: (x.sum(), x.sum(1), x.mean((0, 2)), x.prod(0), x.var(1)), X, epsilons=8)
    agree(lambda x: (x.max(0), x.min((1, 2)), x.argmax(1), x.argmin(2), x.argmax()), X)
    agree(lambda x: ((x > 0).any(1), (x > 0).all(0), (x > 0).sum(), (x > 0).max(0)), X)
    agree(lambda n: (lax.reduce_xor(n, (0,)), lax.reduce_and(n, (1,)), n.sum(0)), X[0].astype(int))
    agree(lambda b: (jnp.argmax(b), jnp.argmin(b)), np.array([False, True, True]))


def test_reductions_over_a_named_axis():
    def by_name(x):
        return (lax.psum(x, "i"), lax.pmax(x, "i"), lax.axis_index("i"))

    agree(jax.vmap(by_name, axis_name="i"), X, epsilons=8)


def test_reductions_of_nan():
    agree(lambda x: (x.max(), x.min(), x.argmax(), x.argmin(), jnp.nanmax(x)), AWKWARD)


def test_empty_reductions():
    empty = jnp.zeros((0, 3))
    agree(lambda x: (x.sum(0), x.prod(0), (x > 0).all(), x.max(0, initial=-1.0)), empty)


@pytest.mark.parametrize("reverse", (False, True))
def test_cumulative(reverse):
    functions = (lax.cumsum, lax.cumprod, lax.cummax, lax.cummin, lax.cumlogsumexp)
    agree(
        lambda x: [f(x, axis=1, reverse=reverse) for f in functions], X, epsilons=32, absolute=1e-6
    )
    agree(lambda n: lax.cumsum(n, reverse=reverse), np.arange(-3, 9, dtype=np.int32))


@pytest.mark.parametrize("dtype", ("float32", "bfloat16", "float16", "int8", "uint16", "bool"))
def test_sorting(dtype):
    values = AWKWARD if "float" in dtype else np.nan_to_num(AWKWARD, posinf=7, neginf=0, nan=3)
    x = jnp.asarray(np.abs(values) if dtype == "uint16" else values, dtype)
    agree(lambda x: (jnp.sort(x), jnp.argsort(x), jnp.sort(x, descending=True)), x)


def test_zeros_of_both_signs_are_equal_to_a_sort():
    x = jnp.array([0.0, -0.0, 1.0, -0.0, 0.0, -1.0])
    agree(lambda x: (jnp.argsort(x), jnp.argsort(x, descending=True), jnp.sort(x)), x)


def test_sorting_several():
    a, b = jnp.array([2, 1, 2, 1, 1]), jnp.array([3.0, 2.0, 1.0, np.nan, -0.0])
    agree(lambda a, b: lax.sort((a, b, jnp.arange(5)), num_keys=2), a, b)
    agree(lambda a, b: lax.sort((b, a), num_keys=1), a, b)
    agree(lambda a, b: (jnp.lexsort((a, b)), jnp.unique(a, size=3)), a, b)
    agree(lambda x: (jnp.sort(x, axis=0), jnp.argsort(x, axis=1), jnp.median(x, axis=1)), X)
    agree(lambda x: jnp.quantile(x, jnp.array([0.1, 0.5]), axis=0), X, epsilons=4)


def test_largest():
    agree(lambda x: lax.top_k(x, 2), X)
    agree(lambda x: lax.top_k(x, 2, axis=0), X)
    agree(lambda x: lax.approx_max_k(x, 2), X)
    agree(lambda x: lax.top_k(x, 4), np.array([3, 1, 3, -np.inf, 2, np.inf], np.float32))
    agree(lambda n: lax.top_k(n, 3), np.array([1, 5, 5, -7, 2]))
    agree(lambda n: lax.top_k(n, 3), np.array([1, 5, 5, 0, 2], np.uint32))
    agree(lambda x: lax.top_k(x, 3), np.array([0.0, -0.0, 0.0, -0.0], np.float32))
    agree(lambda x: lax.top_k(x, 3), np.array([1.0, np.nan, 7.0, 2.0], np.float32))


FEW = [(dtype, 200, 9) for dtype in ("int32", "uint32", "int8", "bfloat16", "float64")]


@pytest.mark.parametrize(("dtype", "length", "count"), [*FEW, ("float32", 1003, 60)])
def test_the_first_few_of_a_long_line_are_found_without_sorting(dtype, length, count):
    """Equal ones, the least of all, NaNs and zeros of both signs are in their order."""
    with jax.enable_x64(dtype == "float64"):
        dtype = jnp.dtype(dtype)
        x = np.round(RANDOM.normal(size=(2, length)) * 9).astype(dtype)
        if jnp.issubdtype(dtype, jnp.integer):
            x[0], x[1, ::7] = jnp.iinfo(dtype).min, jnp.iinfo(dtype).max
        else:
            x[0, ::5], x[1, ::50], x[1, 1::2] = -np.inf, np.nan, -0.0
        program = agree(lambda x: lax.top_k(x, count), x)
        assert ("sort(" in program.graph) == (dtype.itemsize == 8)
        agree(lambda x: lax.top_k(x, count, axis=0), np.ascontiguousarray(x.T))


@pytest.mark.parametrize(("length", "count", "passes"), [(1000, 10, 1), (1003, 60, 3)])
def test_a_line_is_cut_into_groups_where_that_saves_time(length, count, passes):
    """For a few of 1,000 passes over all are as fast, and half of the text."""
    program = agree(lambda x: lax.top_k(x, count), RANDOM.normal(size=(2, length)).astype("f4"))
    assert program.graph.count(" = reduce(") == passes


def test_contractions():
    a, b = X, RANDOM.normal(size=(3, 5, 6)).astype(np.float32)
    agree(lambda a, b: (a @ b, a[0] @ b[0], a[0, 0] @ b[0, :, 0]), a, b, epsilons=8, absolute=1e-6)
    agree(lambda a, b: jnp.einsum("bij,bjk->kbi", a, b), a, b, epsilons=8, absolute=1e-6)
    agree(lambda a, b: jnp.tensordot(a, b, ((0, 2), (0, 1))), a, b, epsilons=16, absolute=1e-5)
    agree(lambda n: n @ n.T, np.arange(6, dtype=np.int32).reshape(2, 3))


def test_contractions_of_narrow_types():
    a = jnp.asarray(X[0], jnp.bfloat16)
    agree(lambda a: a @ a.T, a, epsilons=1)
    agree(lambda a: jnp.matmul(a, a.T, preferred_element_type=jnp.float32), a, epsilons=8)
    agree(
        lambda n: jnp.matmul(n, n.T, preferred_element_type=jnp.int32),
        np.full((2, 3), 100, np.int8),
    )


def test_the_default_precision_is_followed():
    with jax.default_matmul_precision("bfloat16"):
        graph = trace(lambda a: a @ a.T, X[0]).graph
    assert [v.dtype for node in graph.nodes if node.op == "dot" for v in node.inputs] == [
        "bfloat16",
        "bfloat16",
    ]
    assert "convert" not in operations(trace(lambda a: a @ a.T, X[0]).graph)

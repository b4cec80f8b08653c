"""Four ways of running give the same arrays, over a table of functions, sizes and dtypes."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from tests.agree import agree
from tests.machines import SMALL
from tests.random_programs import arguments, program
from tilewright.graph import rows

SIZES = [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 129]
FLOATS = [np.float32, np.float16, ml_dtypes.bfloat16]
INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32]


@pytest.fixture
def everything_is_spread(monkeypatch):
    """Small arrays are dealt out too, and few rows make several groups of strips."""
    monkeypatch.setattr("tilewright.compiler.host_machine", lambda: SMALL)
    monkeypatch.setattr(rows, "MIN_ROWS", 8)
    monkeypatch.setattr(rows, "MIN_WORK", 1)
    monkeypatch.setattr("tilewright.compilation.recall", lambda text, machine, make: make())


def numbers(*shape, dtype=np.float32, seed=0):
    values = 3 * np.random.default_rng([seed, *shape]).normal(size=shape)
    return np.asarray(values).astype(dtype)


@pytest.mark.parametrize("size", SIZES)
def test_arithmetic_at_every_size(size):
    x, y = numbers(size), numbers(size, seed=1)

    def fn(x, y):
        total = x + y
        return total * x - y, jnp.maximum(x, y), jnp.where(x > 0, x / (y * y + 1), -y), total

    agree(fn, x, y, relative=1e-6, absolute=1e-6)


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS + [np.bool_], ids=lambda d: np.dtype(d).name)
def test_every_dtype(dtype):
    x, y = numbers(5, 33, dtype=dtype), numbers(5, 33, dtype=dtype, seed=1)

    def fn(x, y):
        if dtype == np.bool_:
            return x & y, x | y, x ^ y, ~x, x.astype(jnp.int32) + y
        return x + y, x * y, jnp.minimum(x, y), jnp.abs(x), x > y, x.astype(jnp.float32)

    tolerance = 0.01 if dtype in FLOATS[1:] else 1e-6
    agree(fn, x, y, relative=tolerance, absolute=tolerance)


def test_float64():
    with jax.enable_x64(True):
        x = np.random.default_rng(0).normal(size=(9, 17))
        agree(lambda x: (x @ x.T, x.sum(0), x * x + 1), x, relative=1e-12, absolute=1e-12)


@pytest.mark.parametrize("shape", [(1,), (17,), (3, 33), (33, 3), (2, 65, 5), (1, 0, 4)])
def test_reductions(shape):
    x = numbers(*shape)

    def fn(x):
        axes = [None, *range(x.ndim)]
        return [(x.sum(a), jnp.prod(x * 0.1 + 1, a), (x > 0).any(a)) for a in axes]

    agree(fn, x, relative=1e-5, absolute=1e-5)


@pytest.mark.parametrize(
    "m, n, k", [(1, 1, 1), (7, 17, 33), (16, 16, 16), (33, 1, 65), (1, 40, 250)]
)
def test_contractions(m, n, k):
    a, b = numbers(m, k), numbers(k, n, seed=1)

    def fn(a, b):
        turned = jnp.einsum("km,nk->nm", a.T, b.T)
        return a @ b, turned, a.T.T @ b, jnp.einsum("mk,kn->", a, b), (a[:, None] @ b[None])[:, 0]

    agree(fn, a, b, relative=1e-4, absolute=1e-3)


def test_movement():
    x = numbers(5, 18)

    def fn(x):
        padded = jnp.pad(x, ((1, 2), (0, 3)), constant_values=2.0)
        return (
            x.T[::-1, 1::2],
            jnp.concatenate([x, -x[:2], padded[:, :18]]),
            lax.pad(x, 1.5, ((-1, 0, 2), (3, -2, 1))),
            jnp.roll(x, 3, 1).reshape(3, 30),
            jnp.broadcast_to(x[:, None, :1], (5, 4, 18)),
            jnp.tile(x[0], 3),
        )

    agree(fn, x)


def test_indexing():
    x, i = numbers(9, 17), np.array([3, -1, 40, 0, 8], np.int32)

    def fn(x, i):
        moved = lax.dynamic_update_slice(x, x[:2, :3] * 2, (i[0], i[2]))
        return (
            x[i],
            x.at[i].add(1.0),
            x.at[i, i].set(0.0, mode="drop"),
            moved,
            x,
            lax.dynamic_slice(x, (i[4], i[1]), (3, 4)),
            jnp.take(x, i, axis=1, mode="clip"),
            jax.ops.segment_sum(x[:5], i, 4),
        )

    agree(fn, x, i, relative=1e-6, absolute=1e-6)


def test_order():
    x = numbers(6, 33).round()

    def fn(x):
        return (
            jnp.sort(x, 0),
            jnp.argsort(x, 1),
            lax.top_k(x, 5),
            jnp.argmax(x, 1),
            jnp.argmin(x, 0),
            jnp.cumsum(x, 1),
            lax.cummax(x, 0, reverse=True),
            jnp.median(x),
        )

    agree(fn, x, relative=1e-6, absolute=1e-5)


CARRIES = {
    "swap": lambda x: lax.fori_loop(0, 5, lambda i, c: (c[1], c[0] + c[1]), (x, x + 1)),
    "rotate": lambda x: lax.fori_loop(0, 4, lambda i, c: (c[1], c[2], c[0]), (x, 2 * x, x - 1)),
    "same twice": lambda x: lax.fori_loop(0, 3, lambda i, c: (c[0] * 2, c[0] * 2), (x, x)),
    "passed through": lambda x: lax.fori_loop(0, 3, lambda i, c: (c[0] + c[1], c[1]), (x, x)),
    "old and new": lambda x: lax.scan(lambda c, y: (c + y, (c, c + y, y)), x[0], x),
    "backwards": lambda x: lax.scan(lambda c, y: (c * 0.5 + y, c), x[0], x, reverse=True),
    "no turns": lambda x: lax.scan(lambda c, y: (c + y, c), x[0], x[:0]),
    "read after": lambda x: lax.fori_loop(
        0, 5, lambda i, c: (c[0].at[i % 3].add(c[0][0, 0]), c[1] + c[0].sum(0)), (x, x[0])
    ),
    "updated in place": lambda x: lax.fori_loop(
        0, 7, lambda i, c: c.at[i % 4, i].set(c[i % 3, i] + 1).at[0].multiply(1.5), x
    ),
    "while": lambda x: lax.while_loop(
        lambda c: (c[0] < 9) & (c[1].max() < 50), lambda c: (c[0] + 1, c[1] * 2 - 1), (0, x)
    ),
    "branch": lambda x: lax.fori_loop(
        0,
        6,
        lambda i, c: lax.switch(
            i % 3,
            [
                lambda a, b: (b, a),
                lambda a, b: (a.at[1].set(b[0]), b),
                lambda a, b: (a, a + b),
            ],
            *c,
        ),
        (x, -x),
    ),
    "nested": lambda x: lax.fori_loop(
        0, 3, lambda i, c: lax.fori_loop(0, i + 1, lambda j, d: d + c[j], c), x
    ),
    "constant": lambda x: lax.scan(lambda c, _: (c, (jnp.ones(3), c)), x[0, 0], None, length=4),
}


@pytest.mark.parametrize("name", CARRIES)
def test_carries(name):
    agree(CARRIES[name], numbers(5, 17), relative=1e-5, absolute=1e-4)


@pytest.mark.parametrize("rows_", [40, 300, 700])
@pytest.mark.usefixtures("everything_is_spread")
def test_strips_and_spread_work(rows_):
    x, y = numbers(rows_, 6), numbers(rows_, seed=2)
    params = numbers(6, 9), numbers(9, seed=1)

    def loss(params, x, y):
        error = y - jnp.maximum(x @ params[0], 0) @ params[1]
        return jnp.sum(error * error)

    agree(jax.value_and_grad(loss), params, x, y, relative=1e-4, absolute=1e-2)
    agree(
        lambda p: lax.fori_loop(
            0,
            3,
            lambda i, p: jax.tree.map(lambda a, g: a - 1e-5 * g, p, jax.grad(loss)(p, x, y)),
            p,
        ),
        params,
        relative=1e-4,
        absolute=1e-4,
    )


@pytest.mark.usefixtures("everything_is_spread")
def test_maps_spread_products_and_transformations():
    x, w = numbers(7, 9, 8), numbers(8, 8, seed=1)
    agree(lambda x, w: lax.map(lambda r: (r @ w).sum(0), x), x, w, relative=1e-4, absolute=1e-4)
    agree(lambda x, w: ((x @ w) * 2).max(0), x, w, relative=1e-5, absolute=1e-5)
    agree(jax.vmap(lambda r: lax.fori_loop(0, 3, lambda i, c: c @ w * 0.1, r)), x, relative=1e-4,
          absolute=1e-4)  # fmt: skip


def test_transcendental_functions_and_random_bits():
    x = numbers(4, 33)

    def fn(x):
        key = jax.random.key(3)
        return (
            jax.random.bits(key, (37,)),
            jax.random.normal(key, (50,)),
            jnp.tanh(x) + jnp.exp(-x * x) + jnp.log1p(x * x) + jnp.sin(x),
            jax.scipy.special.logsumexp(x, 1),
            jax.nn.sigmoid(x) * jax.scipy.special.erf(x),
        )

    agree(fn, x, exact=False, relative=2e-5, absolute=2e-6)


OPERATIONS = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b * 0.25,
    "max": jnp.maximum,
    "select": lambda a, b: jnp.where(a > b, b, a),
    "matmul": lambda a, b: a @ b.T @ b * 0.01,
    "flip": lambda a, b: a[::-1] - b,
    "update": lambda a, b: a.at[1:3].set(b[:2]),
    "sum": lambda a, b: a + b.sum(0),
    "turn": lambda a, b: lax.fori_loop(0, 3, lambda i, c: c * 0.5 + b, a),
    "choose": lambda a, b: lax.cond(a[0, 0] > 0, lambda: a, lambda: a + b),
}


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 4), st.integers(0, 4)),
        min_size=2,
        max_size=9,
    )
)
def test_random_programs(recipe):
    def fn(x, y):
        values = [x, y, x * 0.5]
        for name, one, other in recipe:
            a, b = values[one % len(values)], values[other % len(values)]
            values.append(OPERATIONS[name](a, b))
        return values[-1], values[-2]

    agree(fn, numbers(5, 9), numbers(5, 9, seed=1), relative=1e-3, absolute=1e-3)


@pytest.mark.parametrize("seed", [*range(60), 219])
def test_random_control_flow(seed):
    agree(program(seed), *arguments(seed), relative=2e-3, absolute=2e-3)


@pytest.mark.parametrize("seed", range(60, 90))
@pytest.mark.usefixtures("everything_is_spread")
def test_random_control_flow_when_everything_is_spread(seed):
    agree(program(seed), *arguments(seed), relative=2e-3, absolute=2e-3)

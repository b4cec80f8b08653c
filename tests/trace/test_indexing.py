"""Indexing whose positions are data; out of bounds as JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.trace.comparing import agree, ways

X = jnp.arange(20.0).reshape(4, 5) + 1
WILD = jnp.array([0, 3, -1, 4, 100, -100])


@pytest.mark.parametrize("start", (-100, -1, 0, 2, 100))
def test_dynamic_slices(start):
    agree(lambda x, i: lax.dynamic_slice(x, (i, 1), (2, 3)), X, start)
    agree(lambda x, i: lax.dynamic_update_slice(x, x[:2, :2] * 10, (i, i)), X, start)
    agree(lambda x, i: (x[i], x[i, 1], x.at[i].set(0.0)), X, start)


@pytest.mark.parametrize("dtype", ("float32", "int32", "uint8", "bool", "bfloat16"))
@pytest.mark.parametrize("mode", ("clip", "fill"))
def test_gathers_out_of_bounds(mode, dtype):
    agree(lambda x, i: x.at[i].get(mode=mode), X.astype(dtype), WILD)


@pytest.mark.parametrize("dtype", ("float16", "int8", "uint8", "uint32", "bool"))
def test_what_a_gather_out_of_bounds_gives_where_nobody_says(dtype):
    """The least signed number, the greatest unsigned one, true, or NaN."""
    numbers = lax.GatherDimensionNumbers((1,), (0,), (0,))

    def gathered(x, i):
        return lax.gather(x, i, numbers, (1, 5), mode=lax.GatherScatterMode.FILL_OR_DROP)

    agree(gathered, X.astype(dtype), WILD[:, None])


def test_gathers():
    i, j = jnp.array([0, 2, 3]), jnp.array([4, 1, 0])
    agree(lambda x: (x[i], x[:, j], x[i, j], x[i[:, None], j], x[i, 1:3]), X)
    agree(lambda x: (jnp.take(x, i, axis=1), jnp.take_along_axis(x, i[:, None] % 4, 1)), X[:3])
    agree(lambda x: x.at[WILD].get(mode="fill", fill_value=-5.0), X)
    agree(lambda x: jnp.take(x, WILD, axis=0), X)
    agree(lambda x: x[WILD.astype(jnp.uint8)], X)


def test_batched_gathers():
    i = jnp.array([[0, 2], [3, 1], [1, 1], [2, 0]])
    agree(jax.vmap(lambda row, i: row[i]), X, i)
    agree(jax.vmap(lambda row, i: row.at[i].add(1.0)), X, i)
    agree(jax.vmap(lambda row, i: lax.dynamic_slice(row, (i,), (2,))), X, i[:, 0])
    agree(jax.vmap(lambda row, i: lax.dynamic_update_slice(row, row[:2], (i,))), X, i[:, 0])


@pytest.mark.parametrize("kind", ("set", "add", "multiply", "min", "max", "subtract"))
@pytest.mark.parametrize("mode", ("drop", "clip"))
def test_scatters(kind, mode):
    updates = jnp.arange(30.0).reshape(6, 5) - 3
    distinct = jnp.array([0, 3, -1, 4, 100, -100])[jnp.array([0, 1, 3, 4])]
    agree(lambda x, u: getattr(x.at[distinct], kind)(u[:4], mode=mode), X[:4], updates)
    agree(lambda x: getattr(x.at[1, jnp.array([0, 2])], kind)(9.0, mode=mode), X)
    if kind != "set":
        agree(lambda x, u: getattr(x.at[jnp.array([1, 1, 2])], kind)(u[:3]), X, updates)


def test_scatters_of_other_types():
    n = jnp.arange(5, dtype=jnp.int32)
    agree(lambda n: (n.at[jnp.array([1, 1])].add(2), n.at[7].set(1), n.at[-1].set(1)), n)
    agree(lambda b: (b.at[2].set(False), b.at[0].max(True)), jnp.ones(4, bool))


def test_masks_and_segments():
    x = jnp.arange(6.0)
    agree(lambda x: jnp.where(x > 2)[0].shape[0] if False else x[jnp.argsort(-x)], x)
    agree(lambda x: jax.ops.segment_sum(x, jnp.array([0, 0, 1, 1, 3, 9]), 4), x)
    agree(lambda x: jax.ops.segment_max(x, jnp.array([0, 0, 1, 1, 3, 9]), 4), x)
    agree(lambda x: jnp.bincount(x.astype(int), length=8), x)
    agree(lambda x: jnp.searchsorted(x, jnp.array([0.5, 3.0, 99.0])), x)
    agree(lambda x: jnp.interp(jnp.array([0.5, 3.2]), x, x * x), x)


def test_gradients_of_indexing():
    i = jnp.array([0, 2, 2])
    agree(jax.grad(lambda x: jnp.sum(x[i] ** 2)), X)
    agree(jax.grad(lambda x: jnp.sum(x.at[i].add(x[i]) ** 2)), X)
    agree(jax.grad(lambda x: lax.dynamic_slice(x, (1, 1), (2, 2)).sum()), X)


@pytest.mark.parametrize("kind", ("min", "max"))
@pytest.mark.parametrize("dtype", ("float32", "bfloat16", "int32"))
def test_extremes_at_places_order_zeros_and_pass_nan_on(dtype, kind):
    """One element an update, of which some places have several."""
    values = [1.0, 0.0, -0.0, 2.0, -3.0]
    if dtype != "int32":
        values += [np.nan, np.inf, -np.inf, 1e-40, -1e-40]
    values = np.array(values).astype(jnp.dtype(dtype))
    old, new = np.repeat(values, len(values)), np.tile(values, len(values))
    places = np.arange(len(old)) // 2 * 2
    for where in (np.arange(len(old)), places):
        (found,), (meant,) = reversed(
            ways(lambda x, i, y: getattr(x.at[i], kind)(y), old, where, new)
        )
        assert found.tobytes() == meant.tobytes()
        agree(lambda x, i, y: getattr(x.at[i], kind)(y), old, where, new)

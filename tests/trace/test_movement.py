"""Movement of elements, keys among them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.trace.comparing import agree, operations, trace

X = jnp.arange(24.0).reshape(2, 3, 4)


def test_shapes():
    agree(lambda x: (x.reshape(6, 4), x[None], x.T, x.swapaxes(0, 1), jnp.ravel(x)), X)
    agree(lambda x: (lax.reshape(x, (4, 6), dimensions=(2, 0, 1)), jnp.squeeze(x[:1], 0)), X)


def test_broadcasts():
    agree(lambda x: (jnp.broadcast_to(x[:, :1], (5, 2, 3, 4)), jnp.tile(x, (2, 1, 3))), X)
    agree(lambda x: (lax.broadcast_in_dim(x[0, 0], (4, 7), (0,)), jnp.repeat(x, 2, axis=1)), X)


def test_slices():
    agree(lambda x: (x[1], x[:, 1:3], x[..., ::2], x[:, ::-1], x[:, -1], x[..., 3:1]), X)
    agree(lambda x: (jnp.split(x, [1, 3], axis=2), jnp.unstack(x, axis=1)), X)


def test_joins():
    agree(lambda x: (jnp.concatenate([x, x + 1], 1), jnp.stack([x, x], 3), jnp.hstack([x, x])), X)


@pytest.mark.parametrize("row", [(1, 2, 0), (0, 0, 3), (-1, -1, 0), (-1, 2, 1), (0, 0, 0)])
def test_padding(row):
    agree(lambda x: lax.pad(x, 7.0, [row, (0, 0, 0), row]), X)
    agree(lambda x: jnp.pad(x, 1, mode="wrap"), X)


def test_iota_and_shifts():
    agree(lambda x: (jnp.arange(5) + x[0, 0, :1].astype(int), jnp.roll(x, 1, axis=2)), X)
    agree(lambda: (jnp.linspace(0, 1, 5), jnp.eye(3), jnp.tri(3), jnp.zeros((0, 2))))


def test_empty_arrays():
    empty = jnp.zeros((0, 3))
    agree(lambda x: (x + 1, x.T, jnp.concatenate([x, x]), x.sum(0), x.reshape(3, 0)), empty)


def test_moving_nothing_adds_no_node():
    graph = trace(lambda x: x.reshape(2, 3, 4)[:, :, :].transpose(0, 1, 2), X).graph
    assert not graph.nodes


def test_keys_move_with_both_their_words():
    keys = jax.random.split(jax.random.key(3), (4, 3))
    agree(lambda k: (k[0], k[:, 1], k.T, k.reshape(2, 6), k[None], k[::2, ::-1]), keys)
    agree(lambda k: (jnp.concatenate([k, k]), jnp.stack([k[0], k[1]], 1)), keys)
    agree(lambda k: (jnp.broadcast_to(k[:1], (5, 3)), jnp.tile(k, (2, 1))), keys)
    agree(lambda k, i: (k[i], k[jnp.array([2, 0])], k[:, i]), keys, 1)
    agree(lambda k, i: (lax.dynamic_slice(k, (i, 0), (2, 2)), k.at[i].set(k[0])), keys, 1)
    agree(lambda k: jnp.where(np.array([[True], [False]] * 2), k, k[::-1]), keys)
    agree(lambda k: (k == k[::-1], k != k[:, :1]), keys)


def test_shapes_of_forms_in_a_trace():
    traced = trace(lambda k: (k, k.shape[0]), jax.random.split(jax.random.key(0), 3))
    assert traced.in_forms == {0: "threefry2x32"}
    assert traced.out_forms == {0: "threefry2x32"}
    assert traced.in_types[0].shape == (3, 2)
    assert operations(traced.graph) <= {"constant"}

"""Chains over rows become strips wherever the rows come from, and give what JAX gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.trace.comparing import agree, operations

ROWS = 600
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(ROWS, 4)).astype(np.float32)
W, V = RANDOM.normal(size=4).astype(np.float32), RANDOM.normal(size=(4, 8)).astype(np.float32)


def loss(x, v):
    return jnp.sum(jnp.tanh(x @ v))


CHAINS = {
    "data": lambda w, v: loss(X * w, v),
    "counted": lambda w, v: loss(jnp.arange(float(ROWS))[:, None] * w / ROWS, v),
    "random": lambda w, v: loss(jax.random.normal(jax.random.key(0), (ROWS, 4)) * w, v),
    "repeated": lambda w, v: loss(jnp.broadcast_to(w, (ROWS, 4)), v),
}


@pytest.mark.parametrize("name", CHAINS)
def test_rows_from_everywhere(name):
    graph = tilewright.compile(CHAINS[name], W, V).compiled.graph
    # Rows that are all made from one value have no data to cut into strips.
    assert ("strips" in operations(graph)) == (name != "repeated")
    agree(CHAINS[name], W, V, epsilons=64)

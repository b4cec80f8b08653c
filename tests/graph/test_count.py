"""Products count by what they read once packed: operands before they were widened."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tilewright.graph.count import graph_count, nodes_count, widened
from tilewright.trace import trace

BYTES = np.ones((64, 32), np.int8)


def product(x, w, dtype):
    return lax.dot(x.astype(dtype), w.astype(dtype), preferred_element_type=dtype)


@pytest.mark.parametrize("rows", ["int16", "int8", "uint8"])
def test_integers_meet_as_they_are(rows):
    graph = trace(lambda x, w: product(x, w, jnp.int32), np.ones((4, 64), rows), BYTES).graph
    count = nodes_count(graph.nodes, widened(graph))
    assert count.macs == {f"{rows} int8": 4 * 64 * 32}
    assert set(graph_count(graph).macs) == {"int32"}  # as it stands
    assert len(widened(graph)) == 2


def test_what_others_read_is_widened():
    def fn(x, w):
        wide = w.astype(jnp.int32)
        return lax.dot(x.astype(jnp.int32), wide), wide

    graph = trace(fn, np.ones((4, 64), np.int16), BYTES).graph
    assert [value.dtype for value in widened(graph).values()] == ["int16"]
    assert set(nodes_count(graph.nodes, widened(graph)).macs) == {"int32"}


def test_bfloat16_is_multiplied_as_float32():
    w = BYTES.astype(jnp.bfloat16)
    graph = trace(lambda x, w: product(x, w, jnp.float32), np.ones((4, 64), np.float32), w).graph
    assert set(nodes_count(graph.nodes, widened(graph)).macs) == {"float32"}

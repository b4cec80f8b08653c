"""What was narrowed to be kept: between which two nodes."""

import jax.numpy as jnp
import numpy as np
import pytest

from tilewright.graph.widened import widens_again
from tilewright.trace import trace

X = np.ones((3, 5), np.float32)


def kept(x):
    return x.astype(jnp.bfloat16).astype(jnp.float32) + x


def other(x):
    """To a dtype of its own."""
    return x.astype(jnp.bfloat16).astype(jnp.float16)


def widened_first(x):
    return x.astype(jnp.float16).astype(jnp.float32).astype(jnp.float16)


def given(x):
    return jnp.round(x * 2).astype(jnp.bfloat16) * x.astype(jnp.bfloat16)


@pytest.mark.parametrize(
    ("function", "count"), [(kept, 1), (widened_first, 1), (other, 0), (given, 0)]
)
def test_which(function, count):
    graph = trace(function, X).graph
    producers = graph.producers()
    assert sum(widens_again(node, producers) for node in graph.nodes) == count

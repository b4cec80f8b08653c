"""Data that a function closes over are inputs: read once, never part of the code."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.trace.comparing import agree, trace
from tilewright.graph.text import to_text

DATA = np.arange(24, dtype=np.float32)


@pytest.mark.parametrize("shape", [(1,), (3,), (4, 5)])
def test_other_data_are_the_same_program(shape):
    texts = set()
    for number in (0.0, 1.0, np.nan):
        data = np.full(shape, number, np.float32)
        traced = trace(lambda x, data=data: jnp.sum(x * data), 2.0)
        assert [array.shape for array in traced.constants] == [shape]
        texts.add(to_text(traced.graph, sources=False))
    assert len(texts) == 1


def test_the_same_memory_is_read_once():
    def function(x):
        return x + DATA[:4] + jnp.where(x > 0, DATA[:4], 0)

    assert len(trace(function, DATA[:4]).constants) == 1
    agree(function, DATA[:4])


VIEWS = {
    "another stride": (DATA[:12], DATA[::2]),
    "another shape": (DATA, DATA.reshape(1, 24)),
    "backwards": (DATA, DATA[::-1]),
    "another place": (DATA[:12], DATA[12:]),
    "turned": (DATA.reshape(4, 6)[:, :4], DATA.reshape(4, 6)[:, :4].T),
    "another dtype": (DATA, DATA.view(np.uint32)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_of_one_memory_are_told_apart(name):
    one, other = VIEWS[name]

    def function(x):
        return jnp.sin(x + one), x - other

    assert len(trace(function, 1.0).constants) == 2
    agree(function, 1.0, epsilons=2)

"""Data that a function closes over are read once, and views of one memory are told apart."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.trace.comparing import agree, trace

DATA = np.arange(24, dtype=np.float32)


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

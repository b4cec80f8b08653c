"""What units become, where layout decides it."""

import jax.numpy as jnp
import numpy as np

import tilewright
from tests.agree import agree

RANDOM = np.random.default_rng(0)


def test_a_large_reduction_along_a_strided_axis_reads_a_copy_in_lanes():
    a = RANDOM.normal(size=(300, 300)).astype(np.float32)
    agree(lambda a: jnp.max(a.T, axis=1), a)
    agree(lambda a: jnp.sum(a.T, axis=1), a, relative=1e-5, absolute=1e-3)
    program = tilewright.compile(lambda a: jnp.sum(a.T, axis=1), a).program
    assert "transpose_float32_300x300" in program


def test_other_reductions_read_what_there_is():
    a, small = np.ones((300, 300), np.float32), np.ones((30, 30), np.float32)
    assert "transpose" not in tilewright.compile(lambda a: jnp.sum(a.T, axis=0), a).program
    assert "transpose" not in tilewright.compile(lambda a: jnp.sum(a.T, axis=1), small).program
    assert "copy" not in tilewright.compile(lambda a: jnp.sum(a[:, ::2], axis=1), a).program

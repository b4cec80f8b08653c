"""Reductions, where layout decides what they become."""

import jax.numpy as jnp
import numpy as np

import tilewright
from tests.agree import agree

RANDOM = np.random.default_rng(0)


def test_reductions_run_along_what_is_contiguous():
    """Nothing is copied, whatever the spelling, and the bits are the same."""
    a = RANDOM.normal(size=(300, 40)).astype(np.float32)
    down, across = (tilewright.compile(f, a) for f in (lambda a: a.sum(0), lambda a: a.T.sum(1)))
    np.testing.assert_array_equal(down(a), across(a))
    for program in (down.program, across.program):
        assert "copy" not in program
        assert "transpose" not in program
    for function in (lambda a: jnp.max(a.T, axis=1), lambda a: jnp.sum(a.T, axis=0)):
        agree(function, a, relative=1e-5, absolute=1e-3)
    b = RANDOM.normal(size=(6, 70, 5)).astype(np.float32)
    every = [(0, 1), (0, 2), (1, 2), (1,), (0, 1, 2)]
    turned = [(2, 1, 0), (1, 0, 2)]
    agree(
        lambda b: [b.transpose(order).sum(axes) for order in turned for axes in every],
        b,
        relative=1e-5,
        absolute=1e-3,
    )

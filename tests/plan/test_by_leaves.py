"""Sums over rows, dealt out in runs of leaves: which, and the law's own bits however many tiles."""

import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.agree import agree
from tilewright.graph import law

RANDOM = np.random.default_rng(0)


def images(n, size, channels):
    return RANDOM.normal(size=(n, size, size, channels)).astype(np.float32)


def vertices(function, *arguments) -> list[str]:
    text = tilewright.compile(function, *arguments, tiles=2).program
    return [line.split()[0] for line in text.splitlines() if "->" in line]


def centred(x, mean):
    """What is summed, its sum, and the sum of squares."""
    y = x - mean
    return y, jnp.sum(y, (0, 1, 2)), jnp.sum(jnp.square(y), (0, 1, 2))


@pytest.mark.parametrize("n, size, channels", [(8, 56, 40), (3, 61, 24), (2, 33, 1300)])
def test_bits_are_those_of_the_law(n, size, channels):
    x = images(n, size, channels)
    mean = x[0, 0, 0]
    y, total, squares = tilewright.compile(centred, x, mean, tiles=2)(x, mean)
    np.testing.assert_array_equal(y, x - mean)
    np.testing.assert_array_equal(total, law.reduce_ordered("sum", x - mean, (0, 1, 2)))
    expected = law.reduce_ordered("sum", np.square(x - mean), (0, 1, 2))
    np.testing.assert_array_equal(squares, expected)
    alone = tilewright.compile(centred, x, mean, tiles=1)(x, mean)
    for one, two in zip(alone, (y, total, squares), strict=True):
        np.testing.assert_array_equal(one, two)


def test_runs_are_dealt_out_and_store_what_is_summed():
    x = images(8, 56, 40)
    first, *rest = vertices(centred, x, x[0, 0, 0])
    assert first.endswith("x40_over_0_of_2_storing_1_2_totals_from_afar")
    assert sum(name.startswith("tree") for name in rest) == 1


def test_what_repeats_by_image_is_one_vertex():
    """A gate for each image and channel: its rows are not evenly apart."""

    def gated(x, gate):
        return jnp.sum(x * gate[:, None, None], (0, 1, 2))

    x = images(8, 56, 24)
    assert "reduce_sum_float32_8x56x56x24_over_0_1_2_of_1" in vertices(gated, x, x[:, 0, 0])


def test_small_sums_stay_on_a_tile():
    x = images(1, 10, 8)
    assert not any("tree" in name for name in vertices(centred, x, x[0, 0, 0]))
    agree(centred, x, x[0, 0, 0], absolute=1e-3)


def test_sums_of_each_image_are_dealt_out_by_images():
    def pooled(x):
        return jnp.sum(jnp.abs(x), (1, 2))

    x = images(16, 40, 32)
    program = tilewright.compile(pooled, x, tiles=2)
    assert "spread" in program.program
    expected = law.reduce_ordered("sum", np.abs(x), (1, 2))
    np.testing.assert_array_equal(program(x), expected)

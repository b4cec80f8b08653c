"""What a padded convolution reads is written inside its border: no copies, and the same bits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.agree import agree
from tilewright.plan.borders import bordered_values, strides_of
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 6, 5, 4)).astype(np.float32)
W = RANDOM.normal(size=(3, 3, 4, 4)).astype(np.float32)


def convolve(x, w, pad: Any = "SAME", stride=1):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, w, (stride, stride), pad, dimension_numbers=numbers)


def squared(x):
    """Elementwise and exact."""
    return x * jnp.maximum(x, 0)


def chained(x, w):
    return convolve(squared(convolve(jnp.abs(x), w)), w, stride=2)


def twice(x, w):
    """Of two pads, each has a window of what is as wide as both."""
    y = jnp.abs(x)
    return convolve(y, w, ((1, 1), (1, 1))), convolve(y, w, ((2, 0), (1, 3)), 2), y * 2


def given(x, w):
    y = jnp.abs(x)
    return convolve(y, w), y


def turned(x, w):
    y = jnp.abs(x)
    return convolve(y, w) + y[:, ::-1]


def cropped(x, w):
    return convolve(jnp.abs(x), w, ((-1, 1), (0, 1)))


def gradient(x, w):
    return jax.grad(lambda x, w: jnp.sum(squared(chained(x, w))), (0, 1))(x, w)


def pooled(x, w):
    y = jnp.abs(x)
    highest = lax.reduce_window(y, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
    return convolve(highest * y, w)


COUNTS = {chained: 2, twice: 1, given: 0, turned: 0, cropped: 0, pooled: 1}
"""Values with a border."""


@pytest.mark.parametrize("function", [*COUNTS, gradient], ids=lambda f: f.__name__)
def test_bits(function):
    agree(function, X, W / 8, absolute=1e-3)


@pytest.mark.parametrize("function", COUNTS, ids=lambda f: f.__name__)
def test_which_values_have_one(function):
    assert len(bordered_values(trace(function, X, W).graph)) == COUNTS[function]


@pytest.mark.parametrize("function", [chained, twice, gradient], ids=lambda f: f.__name__)
def test_nothing_is_copied_but_weights_and_zeros(function):
    """A fill reads nothing."""
    program = tilewright.compile(function, X, W, tiles=1).program
    copies = [line for line in program.splitlines() if line.strip().startswith("copy_")]
    read = [line for line in copies if "(%" in line.split("->")[0]]
    assert copies
    assert all("(2," not in line.split("->")[0] for line in read)


@pytest.mark.parametrize("tiles", [1, 2, 3, 5])
def test_any_number_of_tiles(tiles):
    x = RANDOM.normal(size=(3, 40, 41, 32)).astype(np.float32)
    w = RANDOM.normal(size=(3, 3, 32, 32)).astype(np.float32)
    first = tilewright.compile(chained, x, w, tiles=1)(x, w)
    np.testing.assert_array_equal(tilewright.compile(chained, x, w, tiles=tiles)(x, w), first)


@pytest.mark.parametrize(
    "channels, pitch", [(32, 32), (64, 80), (96, 96), (128, 144), (240, 240), (1024, 1040), (3, 3)]
)
def test_pixels_are_no_power_of_two_of_lines_apart(channels, pitch):
    assert strides_of((1, 4, 5, channels), "float32") == (20 * pitch, 5 * pitch, pitch, 1)

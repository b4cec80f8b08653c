"""Kernels in panels: the same bits as by rows, both ways, for all tiles and levels."""

from functools import partial

import jax
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.agree import agree
from tests.machines import SMALL, eager
from tilewright.machine.host import host_machine
from tilewright.plan import kernels

RANDOM = np.random.default_rng(0)
WIDE = kernels.VECTORS * host_machine().tile.features.vector_bits // kernels.VECTOR_ITEM
"""Outputs of a panel."""
X, W, SHIFT = (
    RANDOM.normal(size=shape).astype(np.float32) / 8
    for shape in ((2, 7, 6, 32), (3, 3, 32, 2 * WIDE), (2 * WIDE,))
)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few pixels are many, and no program is known."""
    monkeypatch.setattr(kernels, "MANY_PIXELS", 1)
    monkeypatch.setattr("tilewright.compilation.recall", lambda text, machine, make: make())


def convolved(stride, x, w):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, w, (stride, stride), "SAME", dimension_numbers=numbers)


def forward(stride, x, w, shift):
    return jax.numpy.maximum(convolved(stride, x, w) + shift, 0)


def gradient(stride, x, w, shift):
    """For an image of as many channels as two panels."""
    wide, turned = jax.numpy.tile(x, 2 * WIDE // 32), jax.numpy.swapaxes(w, 2, 3)
    made, pull = jax.vjp(lambda image: convolved(stride, image, turned), wide)
    return pull(made * 0.25)[0] + shift


def both(function):
    """A program in panels, and one without."""
    program = tilewright.compile(function, X, W, SHIFT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "VECTORS", 1000)
        return program, tilewright.compile(function, X, W, SHIFT)


@pytest.mark.parametrize("stride", (1, 2))
@pytest.mark.parametrize("function", (forward, gradient))
@pytest.mark.parametrize("precision", ("float32", "bfloat16"))
def test_bits_are_those_of_rows(function, stride, precision):
    with jax.default_matmul_precision(precision):
        panels, rows = both(partial(function, stride))
    assert "_2_groups_" in panels.program
    assert "_2_groups_" not in rows.program
    np.testing.assert_array_equal(panels(X, W, SHIFT), rows(X, W, SHIFT))


@pytest.mark.parametrize("function", (forward, gradient))
def test_all_ways_agree(function, monkeypatch):
    monkeypatch.setattr("tilewright.compiler.host_machine", lambda: eager(SMALL))
    agree(partial(function, 1), X, W, SHIFT, absolute=1e-4)

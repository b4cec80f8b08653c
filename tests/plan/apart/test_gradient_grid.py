"""Gradients of kernels over tiles that share no memory: positions are summed in parts."""

from math import ceil

import jax
import jax.numpy as jnp
import pytest

from tests.plan.apart.test_conv_grid import convolution, drawn, planned
from tests.simulate.test_placed import agree
from tilewright.codelets.base import Operand
from tilewright.codelets.convolution import FilterGradient
from tilewright.graph.law import leaf_height
from tilewright.machine import machine
from tilewright.plan.apart.gradient_grid import Part, parts_of
from tilewright.plan.ir import Family, dense_strides
from tilewright.simulate.cycles import run
from tilewright.simulate.occupancy import too_much


def gradient(**options):
    def loss(x, w):
        return jnp.sum(convolution(**options)(x, w).mean((1, 2)) ** 2)

    return jax.grad(loss, 1)


def names(program):
    return {c.codelet.name for s in program.steps if isinstance(s, Family) for c in s.steps}


@pytest.mark.parametrize(
    ("shape", "kernel", "options", "tree"),
    [
        ((1, 70, 33, 1), (3, 3, 1, 1), {}, "tree_float32_10x1x1x1"),  # 7 rows a leaf, the last none
        ((3, 32, 32, 2), (3, 3, 1, 2), {"groups": 2}, "tree_float32_12x1x"),
        ((5, 9, 9, 2), (2, 3, 2, 2), {"stride": 2}, "tree_float32_"),  # of whole images
        ((1, 41, 30, 1), (3, 2, 1, 1), {"dilation": 2}, "tree_float32_"),
    ],
)
def test_parts_of_positions_give_what_the_graph_gives(shape, kernel, options, tree):
    program = agree(gradient(**options), drawn(shape, kernel), 16)
    assert any(name.startswith(tree) for name in names(program)), names(program)


def of(images, rows, columns, dtype="float32"):
    shapes = (images, rows, columns, 1, 1), (images, rows, columns, 1, 1), (1, 1, 1, 1, 1)
    image, made, kernel = (Operand(dtype, shape, dense_strides(shape)) for shape in shapes)
    return FilterGradient(image, made, kernel, (1, 1), (1, 1))


def test_parts_are_nodes_of_the_tree():
    """Every part begins at a multiple of its leaves, and all images have as many."""
    for images, rows, columns in [(1, 70, 33), (3, 32, 32), (4, 7, 7), (6, 112, 112), (2, 3, 1)]:
        height = leaf_height(columns)
        leaves = ceil(rows / height)
        for part in list(parts_of(of(images, rows, columns)))[1:]:
            own = ceil(part.rows / height) if part.images == 1 else part.images * leaves
            assert own & (own - 1) == 0 or part.rows == rows
            assert images == 1 or part.rows == rows or leaves % own == 0
            assert part.images == 1 or leaves & (leaves - 1) == 0


def test_one_position_is_no_part():
    """A sum of one term keeps the sign of a zero, which is no sum of several."""
    assert list(parts_of(of(4, 1, 1))) == [Part(4, 1)]
    assert Part(1, 256) not in parts_of(of(1, 257, 1))


def test_sums_that_are_rounded_are_not_cut():
    assert list(parts_of(of(4, 64, 64, "bfloat16"))) == [Part(4, 64)]


def test_few_taps_over_large_images_keep_tiles_busy():
    """Nine taps of eight channels over 4 x 112 x 112 positions: 72 sums, and work for all."""
    program = planned(gradient(groups=8), (4, 112, 112, 8), (3, 3, 1, 8))
    on = machine("ipu:gc200")
    assert too_much(program, on) == ""
    busiest = max(
        (row for row in run(program, on).supersteps if "conv_filter" in " ".join(row.names)),
        key=lambda row: row.compute,
    )
    assert busiest.compute < 20_000

"""Convolutions, images and sums over them on tiles that share no memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.simulate.test_placed import agree
from tilewright.dump import Dump
from tilewright.machine import machine
from tilewright.plan.ir import Family
from tilewright.simulate.cycles import run
from tilewright.stages import Stages
from tilewright.trace import trace

NHWC = ("NHWC", "HWIO", "NHWC")


def convolution(groups=1, stride=1, dilation=1):
    def convolved(x, w):
        found = jax.lax.conv_general_dilated(
            x, w, (stride, stride), "SAME", rhs_dilation=(dilation, dilation),
            dimension_numbers=NHWC, feature_group_count=groups,
        )  # fmt: skip
        return jax.nn.relu(found + 1.0)

    return convolved


def drawn(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("tiles", [3, 16])
@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((2, 7, 9, 5), (3, 3, 5, 6), {}),
        ((1, 8, 8, 8), (3, 3, 1, 8), {"groups": 8}),
        ((3, 6, 7, 32), (3, 3, 16, 32), {"groups": 2, "stride": 2}),
        ((1, 9, 9, 4), (2, 3, 4, 3), {"dilation": 2}),
    ],
)
def test_blocks_give_what_the_graph_gives(shape, kernel, options, tiles):
    agree(convolution(**options), drawn(shape, kernel), tiles, seed=2)


def test_gradients_too():
    def loss(x, w):
        return jnp.sum(convolution()(x, w).mean((1, 2)) ** 2)

    agree(jax.grad(loss, (0, 1)), drawn((2, 6, 6, 3), (3, 3, 3, 4)), 8)


@pytest.mark.parametrize("axes", [(1, 2), (0, 1), (0, 2), (0, 1, 2), (3,)])
def test_sums_over_several_axes(axes):
    (x,) = drawn((2, 30, 31, 5))
    agree(lambda x: jnp.sum(x * 2.0, axes), [x], 16)


def planned(fn, *shapes, on="ipu:gc200"):
    traced = trace(fn, *(jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes))
    return Stages(traced.graph, Dump("x"), machine=machine(on)).program


def test_all_tiles_have_a_share_of_one_image():
    program = planned(convolution(), (1, 56, 56, 64), (3, 3, 64, 64))
    found = run(program, machine("ipu:gc200"))
    busiest = max(found.supersteps, key=lambda row: row.compute)
    assert busiest.names[0].startswith("conv")
    assert busiest.busy > 0.85
    peak = machine("ipu:gc200").peak_flops("float32")
    assert 0.1 * peak < found.counts.flops / found.seconds < peak


def test_a_sum_over_an_image_is_no_work_of_one_tile():
    program = planned(lambda x: x.mean((1, 2)), (1, 56, 56, 144))
    tiles = {s.homes.blocks for s in program.steps if isinstance(s, Family)}
    assert max(tiles) > 100

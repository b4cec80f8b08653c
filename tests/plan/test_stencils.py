"""Stencils over tiles that share no memory: patches with what lies around them, in loops too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.plan.test_conv_grid import drawn
from tests.simulate.test_placed import agree
from tilewright.compiler import Stages
from tilewright.dump import Dump
from tilewright.machine import machine
from tilewright.simulate.cycles import run
from tilewright.simulate.occupancy import too_much
from tilewright.trace import trace


def blurred(x, w):
    """3 x 3 over (rows, columns, channels)."""
    around = jnp.pad(x, ((1, 1), (1, 1), (0, 0)))
    rows, columns, _ = x.shape
    parts = [around[i : i + rows, j : j + columns] * w[i, j] for i in range(3) for j in range(3)]
    return sum(parts[1:], parts[0])


def spread(u):
    """Seven points of a body's heat."""
    p, inside = jnp.pad(u, 1), slice(1, -1)
    around = p[2:, inside, inside] + p[:-2, inside, inside]
    around += p[inside, 2:, inside] + p[inside, :-2, inside]
    around += p[inside, inside, 2:] + p[inside, inside, :-2]
    return 0.1 * around + 0.4 * u


def times(fn, turns):
    def turned(x, *fixed):
        return jax.lax.fori_loop(0, turns, lambda _, x: fn(x, *fixed), x)

    return turned


@pytest.mark.parametrize("tiles", [5, 12])
@pytest.mark.parametrize("turns", [0, 3])
def test_a_square_of_nine(tiles, turns):
    fn = times(blurred, turns) if turns else blurred
    agree(fn, drawn((13, 10, 4), (3, 3)), tiles, seed=1)


@pytest.mark.parametrize("tiles", [6, 16])
@pytest.mark.parametrize("turns", [0, 3])
def test_seven_points(tiles, turns):
    fn = times(spread, turns) if turns else spread
    agree(fn, drawn((9, 8, 7)), tiles, seed=2)


def modelled(fn, shapes, on):
    traced = trace(fn, *(jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes))
    program = Stages(traced.graph, Dump("x"), machine=machine(on)).program
    assert too_much(program, machine(on)) == ""
    return run(program, machine(on))


def test_a_patch_comes_with_its_rim_alone():
    """360 cells a side on a GC200: no rows of the body around what a tile needs."""
    found = modelled(spread, [(360, 360, 360)], "ipu:gc200")
    stencil = next(row for row in found.supersteps if any("fused" in name for name in row.names))
    assert stencil.busy > 0.95

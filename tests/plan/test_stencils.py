"""Stencils over tiles that share no memory: patches with what lies around them, in loops too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fidelity.ipu import rows
from tests.plan.apart.test_conv_grid import drawn
from tests.simulate.test_placed import agree
from tilewright.dump import Dump
from tilewright.machine import machine
from tilewright.plan.ir import Exchange, Loop
from tilewright.simulate.cycles import run
from tilewright.simulate.occupancy import too_much
from tilewright.stages import Stages
from tilewright.trace import trace


def blurred(x, w):
    """3 x 3 over (rows, columns, channels)."""
    around = jnp.pad(x, ((1, 1), (1, 1), (0, 0)))
    rows, columns, _ = x.shape
    parts = [around[i : i + rows, j : j + columns] * w[i, j] for i in range(3) for j in range(3)]
    return sum(parts[1:], parts[0])


def convolved(x, w):
    kernel = jnp.broadcast_to(w[:, :, None, None], (3, 3, 1, x.shape[2]))
    return jax.lax.conv_general_dilated(
        x[None], kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[2],
    )[0]  # fmt: skip


def wave(before, now):
    def turned(states, _):
        before, now = states
        return (now, spread(now) - before), None

    return jax.lax.scan(turned, (before, now), None, length=3)[0]


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
    program = agree(fn, drawn((13, 10, 4), (3, 3)), tiles, seed=1)
    assert rims(program.steps)


@pytest.mark.parametrize("tiles", [6, 16])
@pytest.mark.parametrize("turns", [0, 3])
def test_seven_points(tiles, turns):
    fn = times(spread, turns) if turns else spread
    program = agree(fn, drawn((9, 8, 7)), tiles, seed=2)
    assert rims(program.steps)


@pytest.mark.parametrize(("shape", "tiles"), [((8, 11, 2), 16), ((14, 9, 5), 5)])
def test_rows_that_meet_are_brought_once(shape, tiles):
    """Two rows further on is the same row of another place, with every other element between."""
    agree(times(spread, 2), drawn(shape), tiles, seed=3)


@pytest.mark.parametrize(("shape", "tiles"), [((14, 3, 1), 12), ((11, 3, 2), 7)])
def test_narrow_images_of_nine(shape, tiles):
    agree(times(blurred, 2), (*drawn(shape), *drawn((3, 3))), tiles, seed=3)


@pytest.mark.parametrize("tiles", [5, 12])
def test_one_of_two_dimensions(tiles):
    def averaged(x):
        p = jnp.pad(x, 1)
        return (p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2]) * 0.25 + x * 0.5

    program = agree(times(averaged, 3), drawn((14, 11)), tiles, seed=5)
    assert rims(program.steps)


@pytest.mark.parametrize("tiles", [6, 16])
def test_a_convolution(tiles):
    """Its border is filled where the blocks at the edge are."""
    agree(times(convolved, 2), drawn((13, 10, 4), (3, 3)), tiles, seed=3)


@pytest.mark.parametrize("tiles", [6, 16])
def test_a_wave_has_two_states(tiles):
    agree(wave, drawn((9, 8, 7), (9, 8, 7)), tiles, seed=4)


def rims(steps):
    """Messages from blocks to the room around others."""
    found = 0
    for step in steps:
        if isinstance(step, Exchange):
            found += sum(move.source.buffer is move.target.buffer for move in step.moves)
        elif isinstance(step, Loop):
            found += rims(step.steps)
    return found


def modelled(fn, shapes, on):
    traced = trace(fn, *(jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes))
    program = Stages(traced.graph, Dump("x"), machine=machine(on)).program
    assert too_much(program, machine(on)) == ""
    return run(program, machine(on))


@pytest.fixture(scope="module")
def heat():
    return modelled(times(spread, 50), [(360, 360, 360)], "ipu:gc200")


def turn(found, turns):
    return [row for row in found.supersteps if row.times == turns]


def test_a_turn_exchanges_rims_alone(heat):
    """20 x 40 x 40 cells a tile: six faces, where all of a patch would be five times as much."""
    rim = 2 * (40 * 40 + 2 * 20 * 40) * 4
    rate = machine("ipu:gc200").chip.exchange.bytes_per_cycle_per_tile
    assert sum(row.exchange for row in turn(heat, 50)) <= rim / rate + 300


def test_a_plain_stencil_is_no_slower_than_one_by_hand(heat):
    """The 7-point stencil of `fidelity/`: a thousand turns in 0.26 s, as compiled."""
    by_hand = next(row for row in rows() if row.case.startswith("7-point stencil, 360"))
    a_turn = sum(row.cycles for row in turn(heat, 50)) / machine("ipu:gc200").chip.clock
    assert 1000 * a_turn < by_hand.modelled
    assert heat.busy > 0.9


def test_a_convolution_keeps_its_image_where_it_is():
    found = modelled(times(convolved, 20), [(1122, 2200, 4), (3, 3)], "ipu:gc2")
    passed = [row.exchange for row in turn(found, 20)]
    assert sum(passed) < 1500, "published of a block of 47 x 45: 1,173"


@pytest.mark.parametrize("seed", range(6))
def test_the_law_on_random_stencils_and_machines(seed):
    """Any points around each, weights of their own, a border that is wide enough; some turns."""
    random = np.random.default_rng(seed)
    shape = tuple(int(n) for n in random.integers(4, 12, int(random.integers(2, 4))))
    points = random.integers(-2, 3, (int(random.integers(2, 6)), len(shape)))

    def summed(x):
        p = jnp.pad(x, 2)
        found = x * 0.5
        for number, point in enumerate(points):
            window = tuple(slice(2 + d, 2 + d + n) for d, n in zip(point, shape, strict=True))
            found = found + p[window] * (0.1 + 0.05 * number)
        return found

    (x,) = drawn(shape)
    agree(times(summed, int(random.integers(1, 4))), [x], int(random.integers(1, 17)), seed=seed)

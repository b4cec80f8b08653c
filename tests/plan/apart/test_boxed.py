"""Which buffers have homes by boxes: patches of a stencil, of which only rims are passed on."""

from math import prod

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.codelets.layouts import same_bits
from tests.machines import tiny
from tests.plan.apart.test_place import inside, zeros
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.plan.apart import boxed, place
from tilewright.plan.apart.settle import Unit
from tilewright.plan.apart.tiling import Tiling
from tilewright.plan.apart.touches import Region
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import Buffer, Exchange, Family, Loop, View, new_var
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace


def heat(x):
    """Each element becomes the mean of its four neighbours, of zeros around."""

    def turn(_, x):
        wide = jnp.pad(x, 1)
        above, below, left, right = (
            wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:],
        )  # fmt: skip
        return ((above + below) + (left + right)) * 0.25

    return jax.lax.fori_loop(0, 4, turn, x)


def planned(monkeypatch, n, tiles):
    """The stages, and the tilings that were found, by the size of their buffer."""
    found: dict[int, Tiling] = {}

    def noted(settled, steps):
        chosen = boxed.tilings(settled, steps)
        found.update({buffer.size: tiling for buffer, tiling in chosen.items()})
        return chosen

    monkeypatch.setattr(place, "tilings", noted)
    stages = Stages(trace(heat, zeros(n, n)).graph, Dump("x"), machine=tiny(tiles, 1 << 20))
    return stages, stages.program, found


@pytest.mark.parametrize(("n", "tiles"), [(34, 4), (34, 16), (48, 9)])
def test_of_a_stencils_patches_only_rims_are_passed_on(monkeypatch, n, tiles):
    _, program, found = planned(monkeypatch, n, tiles)
    side = round(tiles**0.5)
    tiling = found[(n + 2) ** 2]
    assert tiling.counts == (side, side)
    assert tiling.rims == ((1, 1), (1, 1))
    assert tiling.leads == (1, 1), "the border lies with what it is around"
    (loop,) = inside(program.steps, Loop)
    moves = [m for step in loop.steps if isinstance(step, Exchange) for m in step.moves]
    home = prod(tiling.shape) * tiles
    rims = [m for m in moves if m.source.buffer.size == home]
    passed = sum(prod(m.source.shape) * prod(m.counts) for m in rims)
    block = -(-n // side)
    assert 0 < passed <= tiles * 4 * (block + 2), "no more than what lies around each"


@pytest.mark.parametrize(("n", "tiles"), [(34, 4), (16, 4), (23, 6)])
def test_patches_give_what_the_graph_gives(monkeypatch, n, tiles):
    stages, program, found = planned(monkeypatch, n, tiles)
    assert found
    x = np.random.default_rng(n).normal(size=(n, n)).astype(np.float32)
    literals = stages.lowered[1]
    result = simulate(program, [*literals, x], tiles)
    assert result.races == []
    same_bits(result.outputs[0].reshape(n, n), evaluate(stages.graph, [x])[0])


ROWS, COLUMNS, BLOCK = 12, 20, (6, 5)
BUFFER = Buffer("float32", ROWS * COLUMNS, "shared")
TILING = Tiling(
    (COLUMNS, 1), (ROWS, COLUMNS), (0, 0), BLOCK, (2, 4), 3, (4, 1), ((1, 1), (1, 1))
)  # fmt: skip


def patches(first=3, extra=0, written=True, moved=(0, 0)):
    """A family with a patch for each block, of rows and columns more on both sides."""
    rows, columns = new_var(), new_var()
    shape = tuple(size + 2 * extra for size in BLOCK)
    start = (moved[0] - extra) * COLUMNS + moved[1] - extra
    moves = ((rows, BLOCK[0] * COLUMNS), (columns, BLOCK[1]))
    view = View(BUFFER, shape, (COLUMNS, 1), start, moves)
    homes = Homes(first, (Axis(2, 1, 4), Axis(4, 1, 1)))
    unit = Unit(Family((rows, columns), (2, 4), homes, ()), {})
    region = Region(BUFFER, moves, 0, BUFFER.size)
    (region.written if written else region.read).append(view)
    unit.touched[BUFFER] = [region]
    return unit, region


def test_who_is_at_home_with_a_block():
    assert boxed.own_blocks(TILING, *patches()) == (0, 0)
    assert boxed.own_blocks(TILING, *patches(first=4)) is None, "on the tile beside it"
    assert boxed.own_blocks(TILING, *patches(written=False)) == (0, 0)


def test_what_leaves_the_buffer_or_lies_otherwise_is_no_box():
    unit, region = patches()
    assert boxed.is_boxed(TILING, unit, region)
    assert not boxed.is_boxed(TILING, *patches(moved=(1, 0))), "the last row is outside"
    askew = View(BUFFER, (3,), (COLUMNS + 1,))
    region.read.append(askew)
    assert not boxed.is_boxed(TILING, unit, region)


def test_the_least_box_around_all_that_is_touched():
    unit, region = patches(written=False)
    (rows, _), (columns, _) = region.moves
    more = View(BUFFER, (1, 2), (COLUMNS, 1), 3, region.moves)
    region.read.append(more)
    found = boxed.all_of(TILING, unit, region)
    assert found is not None
    assert [(s.start, s.length, s.var, s.count) for s in found] == [
        (0, 6, rows, 2),
        (0, 5, columns, 4),
    ]

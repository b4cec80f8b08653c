"""Exchanges on a mesh: who sends what over which links, and the laws that their times keep."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import tilewright
from tests.codelets.layouts import same_bits
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.machine import machine
from tilewright.machine.machine import Machine
from tilewright.plan.homes import Axis, Homes
from tilewright.plan.ir import Buffer, Loop, Move, View, new_var
from tilewright.plan.verify import faults
from tilewright.simulate import simulate
from tilewright.simulate.cycles import run
from tilewright.simulate.mesh import _Loads, mesh_cycles, mesh_flows
from tilewright.stages import Stages
from tilewright.trace import trace

N150 = machine("tt:n150")


def small(columns: int, rows: int, memory: int = 1 << 20) -> Machine:
    """A card of few tiles that wait for nothing: all work is dealt out."""
    exchange = N150.chip.exchange
    assert exchange.mesh is not None
    mesh = replace(exchange.mesh, columns=columns, rows=rows)
    exchange = replace(exchange, mesh=mesh, overhead_cycles=0)
    memories = (replace(N150.tile.memories[0], size=memory), N150.tile.memories[1])
    tile = replace(N150.tile, memories=memories)
    chip = replace(N150.chip, tiles=columns * rows, tile=tile, exchange=exchange, sync_cycles=0)
    return replace(N150, chip=chip)


def message(on: Machine, source: int, target: int, size: int = 58, copies=()) -> Move:
    ends = [
        Buffer("int8", size, "home", homes=Homes(source)),
        Buffer("int8", size, "home", homes=Homes(target, (), copies)),
    ]
    one, other = (View(b, (size,), (1,)) for b in ends)
    return Move(one, other)


def test_a_message_alone_goes_at_the_published_rate():
    flow = mesh_flows([message(N150, 0, 13)], N150)
    assert mesh_cycles(flow, N150) == pytest.approx(58 / 29)
    assert (flow.sent[0], flow.received[13], flow.passed) == (58, 58, 58)


def test_messages_that_share_a_link_wait_for_each_other():
    """From tiles 0, 1 and 2 of a row to tile 3, 11 and 19 of one column: all over 2 - 3."""
    on = small(8, 9)
    flow = mesh_flows([message(on, n, 3 + 8 * n) for n in range(3)], on)
    assert flow.busiest_link == 3 * 58
    assert mesh_cycles(flow, on) == pytest.approx(3 * 58 / 29)


def test_the_shorter_way_goes_round_the_edge():
    on = small(8, 1)
    there, back = (mesh_flows([message(on, *pair)], on) for pair in ((0, 7), (7, 0)))
    assert there.busiest_link == back.busiest_link == 58
    both = mesh_flows([message(on, 0, 7), message(on, 1, 7)], on)
    assert both.busiest_link == 2 * 58, "both over the edge"


def test_what_all_get_passes_each_link_once():
    on = small(4, 4)
    flow = mesh_flows([message(on, 5, 0, copies=((16, 1),))], on)
    assert flow.told is not None
    assert flow.sent[5] == 58
    assert flow.told.sum() == 15 * 58
    assert flow.busiest_link == 58
    assert mesh_cycles(flow, on) == pytest.approx(58 / 19)


def test_the_card_is_read_once_for_all():
    var, homes = new_var(), Homes(0, (Axis(8),), ((9, 8),))
    card, near = Buffer("int8", 8 * 220, "input"), Buffer("int8", 8 * 220, "home", homes=homes)
    source, target = (View(b, (220,), (1,), 0, ((var, 220),)) for b in (card, near))
    flow = mesh_flows([Move(source, target, (var,), (8,))], N150)
    assert flow.card is not None
    assert flow.told is not None
    assert flow.card.sum() == flow.host == 8 * 220
    assert flow.told.sum() == 72 * 220
    assert mesh_cycles(flow, N150) == pytest.approx(220 / 22 + 220 / 19)


def step(x, w):
    return jax.lax.fori_loop(0, 2, lambda _, y: jnp.tanh(y @ w) - y.mean(0), x)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (4, 4)])
def test_the_graphs_bits_on_small_cards(shape):
    on, rng = small(*shape), np.random.default_rng(0)
    args = [rng.normal(size=s).astype(np.float32) for s in ((40, 24), (24, 24))]
    stages = Stages(trace(step, *args).graph, Dump("x"), machine=on)
    program, literals = stages.lowered
    assert faults(program, on.tile.memory) == []
    found = simulate(program, [*literals, *args], on.tiles)
    (expected,) = evaluate(stages.graph, args)
    same_bits(found.outputs[0].reshape(expected.shape), expected)


def test_matrices_too_large_for_the_tiles_come_from_the_card_in_turns():
    """Bits of bfloat16 products that stay narrow are those of the host, which widens them."""
    on, rng = small(3, 2, 24 << 10), np.random.default_rng(1)
    args = [rng.normal(size=s).astype(ml_dtypes.bfloat16) for s in ((32, 512), (512, 32))]
    traced = trace(lambda a, b: a @ b, *args)
    stages = Stages(traced.graph, Dump("x"), machine=on)
    program, literals = stages.lowered
    assert faults(program, on.tile.memory) == []
    assert any(isinstance(step, Loop) for step in program.steps)
    found = simulate(program, [*literals, *args], on.tiles)
    native = np.asarray(tilewright.compile(lambda a, b: a @ b, *args)(*args))
    same_bits(found.outputs[0].reshape(native.shape), native)


def test_no_faster_with_a_worse_figure_at_a_fixed_plan():
    on, shapes = N150, [jax.ShapeDtypeStruct(s, np.float32) for s in ((512, 256), (256, 256))]
    program = Stages(trace(step, *shapes).graph, Dump("x"), machine=on).program
    now, exchange = run(program, on).cycles, on.chip.exchange
    assert exchange.mesh is not None
    for name in ("gather", "spread", "card"):
        mesh = replace(exchange.mesh, **{name: 1.0})
        worse = replace(on.chip, exchange=replace(exchange, mesh=mesh))
        assert run(program, replace(on, chip=worse)).cycles > now


def test_what_several_families_get_is_sent_once():
    """Two messages of one block, each to a tile of its own, are one that two listen to."""
    source = Buffer("int8", 58, "home", homes=Homes(0))
    targets = [Buffer("int8", 58, "home", homes=Homes(tile)) for tile in (1, 2)]
    one = View(source, (58,), (1,))
    moves = [Move(one, View(target, (58,), (1,))) for target in targets]
    flow = mesh_flows(moves, N150)
    assert flow.sent[0] == 58
    assert flow.passed == 2 * 58
    assert flow.busiest_link == 58
    again = mesh_flows([message(N150, 0, 1), message(N150, 0, 2)], N150)
    assert again.sent[0] == 2 * 58, "of two blocks, which may differ"


def test_what_all_of_a_rectangle_get_passes_each_link_once():
    """Row 1, column 1 of one chip tells rows 0 to 2 of columns 2 and 3."""
    loads = _Loads(machine("tt:n150"))
    wide = loads.mesh.columns
    every = np.array([[row * wide + column for row in range(3) for column in (2, 3)]])
    loads.told(np.array([wide + 1]), every, np.array([40.0]))
    right, down = np.zeros_like(loads.right), np.zeros_like(loads.down)
    right[0, 0, 1, 1:3] = 40
    down[0, 0, :2, 2:4] = 40
    np.testing.assert_array_equal(loads.right, right)
    np.testing.assert_array_equal(loads.down, down)

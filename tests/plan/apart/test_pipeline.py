"""Parts of a function on chips of their own: the graph's bits, turns, what is passed on, faults."""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.codelets.layouts import same_bits
from tests.machines import tiny
from tilewright import elsewhere
from tilewright.dump import Dump
from tilewright.errors import ArgumentError
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Graph
from tilewright.plan.apart.pipeline import Part, recut
from tilewright.plan.ir import Exchange, Pipeline
from tilewright.plan.text import program_to_text
from tilewright.plan.verify import faults
from tilewright.simulate import simulate
from tilewright.simulate.cycles import run
from tilewright.simulate.occupancy import occupancy
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
MEMORY = 1 << 20


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def chips(count, tiles=4):
    return replace(tiny(tiles, MEMORY), chips_per_replica=count)


def net(x, weights, bias):
    """Layers; what the first one gives is asked for at the end, too; and what no layer changes."""
    first = h = jnp.tanh(x @ weights[0])
    for w in weights[1:]:
        h = jnp.tanh(h @ w + bias)
    return h.sum(0), (first * h).sum(), bias * 2


def many(x, weights, bias):
    return tilewright.tile_map(net, in_axes=(0, None, None))(x, weights, bias)


def scans(x, w):
    """Two in a row, as layers of an LSTM are."""

    def turn(h, x):
        h = jnp.tanh(x @ w + h)
        return h, h

    zero = jnp.zeros(w.shape[1], w.dtype)
    return jax.lax.scan(turn, zero, jax.lax.scan(turn, zero, x)[1])[0]


CASES = {
    "layers": (many, (normal(6, 5, 8), [normal(8, 8) for _ in range(4)], normal(8))),
    "scans": (
        lambda x, w: tilewright.tile_map(scans, in_axes=(0, None))(x, w),
        (normal(4, 7, 6), normal(6, 6)),
    ),
    "no map": (net, (normal(5, 8), [normal(8, 8) for _ in range(4)], normal(8))),
}


def stages(name, parts, on):
    fn, args = CASES[name]
    traced = trace(fn, *args)
    made = Stages(traced.graph, Dump("test"), machine=on, parts=parts)
    program, literals = made.ways["stages"].plan()
    inputs = [*traced.constants, *jax.tree.leaves(args)]
    return program, [*literals, *inputs], evaluate(made.traced, inputs)


@pytest.mark.parametrize(
    ("name", "parts"), [*(("layers", n) for n in (1, 2, 3, 4)), ("scans", 2), ("no map", 3)]
)
def test_parts_give_the_graphs_bits(name, parts):
    program, inputs, expected = stages(name, parts, chips(4))
    assert faults(program, MEMORY) == []
    result = simulate(program, inputs, program.tiles, seed=1)
    assert result.races == []
    for flat, array in zip(result.outputs, expected, strict=True):
        same_bits(flat.reshape(array.shape), array)


def line(program):
    (step,) = (step for step in program.steps if isinstance(step, Pipeline))
    return step


def test_a_turn_takes_as_long_as_its_dearest_part():
    program = stages("layers", 3, chips(4))[0]
    step = line(program)
    assert (step.count, step.turns, len(step.passed)) == (6, 8, 2)
    whole = run(program, chips(4))
    alone = [
        run(replace(program, steps=(*program.steps[:-1], *part)), chips(4)).cycles
        for part in step.parts
    ]
    turns = [max(alone[part] for part, _ in step.working(turn)) for turn in range(step.turns)]
    passed = run(replace(program, steps=(replace(step, parts=((),) * 3),)), chips(4)).cycles
    assert whole.cycles == pytest.approx(sum(turns) + passed)
    longer = replace(program, steps=(*program.steps[:-1], replace(step, count=16)))
    a_turn = (run(longer, chips(4)).cycles - whole.cycles) / 10
    assert a_turn == pytest.approx(max(alone) + passed / 8)


def test_parts_are_cut_anew_by_what_they_took(monkeypatch):
    """Layers of many widths: their arithmetic says little of what they take on a whole chip."""
    widths = (512, 2048, 2048, 256, 256, 1024, 2048, 512, 512, 128, 2048, 2048, 64)

    def net(x, weights):
        for w in weights:
            x = jnp.tanh(x @ w)
        return x

    def dearest():
        weights = [jax.ShapeDtypeStruct(s, np.float32) for s in pairwise(widths)]
        x = jax.ShapeDtypeStruct((8, 256, widths[0]), np.float32)
        fn = tilewright.tile_map(net, in_axes=(0, None))
        exe = tilewright.compile(fn, x, weights, machine="ipu:m2000", stages=4)
        return max(exe.simulate().run.parts)

    by_what_they_took = dearest()
    monkeypatch.setattr(elsewhere, "AGAIN", 0)
    assert by_what_they_took < 0.95 * dearest()


def test_costs_of_parts_are_shared_as_before():
    graph = Graph((), (), ())
    parts = [Part(graph, (), (), (1.0, 3.0)), Part(graph, (), (), (0.0, 0.0))]
    assert recut(parts, [8.0, 5.0]) == [2.0, 6.0, 2.5, 2.5]


def test_chips_hold_their_own_weights_only():
    held = occupancy(stages("layers", 4, chips(4))[0]).by_tile.reshape(4, 4)
    alone = occupancy(stages("layers", 1, chips(4))[0]).by_tile.reshape(4, 4)
    assert (held.max(1) > 0).all()
    assert held.max() < alone.max()
    assert (alone[1:] == 0).all()


def test_what_is_not_passed_on_is_found():
    program, inputs, _ = stages("layers", 2, chips(2))
    step = line(program)
    steps = (*program.steps[:-1], replace(step, passed=((),)))
    assert simulate(replace(program, steps=steps), inputs, program.tiles, seed=1).races != []


def test_parts_on_the_same_tiles_are_found():
    program = stages("layers", 2, chips(2))[0]
    step = line(program)
    steps = (*program.steps[:-1], replace(step, parts=(step.parts[0], step.parts[0])))
    found = faults(replace(program, steps=steps), MEMORY)
    assert "parts 0 and 1 of a pipeline are both on tile 0" in found


def test_what_all_instances_share_comes_once():
    program = stages("layers", 3, chips(4))[0]
    assert isinstance(program.steps[0], Exchange)
    inside = [step for part in line(program).parts for step in part if isinstance(step, Exchange)]
    hosts = [m.source for e in inside for m in e.moves if m.source.buffer.space == "input"]
    assert all(view.buffer.index == 0 for view in hosts), "the instances' own rows"


def test_text_names_parts():
    text = program_to_text(stages("layers", 2, chips(2))[0])
    assert "pipeline v" in text
    assert "part 1:" in text
    assert "    pass %" in text


SHAPED = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), CASES["layers"][1])


@pytest.mark.parametrize("parts", [5, 0, True, "two"])
def test_more_stages_than_chips(parts):
    with pytest.raises(ArgumentError, match="from 1 to the 4 chips of IPU M2000"):
        tilewright.compile(many, *SHAPED, machine="ipu:m2000", stages=parts)


def test_more_stages_than_operations():
    with pytest.raises(ArgumentError, match="at most the operations of one instance, 1, not 3"):
        tilewright.compile(jnp.tanh, SHAPED[0], machine="ipu:m2000", stages=3)


def test_stages_of_this_host():
    with pytest.raises(ArgumentError, match="stages are chips of a modelled machine"):
        tilewright.compile(many, *SHAPED, stages=2)


def test_a_pipeline_is_told():
    exe = tilewright.compile(many, *SHAPED, machine="ipu:m2000", stages=4)
    assert exe.simulate().cycles > 0
    assert "pipeline v" in exe.program
    assert "4 parts, a chip each, take" in str(exe.simulate())

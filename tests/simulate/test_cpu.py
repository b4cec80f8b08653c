"""Timing keeps the laws of machines: never below the roofline, never faster on a worse machine."""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.machines import STATED
from tilewright.codelets.base import Operand
from tilewright.codelets.contract import ContractOuter
from tilewright.dump import Dump
from tilewright.errors import ArgumentError
from tilewright.machine.cost import drawing
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Buffer, Call, Loop, Map, Program, Spread, Sync, View, While, new_var
from tilewright.simulate.cpu import at_clock, timing
from tilewright.simulate.vertex import _kept
from tilewright.stages import Stages
from tilewright.trace import trace

MANY = replace(STATED, chip=replace(STATED.chip, tiles=8), launch=0.0)
"""This kind of host with eight cores, whose programs begin at once."""


def planned(fn, *args, machine: Machine = MANY) -> Program:
    traced = trace(fn, *args)
    return Stages(traced.graph, Dump("x"), hidden=len(traced.constants), machine=machine).program


def zeros(*shape):
    return np.zeros(shape, np.float32)


def shaped(*shape):
    return jax.ShapeDtypeStruct(shape, np.float32)


def chain(x, w):
    return jax.lax.fori_loop(0, 10, lambda _, y: jnp.tanh(y @ w), x)


def strips(x, w):
    return jax.grad(lambda w: jnp.sum(jnp.tanh(x @ w) ** 2))(w)


def mapped(x, w):
    return jax.lax.map(lambda row: jnp.tanh(w @ row).sum(), x)


near = zeros(2500), zeros(2500)

PROGRAMS = {
    "product": (lambda x, w: x @ w, zeros(512, 256), zeros(256, 128)),
    "loop": (chain, zeros(200, 64), zeros(64, 64)),
    "strips": (strips, zeros(20_000, 22), zeros(22, 40)),
    "map": (mapped, zeros(100, 300), zeros(200, 300)),
    "stream": (lambda x, y: x * y, shaped(2_000_000), shaped(2_000_000)),
    "elementwise": (lambda x, y: jnp.tanh(x) * y, shaped(20_000_000), shaped(20_000_000)),
    "near": (lambda x, y: jax.lax.fori_loop(0, 99, lambda _, a: a * y + a, x), *near),
    "transpose": (lambda x, w: (x.T + 1) @ w, zeros(300, 500), zeros(300, 64)),
}


@pytest.fixture(scope="module")
def programs():
    return {name: planned(*row) for name, row in PROGRAMS.items()}


def worse(machine: Machine) -> dict[str, Machine]:
    """One figure made worse, each by its name."""
    chip, tile = machine.chip, machine.chip.tile
    found = {
        "barrier": replace(machine, chip=replace(chip, sync_cycles=10 * chip.sync_cycles)),
        "launch": replace(machine, launch=machine.launch + 1e-3),
    }
    tiles = {
        "units": replace(tile, units=tuple(replace(u, rate=u.rate / 2) for u in tile.units)),
        "simple": replace(tile, simple=2 * tile.simple),
        "functions": replace(
            tile, operations=tuple((n, d, 3 * cycles) for n, d, cycles in tile.operations)
        ),
        "call": replace(tile, call=10 * tile.call),
        "turn": replace(tile, turn=10 * tile.turn),
    }
    for number, memory in enumerate(tile.memories):
        for name, other in {
            "size": replace(memory, size=memory.size // 4),
            "rate": replace(memory, read=memory.read / 3, read_all=memory.read_all / 3),
            "jump": replace(memory, jump=memory.jump + 50),
        }.items():
            memories = (*tile.memories[:number], other, *tile.memories[number + 1 :])
            tiles[f"{memory.name} {name}"] = replace(tile, memories=memories)
    for name, other in tiles.items():
        found[name] = replace(machine, chip=replace(chip, tile=other))
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_faster_with_a_worse_figure_at_a_fixed_plan(programs, name):
    """And each figure matters to some program: see the next test."""
    program = programs[name]
    least = timing(program, MANY).cycles
    for what, machine in worse(MANY).items():
        assert timing(program, machine).cycles >= least * (1 - 1e-9), what


def test_every_figure_matters_somewhere(programs):
    base = {name: timing(program, MANY).cycles for name, program in programs.items()}
    for what, machine in worse(MANY).items():
        if what in ("L1 rate", "memory size", "L1 jump", "L2 jump", "memory jump"):
            continue  # arithmetic hides the first; nothing outgrows main memory, or jumps there
        slower = [n for n in base if timing(programs[n], machine).cycles > base[n] * 1.001]
        assert slower, what


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("tiles", [1, 2, 8])
def test_never_below_the_roofline(programs, name, tiles):
    """Multiply-adds at the peak of so many tiles; arguments and results once from memory, if no
    cache holds them."""
    found = timing(programs[name], MANY, tiles)
    macs = sum(found.counts.macs.values())
    assert found.cycles * tiles * MANY.tile.macs("float32") >= macs * (1 - 1e-9)
    assert 0 < found.busy <= 1 + 1e-9
    passed = sum(b.nbytes for b in (*programs[name].inputs, *programs[name].outputs))
    far = MANY.tile.memories[-1]
    beyond = max(0, passed - sum(m.size for m in MANY.tile.memories[:-1]) * tiles)
    assert found.cycles * far.read_all * MANY.chip.tiles >= beyond * (1 - 1e-9)


@pytest.mark.parametrize("name", ["product", "strips", "map", "elementwise"])
def test_more_tiles_are_no_slower_where_barriers_cost_nothing(programs, name):
    free = replace(MANY, chip=replace(MANY.chip, sync_cycles=0))
    times = [timing(programs[name], free, tiles).cycles for tiles in (1, 2, 4, 8)]
    shared = max(0.0, 1 - free.tile.memories[2].read_all / free.tile.memories[2].read)
    assert all(b <= a * (1.01 + shared) for a, b in pairwise(times)), times


def test_n_turns_are_n_bodies():
    """But for what the first turn finds elsewhere."""
    cycles = []
    for count in (1, 10, 100, 1000):
        x, out = Buffer("float32", 4096, "shared"), Buffer("float32", 4096, "shared")
        views = tuple(View(b, (64, 64), (64, 1)) for b in (x, x, out))
        operand = Operand("float32", (64, 64), (64, 1))
        call = Call(ContractOuter(operand, operand, operand), views)
        steps = (Loop(new_var(), count, (call,)),)
        program = Program((x, out), (), (), steps, {x: 0, out: 16384}, 32768, 0)
        cycles.append(timing(program, MANY, 1).cycles)
    assert cycles[1:] == pytest.approx([10 * cycles[0], 100 * cycles[0], 1000 * cycles[0]])


def loop_of(count, inside):
    """A map of `count` instances, each a loop of unknown length."""
    test, x = Buffer("bool", 1, "tile"), Buffer("float32", 64 * 64, "tile")
    view = View(x, (64, 64), (64, 1))
    operand = Operand("float32", (64, 64), (64, 1))
    call = Call(ContractOuter(operand, operand, operand), (view, view, view))
    body = (While((), View(test, (), ()), (call,)),)
    steps = (Map(new_var(), count, body), Sync()) if inside else body
    return Program((test, x), (), (), steps, {test: 0, x: 64}, 0, 1 << 15)


def test_a_map_ends_as_its_queue_deals():
    """Instances in order, each to the tile that is free first: 5 | 1 1 1 1 1, and 1 1 1 1 1 5."""
    program = loop_of(6, True)
    quiet = replace(MANY, chip=replace(MANY.chip, sync_cycles=0))
    one = timing(program, quiet, 1, {"while0": 1}).cycles / 6

    def rounds(turns, tiles):
        return timing(program, quiet, tiles, {"while0": turns}).cycles / one

    assert rounds([5, 1, 1, 1, 1, 1], 2) == pytest.approx(5)
    assert rounds([1, 1, 1, 1, 1, 5], 2) == pytest.approx(7, rel=0.01)
    assert rounds([1, 1, 1, 1, 1, 5], 1) == pytest.approx(10)
    assert rounds(2, 6) == pytest.approx(2)
    assert timing(program, quiet, 2, {"while0": [1, 1, 1, 1, 1, 5]}).busy == pytest.approx(5 / 7)


@pytest.mark.parametrize(
    ("trips", "words"),
    [
        ({}, r"How often while0 turns is not known before a run: give trips=.'while0'"),
        ({"while0": 1, "while1": 2}, r"trips names 'while1'; loops of unknown length are while0"),
        ({"while0": [1, 2]}, r"must be a number or 6 of them, one for each instance"),
        ({"while0": -1}, "must be finite and not negative"),
        ({"while0": np.nan}, "must be finite and not negative"),
        ({"while0": "often"}, "must be a number or numbers, not 'often'"),
        (7, "turns of loops by name, .*, not 7"),
    ],
)
def test_turns_that_are_missing_or_wrong(trips, words):
    with pytest.raises(ArgumentError, match=words):
        timing(loop_of(6, True), MANY, 2, trips)


def test_work_is_dealt_out_in_whole_pieces():
    """Nine equal pieces on eight tiles take two rounds; a neighbour's pieces fill the second."""
    x = Buffer("float32", 64 * 64, "shared")
    view, operand = View(x, (64, 64), (64, 1)), Operand("float32", (64, 64), (64, 1))
    call = Call(ContractOuter(operand, operand, operand), (view, view, view))
    free = replace(MANY, chip=replace(MANY.chip, sync_cycles=0))

    def cycles(*counts):
        spreads = tuple(Spread(new_var(), n, (call,), joins=i > 0) for i, n in enumerate(counts))
        program = Program((x,), (), (), (*spreads, Sync()), {x: 0}, 1 << 14, 0)
        return timing(program, free, 8).cycles

    assert cycles(9) == pytest.approx(2 * cycles(8), rel=0.01)
    assert cycles(9, 7) == pytest.approx(2 * cycles(8), rel=0.01)


def test_a_faster_clock_leaves_main_memory_as_it_is():
    apart = replace(STATED.tile.memories[-1], apart=True)
    tile = replace(STATED.tile, memories=(*STATED.tile.memories[:-1], apart))
    machine = replace(MANY, chip=replace(MANY.chip, tile=tile))
    far = at_clock(machine, 2 * machine.chip.clock)
    assert far.tile.memories[-1].read == machine.tile.memories[-1].read / 2
    assert far.tile.memories[0] == machine.tile.memories[0]
    assert far.chip.sync_cycles == 2 * machine.chip.sync_cycles


def test_results_in_one_line_are_handed_to_and_fro():
    """Instances 16 floats apart have lines of their own, neighbours do not."""
    operand = Operand("float32", (4, 4), (4, 1))
    x, out = Buffer("float32", 16, "shared"), Buffer("float32", 64 * 64, "output", 0)

    def cycles(step, tiles):
        var = new_var()
        view = View(x, (4, 4), (4, 1))
        target = View(out, (4, 4), (4, 1), moves=((var, step),))
        call = Call(ContractOuter(operand, operand, operand), (view, view, target))
        steps = (Spread(var, 16, (call,)), Sync())
        return timing(Program((x, out), (), (out,), steps, {x: 0}, 64, 0), MANY, tiles).cycles

    assert cycles(1, 2) > cycles(16, 2) + 8 * drawing(MANY) / 4 * 0.99
    assert cycles(1, 1) == pytest.approx(cycles(16, 1), rel=0.2)


def product_of(k, pitch, rows=240):
    """(rows, k) times (k, 64), whose rows lie `pitch` elements apart."""
    lhs, out = Operand("float32", (rows, k), (k, 1)), Operand("float32", (rows, 64), (64, 1))
    rhs = Operand("float32", (k, 64), (pitch, 1))
    buffers = [Buffer("float32", n, "shared") for n in (rows * k, k * pitch, rows * 64)]
    operands = (lhs, rhs, out)
    views = tuple(View(b, o.shape, o.strides) for b, o in zip(buffers, operands, strict=True))
    call = Call(ContractOuter(lhs, rhs, out), views)
    return Program(tuple(buffers), (), (), (call,), dict.fromkeys(buffers, 0), 1 << 24, 0)


def test_rows_a_power_of_two_apart_drive_each_other_out():
    """A panel of rows a KiB apart finds a quarter of L2's places; a little off, all of them.

    With units that cost nothing, as arithmetic hides what is asked for in advance.
    """
    units = tuple(replace(unit, rate=1e3) for unit in MANY.tile.units)
    fast = replace(MANY, chip=replace(MANY.chip, tile=replace(MANY.tile, units=units, turn=0)))
    even, odd = (timing(product_of(2048, pitch), fast, 1) for pitch in (256, 272))
    assert even.cycles > 1.2 * odd.cycles
    dense, wide = (timing(product_of(64, pitch), fast, 1) for pitch in (64, 80))
    assert dense.cycles == pytest.approx(wide.cycles, rel=0.05), "short panels stay near"


def test_lines_asked_for_too_early_come_twice():
    """Eight rows in advance are nine lines of a set that has eight, where rows are pages apart.

    Arithmetic costs nothing here, as it hides what comes in time; the last cache holds all.
    """
    units = tuple(replace(unit, rate=1e3) for unit in MANY.tile.units)
    fast = replace(MANY, chip=replace(MANY.chip, tile=replace(MANY.tile, units=units, turn=0)))

    def of(pitch, machine=fast):
        return timing(product_of(1024, pitch, 32), machine, 1)

    pages, rows = of(1024), 32
    assert pages.cycles > 1.3 * of(1040).cycles, "a line more, and nothing meets"
    assert pages.cycles > of(1536).cycles, "every other row is in another set"
    assert of(2048).cycles == pytest.approx(pages.cycles, rel=0.1), "two pages are as one"
    second = fast.tile.memories[1]
    slow = replace(second, read=second.read / 2, read_all=second.read / 2)
    memories = tuple(slow if m is second else m for m in fast.tile.memories)
    slower = replace(fast, chip=replace(fast.chip, tile=replace(fast.tile, memories=memories)))
    again = of(1024, slower).by["L2"] - pages.by["L2"]
    least = (rows / 16 - 1) * 1024 * 64 * 4 / second.read
    assert again > least, "each line once more, for all tiles of rows but one"


def test_small_vertices_in_a_loop_are_not_called():
    def cycles(size, call):
        operand = Operand("float32", (size, size), (size, 1))
        x = Buffer("float32", size * size, "shared")
        view = View(x, (size, size), (size, 1))
        vertex = Call(ContractOuter(operand, operand, operand), (view, view, view))
        program = Program((x,), (), (), (Loop(new_var(), 100, (vertex,)),), {x: 0}, 1 << 14, 0)
        machine = replace(MANY, chip=replace(MANY.chip, tile=replace(MANY.tile, call=call)))
        return timing(program, machine, 1).cycles

    assert cycles(2, 1000) == cycles(2, 0)
    assert cycles(32, 1000) == pytest.approx(cycles(32, 0) + 100 * 1000)


def test_what_a_cache_keeps():
    assert [_kept(100, since) for since in (0, 50, 100, 150, 200, 1e9)] == [1, 1, 1, 0.5, 0, 0]

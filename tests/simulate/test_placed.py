"""Machines whose tiles share no memory: the graph's bits, and every planted fault found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.codelets.layouts import same_bits
from tests.graph.cases import CASES
from tests.machines import tiny
from tests.simulate.programs import plus
from tests.simulate.test_agree import SPREAD
from tests.trace.comparing import words
from tilewright.dump import Dump
from tilewright.graph.by_law import by_law
from tilewright.graph.evaluate import evaluate
from tilewright.plan.apart.place import place
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Exchange,
    Loop,
    Program,
    Spread,
    Step,
    Sync,
    View,
    While,
    new_var,
)
from tilewright.plan.lower import lower
from tilewright.plan.memory import place_buffers
from tilewright.plan.verify import faults
from tilewright.simulate import simulate
from tilewright.simulate.placed import RemoteError
from tilewright.stages import Stages
from tilewright.trace import trace

ROOMY = 1 << 22
"""Bytes a tile, for cases that were not made to fit a small one."""


def planned(fn, args, tiles, memory, law=None):
    """The program, its inputs, what the graph gives, and what is wrong."""
    traced = trace(fn, *args)
    stages = Stages(by_law(traced.graph, law), Dump("test"), machine=tiny(tiles, memory))
    program, literals = lower(stages.graph, stages.machine)
    inputs = [*map(words, traced.constants), *map(words, jax.tree.leaves(args))]
    return program, [*literals, *inputs], evaluate(stages.graph, inputs), faults(program, memory)


def agree(fn, args, tiles, memory=ROOMY, seed=None) -> Program:
    program, inputs, expected, wrong = planned(fn, args, tiles, memory)
    assert wrong == []
    result = simulate(program, inputs, tiles, seed)
    assert result.races == []
    for flat, array in zip(result.outputs, expected, strict=True):
        same_bits(flat.reshape(array.shape), array)
    return program


@pytest.mark.parametrize("name", CASES)
def test_programs_give_what_graphs_give(name):
    fn, *args = CASES[name]
    agree(fn, args, 5, seed=1)


@pytest.mark.parametrize(
    ("name", "tiles"), [*((n, t) for n in SPREAD for t in (1, 8) if n != "nuts"), ("nuts", 3)]
)
def test_spread_programs_give_what_graphs_give(name, tiles):
    fn, *args = SPREAD[name]
    agree(fn, args, tiles, seed=tiles)


# Random programs over random tiny machines.

STEPS = [
    lambda x, w: x @ w,
    lambda x, w: jnp.maximum(x, 0.25) * 3 - x,
    lambda x, w: x[::-1],
    lambda x, w: x - x.sum(0),
    lambda x, w: (x.T @ x) @ w[: x.shape[1]] if x.shape[0] > 3 else x * 2,
    lambda x, w: jnp.concatenate([x, x[:3]]),
    lambda x, w: jax.lax.map(lambda r: r * r.sum(), x),
    lambda x, w: jax.lax.fori_loop(0, 3, lambda i, y: y * 0.5 + x, x),
    lambda x, w: jax.lax.scan(lambda c, r: (c + r, c * r), x[0], x)[1],
    lambda x, w: jnp.where(x.sum() > 0, x, -x),
    lambda x, w: jax.lax.cond(x[0, 0] > 0, lambda y: y + 1, lambda y: y[::-1], x),
    lambda x, w: jnp.roll(x, 1, 1) + w[0],
]


def random_program(seed):
    """A few steps in a row on a small matrix, and some tiles."""
    random = np.random.default_rng(seed)
    chosen = [STEPS[i] for i in random.integers(len(STEPS), size=random.integers(1, 5))]
    rows, columns = int(random.integers(2, 40)), int(random.integers(1, 20))
    x = random.normal(size=(rows, columns)).astype(np.float32)
    w = random.normal(size=(columns, columns)).astype(np.float32)

    def fn(x, w):
        for step in chosen:
            x = step(x, w)
        return x, x.sum()

    return fn, (x, w), int(random.integers(1, 17))


@pytest.mark.parametrize("seed", range(24))
def test_random_programs_on_random_machines(seed):
    fn, args, tiles = random_program(seed)
    agree(fn, args, tiles, 32 << 10, seed)


@pytest.mark.parametrize("law", ["host", "fine"])
@pytest.mark.parametrize("seed", range(24, 28))
def test_placed_programs_give_what_native_ones_give(seed, law):
    fn, args, tiles = random_program(seed)
    program, inputs, expected, wrong = planned(fn, args, tiles, 32 << 10, law)
    assert wrong == []
    result = simulate(program, inputs, tiles)
    for flat, array in zip(result.outputs, expected, strict=True):
        same_bits(flat.reshape(array.shape), array)
    native = jax.tree.leaves(tilewright.compile(fn, *args, law=law)(*args))
    for flat, array in zip(result.outputs, native, strict=True):
        same_bits(flat.reshape(array.shape), np.asarray(array))


# What was brought is good until its source is written again.


def dealt(*calls_of):
    """Four instances, each of what is said of its number."""
    var = new_var()
    return Spread(var, 4, tuple(of(var) for of in calls_of))


def written_between(how: str) -> tuple[list[Step], list[Buffer], list[Buffer]]:
    """All read all of x; it is written, in this way; all read all of it again."""
    given, x = Buffer("float32", 16, "input", 0), Buffer("float32", 16, "shared")
    results = [Buffer("float32", 4, "output", i) for i in range(2)]

    def share(buffer, var):
        return View(buffer, (4,), (1,), 0, ((var, 4),))

    def filled(source, add):
        return dealt(lambda var: plus([share(source, var)], share(x, var), add))

    def summed(target):
        every = View(x, (16,), (1,))
        return dealt(lambda var: plus([every], View(target, (1,), (1,), 0, ((var, 1),))))

    again = filled(x, 1.0)
    between: dict[str, Step] = {
        "here": again,
        "in a loop": Loop(new_var(), 3, (again,)),
        "in a loop in a loop": Loop(new_var(), 1, (Loop(new_var(), 3, (again,)),)),
        "in a loop that reads it first": Loop(new_var(), 3, (summed(results[0]), again)),
    }
    steps = [filled(given, 0.0), summed(results[0]), between[how], summed(results[1])]
    return steps, [given], results


@pytest.mark.parametrize("around", (False, True))
@pytest.mark.parametrize(
    ("how", "times", "before"),
    [
        ("here", 1, 0),
        ("in a loop", 3, 0),
        ("in a loop in a loop", 3, 0),
        ("in a loop that reads it first", 3, 2),
    ],
)
def test_what_was_brought_is_brought_again_once_its_source_was_written(how, times, before, around):
    steps, inputs, outputs = written_between(how)
    steps = [Loop(new_var(), 2, tuple(steps))] if around else steps
    placed = place(steps, inputs, outputs, tiny(4, 1 << 12))
    where = place_buffers(placed)
    buffers = (*inputs, *outputs, *where.offsets)
    program = Program(
        buffers, tuple(inputs), tuple(outputs), placed, where.offsets,
        where.shared_bytes, where.tile_bytes, 4,
    )  # fmt: skip
    result = simulate(program, [np.arange(16, dtype=np.float32)], 4)
    assert result.races == []
    np.testing.assert_array_equal(result.outputs[0], np.full(4, 120.0 + 16 * before))
    np.testing.assert_array_equal(result.outputs[1], np.full(4, 120.0 + 16 * times))


# Planted faults.


def without_one(steps: Sequence[Step], kind: type) -> Iterator[tuple[Step, ...]]:
    """The steps with one of a kind left out, for each that there is, at any depth."""
    for i, step in enumerate(steps):
        before, after = tuple(steps[:i]), tuple(steps[i + 1 :])
        if isinstance(step, kind):
            yield (*before, *after)
        for inner in _inside(step, kind):
            yield (*before, inner, *after)


def _inside(step: Step, kind: type) -> Iterator[Step]:
    match step:
        case Loop(_, _, body):
            yield from (replace(step, steps=less) for less in without_one(body, kind))
        case While(condition, _, body):
            yield from (replace(step, condition=less) for less in without_one(condition, kind))
            yield from (replace(step, steps=less) for less in without_one(body, kind))
        case Branch(_, cases):
            for i, case in enumerate(cases):
                for less in without_one(case, kind):
                    yield replace(step, cases=(*cases[:i], less, *cases[i + 1 :]))


PLANTED = ["products", "while", "branch"]


@pytest.mark.parametrize("name", PLANTED)
def test_every_sync_that_is_left_out_is_found(name):
    fn, *args = SPREAD[name]
    program, inputs, _, _ = planned(fn, args, 4, ROOMY)
    planted = [replace(program, steps=s) for s in without_one(program.steps, Sync)]
    assert planted
    for fault in planted:
        assert simulate(fault, inputs, 4).races


@pytest.mark.parametrize("name", PLANTED)
def test_every_exchange_that_is_left_out_is_found(name):
    """By bytes that nobody brought, or, where older ones are still there, by the result."""
    fn, *args = SPREAD[name]
    program, inputs, expected, _ = planned(fn, args, 4, ROOMY)
    planted = [replace(program, steps=s) for s in without_one(program.steps, Exchange)]
    assert len(planted) > 2
    for fault in planted:
        result = simulate(fault, inputs, 4)
        pairs = zip(result.outputs, expected, strict=True)
        other = any(not np.array_equal(a.reshape(b.shape), b) for a, b in pairs)
        assert result.races or other


def test_memory_that_two_live_buffers_share_is_found():
    fn, *args = SPREAD["products"]
    program, inputs, _, _ = planned(fn, args, 4, ROOMY)
    same = dict.fromkeys(program.offsets, 0)
    assert simulate(replace(program, offsets=same), inputs, 4).races
    assert any("overlap" in fault for fault in faults(replace(program, offsets=same), ROOMY))


def test_a_remote_read_is_an_error():
    from tests.plan.test_verify import ROWS, family, home, plus, program, row
    from tilewright.plan.ir import View, new_var

    v, x, y = new_var(), home(4), home(4)
    ahead = replace(row(x, v), offset=4)
    wrong = program(family(v, plus([ahead], row(y, v))))
    with pytest.raises((RemoteError, ValueError)):
        simulate(wrong, [], 8)
    still = program(family(v, plus([View(x, (4,), (1,))], row(y, v))))
    with pytest.raises(RemoteError, match="buffer"):
        simulate(still, [], 8)
    assert ROWS.blocks == 8

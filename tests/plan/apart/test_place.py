"""Programs for tiles that share no memory: what goes where, and how often it is passed on."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.machines import tiny
from tilewright.dump import Dump
from tilewright.plan.ir import Exchange, Family, Loop, Program, Sync
from tilewright.plan.text import program_to_text
from tilewright.stages import Stages
from tilewright.trace import trace


def planned(fn, *args, tiles=4) -> Program:
    traced = trace(fn, *args)
    return Stages(traced.graph, Dump("x"), machine=tiny(tiles, 1 << 20)).program


def zeros(*shape):
    return np.zeros(shape, np.float32)


def inside(steps, kind):
    """All steps of a kind, each with whether it is in a loop."""
    for step in steps:
        if isinstance(step, kind):
            yield step
        if isinstance(step, Loop):
            yield from inside(step.steps, kind)


def test_rows_stay_where_they_are():
    """Three elementwise vertices over one cut: brought from the host, and back; no more."""
    program = planned(lambda x: jnp.sqrt(jnp.transpose(x) + 1) * 2, zeros(64, 64))
    assert program.tiles == 4
    assert all(isinstance(s, Family | Exchange | Sync) for s in program.steps)


def test_what_a_loop_does_not_change_is_brought_before_it():
    def turns(x, w):
        return jax.lax.fori_loop(0, 10, lambda _, x: jnp.maximum(x @ w, 0.0), x)

    program = planned(turns, zeros(64, 32), zeros(32, 32))
    (loop,) = (step for step in program.steps if isinstance(step, Loop))

    def copied(steps):
        moves = [move for exchange in inside(steps, Exchange) for move in exchange.moves]
        return [m for m in moves if m.target.buffer.homes and m.target.buffer.homes.copies]

    assert [m.source.size for m in copied(program.steps)] == [32 * 32], "the weights, once"
    assert not copied(loop.steps)


def test_every_exchange_that_follows_vertices_has_a_sync():
    program = planned(lambda x, w: jnp.tanh(x @ w).sum(0), zeros(64, 32), zeros(32, 32))
    computed = False
    for step in program.steps:
        if isinstance(step, Exchange):
            assert not computed
        computed = isinstance(step, Family) or (computed and not isinstance(step, Sync))


def test_text_says_where_things_are():
    text = program_to_text(planned(lambda x: jnp.sqrt(x) * 2 + jnp.flip(x), zeros(64)))
    assert "home float32" in text
    assert "exchange %input0 (64) -> " in text
    assert "family" in text
    assert " over 0" in text


def test_tiles_that_share_memory_get_no_homes():
    traced = trace(lambda x, w: jnp.tanh(x @ w), zeros(64, 32), zeros(32, 32))
    program = Stages(traced.graph, Dump("x")).program
    assert program.tiles == 0
    assert not any(isinstance(step, Family | Exchange) for step in program.steps)


def test_a_sum_of_what_nobody_reads_stays_on_one_tile():
    """The gradient of a bias is a sum over rows of a number: there is no operand to cut."""
    program = planned(jax.grad(lambda b: (zeros(600) * 2 + b).sum()), np.float32(1))
    assert program.tiles == 4

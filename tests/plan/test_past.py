"""Rows that outgrow the last cache go past it, where a loop writes and does not read them."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.agree import agree
from tests.machines import STATED
from tilewright.dump import Dump
from tilewright.plan.past import FAR, stored_past
from tilewright.plan.summary import calls_of
from tilewright.stages import Stages
from tilewright.trace import trace

X = np.random.default_rng(0).normal(size=(16, 64)).astype(np.float32)


def with_last_cache(size: int):
    memories = list(STATED.tile.memories)
    memories[-2] = replace(memories[-2], size=size)
    tile = replace(STATED.tile, memories=tuple(memories))
    return replace(STATED, chip=replace(STATED.chip, tile=tile))


def stacked(x, length=40):
    """What each trip makes, read by a later product."""

    def step(x, _):
        x = jnp.tanh(x) * 1.5
        return x, x * x

    _, rows = lax.scan(step, x, length=length)
    return jnp.sum(rows, axis=0) @ x.T


def past(fn, *args, machine):
    program = Stages(trace(fn, *args).graph, Dump("test"), machine=machine).program
    return [call.codelet.past for call, _ in calls_of(program.steps)
            if getattr(call.codelet, "past", ())]  # fmt: skip


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_only_what_outgrows_the_last_cache(share):
    size = int(40 * X.nbytes / FAR / share)
    assert bool(past(stacked, X, machine=with_last_cache(size))) == (share > 1)


def test_rows_that_are_no_whole_lines_are_kept():
    assert not past(stacked, X[:, :60], machine=with_last_cache(1 << 10))


def test_what_a_trip_reads_is_kept():
    def fn(x):
        def step(carry, _):
            return jnp.tanh(carry), carry

        return jnp.sum(lax.scan(step, x, length=40)[1], axis=0)

    assert not past(fn, X, machine=with_last_cache(1 << 10))


def test_bits_stay(monkeypatch):
    monkeypatch.setattr("tilewright.plan.past.FAR", 0.0)
    for columns in (64, 16):
        agree(lambda x: jax.tree.map(jnp.sum, stacked(x)), X[:, :columns], exact=False,
              relative=1e-4, absolute=1e-3)  # fmt: skip


def test_programs_without_loops_are_as_they_were():
    assert stored_past((), STATED) == ()

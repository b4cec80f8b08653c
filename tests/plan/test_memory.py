"""The law of memory: buffers that are alive at the same time never overlap."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.dump import Dump
from tilewright.machine.host import host_machine
from tilewright.plan import memory
from tilewright.plan.ir import Buffer, Call, Loop, View, While, new_var
from tilewright.plan.lower import lower
from tilewright.stages import Stages
from tilewright.trace import trace

X = np.ones((300, 8), np.float32)


def overlaps(steps, offsets) -> list[tuple[Buffer, Buffer]]:
    """Pairs of buffers of one space that share bytes while both live."""
    lives = memory.lifetimes(steps)
    rows = [(b, lives[b], offsets[b], offsets[b] + b.nbytes) for b in offsets if b.nbytes]
    return [
        (one, other)
        for i, (one, life, low, high) in enumerate(rows)
        for other, its, start, stop in rows[:i]
        if one.space == other.space
        and low < stop
        and start < high
        and life.first <= its.last
        and its.first <= life.last
    ]


def sampler(key):
    import blackjax

    kernel = blackjax.nuts(lambda q: -jnp.sum(jnp.tanh(X @ q) ** 2) - q @ q, 0.1, jnp.ones(8))
    state = kernel.init(jnp.ones(8))  # pyright: ignore[reportCallIssue]
    return kernel.step(key, state)[0].position


FUNCTIONS = {
    "gradient": (jax.grad(lambda w: jnp.tanh(X @ w).sum()), X[0]),
    "map": (lambda x: jax.lax.map(lambda r: jnp.sort(jnp.cumsum(r)), x), X),
    "nuts": (sampler, jax.random.key(0)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_live_buffers_never_overlap(name):
    fn, *args = FUNCTIONS[name]
    program, _ = lower(Stages(trace(fn, *args).graph, Dump("test")).graph, host_machine())
    assert overlaps(program.steps, program.offsets) == []
    assert len(program.offsets) > 1 or name == "map"


def call(views: tuple[View, ...]) -> Call:
    """A vertex of which only the views matter here."""
    return Call(cast(Any, None), views)


def one(buffer: Buffer) -> View:
    return View(buffer, (buffer.size,), (1,))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()), max_size=14))
def test_random_programs(uses):
    buffers = [Buffer("float32", 16 * (i + 1), "shared") for i in range(7)]
    calls = [(call((one(buffers[a]), one(buffers[b]))), loop) for a, b, loop in uses]
    steps = tuple(Loop(new_var(), 3, (call,)) if loop else call for call, loop in calls)
    placed = memory.place_buffers(steps)
    assert overlaps(steps, placed.offsets) == []
    assert all(offset % 64 == 0 for offset in placed.offsets.values())
    assert all(placed.offsets[b] + b.nbytes <= placed.shared_bytes for b in placed.offsets)


def test_what_a_loop_fills_piece_by_piece_lives_through_all_of_it():
    """What a turn is done with before it writes its piece, the next turn writes over."""
    var, table = new_var(), Buffer("float32", 64, "shared")
    scratch, total = (Buffer("float32", 8, "shared") for _ in range(2))
    row = View(table, (8,), (1,), 0, ((var, 8),))
    body = (call((one(scratch), one(total))), call((one(total), row)))
    steps = (Loop(var, 8, body), call((one(table),)))
    offsets = memory.place_buffers(steps).offsets
    assert overlaps(steps, offsets) == []
    assert abs(offsets[table] - offsets[scratch]) >= 64


def test_the_test_of_a_while_loop_lives_through_its_body():
    """Another tile may look at it when tile 0 is in the body already."""
    test, scratch = Buffer("bool", 1, "shared"), Buffer("float32", 8, "shared")
    body = call((one(scratch),))
    steps = (While((call((one(test),)),), one(test), (body,)),)
    offsets = memory.place_buffers(steps).offsets
    assert offsets[test] != offsets[scratch]

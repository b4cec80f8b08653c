"""Carries have one place each, results are computed where wanted, heavy maps are dealt out."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.agree import agree
from tests.machines import LARGE, SMALL, STATED
from tilewright.dump import Dump
from tilewright.plan.ir import Branch, Loop, Map, While
from tilewright.plan.lower import lower
from tilewright.plan.scope import COPIES_AT_ONCE
from tilewright.plan.summary import calls_of
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace

X = np.arange(12, dtype=np.float32).reshape(3, 4)


def planned(fn, *args, machine=STATED):
    stages = Stages(trace(fn, *args).graph, Dump("test"), machine=machine)
    return lower(stages.graph, machine)[0]


def copies(program):
    """Vertices that only copy arrays like X, loops multiplied out."""
    calls = calls_of(program.steps)
    return sum(n for call, n in calls if re.match(r"copy_float32_(3x4|12)$", call.codelet.name))


def step_of(program, kind):
    (step,) = [step for step in program.steps if isinstance(step, kind)]
    return step


def test_a_carry_is_updated_in_its_place():
    """The argument is copied once, into the result; then nothing is."""
    program = planned(lambda x: lax.fori_loop(0, 50, lambda i, c: c * 0.5 + 1, x), X)
    assert copies(program) == 1
    loop = step_of(program, Loop)
    assert loop.count == 50
    assert {view.buffer.space for view in loop.steps[0].views} == {"output"}


def test_carries_that_change_places_are_copied_through_a_third():
    swap = planned(lambda x, y: lax.fori_loop(0, 4, lambda i, c: (c[1], c[0]), (x, y)), X, -X)
    assert copies(swap) >= 4, "a turn has to read both before it writes either"


def test_a_turn_reads_all_before_it_writes_any():
    square = np.arange(16, dtype=np.float32).reshape(4, 4)

    def turns(x, y):
        return lax.fori_loop(0, 3, lambda i, c: (c[1].T, c[0].T), (x, y))

    result = simulate(planned(turns, square, -square), [square, -square], 2)
    np.testing.assert_array_equal(result.outputs[0].reshape(4, 4), -square.T)
    np.testing.assert_array_equal(result.outputs[1].reshape(4, 4), square.T)


HANDED_ON = {
    "in a ring": (lambda c: (*c[1:], c[0]), [X + i for i in range(COPIES_AT_ONCE + 2)]),
    "by pairs": (lambda c: (*c[2:], *c[:2]), [X + i for i in range(2 * COPIES_AT_ONCE)]),
    "in other shapes": (lambda c: (c[1].reshape(3, 4), c[0].reshape(12)), [X, -X.reshape(12)]),
    "backwards": (lambda c: (c[0][::-1, ::-1],), [X]),
    "turned": (lambda c: (c[0].T,), [np.arange(81, dtype=np.float32).reshape(9, 9)]),
    "in part": (lambda c: (jnp.concatenate([c[1][1:], c[0][:1]]), c[0]), [X, -X]),
}


@pytest.mark.parametrize("name", HANDED_ON)
def test_what_a_turn_hands_on_is_read_before_it_is_overwritten(name):
    """Also natively, where a vertex writes while it reads."""
    turn, first = HANDED_ON[name]
    agree(lambda *first: lax.fori_loop(0, 3, lambda _, c: turn(c), tuple(first)), *first)


def test_an_update_of_a_carry_happens_in_place():
    def fn(x):
        return lax.fori_loop(0, 20, lambda i, c: c.at[i % 3, 0].set(c[i % 2, 1] + 1), x * 2)

    program = planned(fn, X)
    assert copies(program) <= 1, "to the result, once"
    assert any("update" in c.codelet.name or "scatter" in c.codelet.name
               for c, _ in calls_of(program.steps))  # fmt: skip


COMPUTED = {
    "by a row": lambda i, row, c: (c - row * 0.5).at[i % 3].set(row),
    "twice": lambda i, row, c: (c - row).at[i % 3].set(row).at[0, i % 4].add(1),
    "by a slice": lambda i, row, c: lax.dynamic_update_slice(c - row, row[None], (i % 2, 0)),
}


@pytest.mark.parametrize("name", COMPUTED)
def test_what_is_computed_and_then_updated_becomes_the_carry_in_its_place(name):
    def fn(x):
        return lax.fori_loop(0, 6, lambda i, c: COMPUTED[name](i, c[i % 3] * 0.75, c), x)

    assert copies(planned(fn, X)) == 1, "the argument, once"
    agree(fn, X)


READ_AFTER = {
    "of the turn before": lambda i, c: ((c * 0.5).at[i % 3].set(1), c[0] + (c * 0.5).sum()),
    "that is updated": lambda i, c: ((d := c * 0.5).at[i % 3].set(d[0].sum()), d[0]),
}


@pytest.mark.parametrize("name", READ_AFTER)
def test_what_is_read_besides_is_kept_while_it_is_updated(name):
    def fn(x):
        def turn(i, carry):
            c, total = carry
            c, more = READ_AFTER[name](i, c)
            return c, total + more

        return lax.fori_loop(0, 6, turn, (x, jnp.zeros(4)))

    agree(fn, X)


def test_an_operand_that_is_read_later_is_not_overwritten():
    def fn(x):
        y = x * 2
        return y.at[0].set(1.0), y

    program, literals = lower(Stages(trace(fn, X).graph, Dump("test")).graph, STATED)
    assert copies(program) == 1
    updated, kept = simulate(program, [*literals, X], 1).outputs
    np.testing.assert_array_equal(kept.reshape(3, 4), X * 2)
    np.testing.assert_array_equal(updated.reshape(3, 4)[1:], X[1:] * 2)
    np.testing.assert_array_equal(updated.reshape(3, 4)[0], np.ones(4))


def test_rows_of_a_scan_are_written_where_they_belong():
    program = planned(lambda x: lax.scan(lambda c, r: (c + r, c * r), x[0], x)[1], X)
    written = [call.views[-1] for call, _ in calls_of(program.steps) if call.views[-1].moves]
    assert any(view.buffer.space == "output" for view in written)
    backwards = planned(lambda x: lax.scan(lambda c, r: (c + r, c), x[0], x, reverse=True)[1], X)
    views = [view for call, _ in calls_of(backwards.steps) for view in call.views]
    assert {step for view in views for _, step in view.moves} == {-4}


def test_a_branch_computes_into_the_result():
    program = planned(lambda i, x: lax.switch(i, [jnp.tanh, jnp.exp], x), np.int32(0), X)
    branch = step_of(program, Branch)
    assert [len(case) for case in branch.cases] == [1, 1]
    for case in branch.cases:
        assert case[0].views[-1].buffer.space == "output"


def test_a_branch_that_passes_its_operand_on_copies_nothing():
    def fn(i, x):
        y = jnp.tanh(x)
        return lax.cond(i > 0, lambda y: y, lambda y: y + 1, y) * 2

    assert copies(planned(fn, np.int32(0), X)) == 0


def test_while_loops_test_a_value_of_their_own():
    program = planned(lambda x: lax.while_loop(lambda c: c.sum() < 99, lambda c: c + 1, x), X)
    loop = step_of(program, While)
    assert loop.test.dtype == "bool"
    assert loop.condition
    assert loop.steps


@pytest.mark.parametrize(
    "rows, machine, kind",
    [(400, STATED, Map), (2, STATED, Loop), (2, SMALL, Map), (400, LARGE, Loop)],
)
def test_maps_are_dealt_out_where_they_are_worth_a_barrier(rows, machine, kind):
    x = np.zeros((rows, 40, 40), np.float32)
    program = planned(lambda x: lax.map(lambda r: jnp.tanh(r @ r).sum(0), x), x, machine=machine)
    assert step_of(program, (Map, Loop)).count == rows
    assert isinstance(step_of(program, (Map, Loop)), kind)


def test_a_map_with_a_loop_of_unknown_length_is_always_dealt_out():
    def instance(x):
        return lax.while_loop(lambda c: c < 10, lambda c: c * 2, x)

    assert isinstance(step_of(planned(lambda x: lax.map(instance, x), X[0] + 1), Map), Map)
    nested = planned(jax.vmap(lambda x: x + 1), X)
    assert not any(isinstance(step, Map) for step in nested.steps)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 5])
def test_a_carry_that_is_stacked_as_it_comes_is_not_copied(reverse, length):
    """Each trip makes the next row of the stack, the last one the carry that is left."""
    xs, start = np.ones((length, 24, 16), np.float32), np.full((24, 16), 0.5, np.float32)

    def states(start, xs):
        def step(carry, x):
            h, c = carry
            return (h * x + c, c - h), (h, h * c)

        return lax.scan(step, (start, start * 2), xs, reverse=reverse)

    def later(start, xs):
        (h, c), (before, _) = states(start, xs)
        return jnp.sum(before * before), h @ c.T

    calls = calls_of(planned(later, start, xs).steps)
    copied = [n for call, n in calls if re.match(r"copy_float32_(24x16|384)$", call.codelet.name)]
    assert sum(copied) <= 3, "initial values alone, and c, which is not stacked"
    agree(later, start, xs, relative=1e-5, absolute=1e-5)
    agree(states, start, xs)


def test_what_comes_is_stacked_though_a_trip_hands_on_something_else():
    xs = np.arange(4 * 384, dtype=np.float32).reshape(4, 24, 16)

    def fn(xs):
        def step(carry, x):
            a, b = carry
            return (b, x), (a, b, a)

        return lax.scan(step, (xs[0] + 1, xs[1] * 2), xs)

    agree(fn, xs)
    agree(lambda xs: jax.tree.map(jnp.sum, fn(xs)), xs, relative=1e-5)


def test_a_sum_of_products_is_carried_in_its_place():
    xs = np.random.default_rng(1).normal(size=(3, 20, 24)).astype(np.float32)

    def fn(xs):
        return lax.scan(lambda w, x: (w + x.T @ x, ()), jnp.zeros((24, 24)), xs)[0]

    calls = [call.codelet.name for call, _ in calls_of(planned(fn, xs).steps)]
    assert sum("add" in name for name in calls) == 1
    assert "copy_float32_576" not in calls
    agree(fn, xs, relative=1e-5, absolute=1e-5)


def test_rows_repeated_are_copied_once():
    """To where they are wanted; out of what the same turn overwrites, through a third place."""
    program = planned(lambda x: (jnp.repeat(x, 4, 0), jnp.tile(x, (2, 3))), X)
    assert len(list(calls_of(program.steps))) == 2

    def turns(x):
        def turn(c, _):
            again = jnp.repeat(c[::-1], 3, 0)[:3] + 1
            return jnp.repeat(again[:1], 3, 0), (jnp.tile(c, (2, 1)), jnp.repeat(c, 2, 1))

        return lax.scan(turn, x, None, length=3)

    agree(turns, X)
    agree(lambda x: (y := jnp.repeat(x, 2, 0), y, y.T, y * 2), X)
    agree(
        lambda x: lax.fori_loop(0, 3, lambda i, c: jnp.tile(c[:, :1], (1, 4)).T.reshape(3, 4), x), X
    )

"""What loops read from afar is asked for before, and nothing that does not exist."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.agree import agree
from tests.machines import STATED
from tilewright.codelets.contract import ContractOuter
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.plan.asked import LINE, LINES
from tilewright.plan.ir import Loop, Spread
from tilewright.plan.summary import calls_of
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace


def sums(xs, reverse=False):
    """Elementwise work on rows from afar, and a product of what it makes."""

    def step(w, x):
        x = x * x + 1
        return w + x.T @ x, ()

    return lax.scan(step, jnp.zeros(2 * xs.shape[-1:]), xs, reverse=reverse)[0]


def planned(xs, reverse=False):
    stages = Stages(trace(lambda xs: sums(xs, reverse), xs).graph, Dump("test"), machine=STATED)
    return stages, stages.program


def far(length=None):
    row = (64, 128)
    length = length or STATED.tile.memory // (4 * 64 * 128) + 3
    return np.random.default_rng(0).normal(size=(length, *row)).astype(np.float32)


@pytest.mark.parametrize("reverse", [False, True])
def test_each_turn_asks_for_the_next_ones_rows(reverse):
    xs = far()
    stages, program = planned(xs, reverse)
    (loop,) = [step for step in program.steps if isinstance(step, Loop)]
    assert loop.count == len(xs) - 1
    asking = [call for call, _ in calls_of(loop.steps) if call.asked]
    assert {type(call.codelet) for call in asking} == {ContractOuter}
    assert not any(call.asked for call, _ in calls_of(program.steps) if call not in asking)
    for view in (view for call in asking for view in call.asked):
        steps = [step for var, step in view.moves if var == loop.var]
        along = [view.offset, view.offset + sum(steps) * (loop.count - 1)]
        assert min(along) >= 0
        assert max(along) + view.size <= xs.size
        assert along[0] // xs[0].size == (len(xs) - 2 if reverse else 1)
    found = simulate(program, [*stages.lowered[1], xs], 3, seed=0)
    assert found.races == []
    (mean,) = evaluate(stages.graph, [xs])
    np.testing.assert_array_equal(found.outputs[0].reshape(mean.shape), mean)


def after_a_product(xs):
    """What is read from afar waits for a product of its own turn."""

    def step(w, x):
        y = jnp.sin(w @ w)
        return jnp.minimum(y, y.T) * x, ()

    return lax.scan(step, jnp.ones(xs.shape[1:]), xs)[0]


def test_rows_of_one_turn_leave_the_loop_whole():
    xs = far(2 * len(far()))[:, :, :64] / 8
    stages = Stages(trace(after_a_product, xs).graph, Dump("test"), machine=STATED)
    (loop,) = [step for step in stages.program.steps if isinstance(step, Loop)]
    (view,) = [view for call, _ in calls_of(loop.steps) for view in call.asked]
    assert (loop.count, view.offset, view.size) == (len(xs), 0, xs[0].size)
    others = [step for step in stages.program.steps if step is not loop]
    assert not any(call.asked for call, _ in calls_of(others))
    found = simulate(stages.program, [*stages.lowered[1], xs], 3, seed=0)
    np.testing.assert_array_equal(found.outputs[0], evaluate(stages.graph, [xs])[0].ravel())


def normed(x, scale, w):
    """A norm's way: images scaled, multiplied with a kernel of 1 x 1, and summed."""
    y = jnp.einsum("nhwi,io->nhwo", x * scale + 1, w)
    return y, jnp.sum(y * y, (0, 1, 2))


def images():
    rng = np.random.default_rng(0)
    x, scale = rng.normal(size=(2, 16, 28, 28, 96)).astype(np.float32)
    return x, scale, rng.normal(size=(96, 24)).astype(np.float32)


def test_each_piece_of_what_is_dealt_out_asks_for_the_next_ones_rows():
    arrays = images()
    stages = Stages(trace(normed, *arrays).graph, Dump("test"), machine=STATED)
    work, last, *_ = stages.program.steps
    assert isinstance(work, Spread)
    assert isinstance(last, Spread)
    (call,) = [call for call, _ in calls_of([work]) if call.asked]
    spaces = [(view.buffer.space, view.buffer.index) for view in call.asked]
    assert sorted(spaces) == [("input", 0), ("input", 1), ("output", 0)]
    for view in call.asked:
        ((var, step),) = view.moves
        assert (var, view.offset) == (work.var, view.size)
        assert view.offset + step * (work.count - 1) + view.size == view.buffer.size
    assert (last.count, last.joins) == (1, True)
    (same,) = [other for other, _ in calls_of([last]) if other.asked]
    assert same.codelet == call.codelet, "one function of both"
    assert all(view.offset + view.size == view.buffer.size for view in same.asked)
    assert not any(view.moves for view in same.asked)
    found = simulate(stages.program, [*stages.lowered[1], *arrays], 3, seed=0)
    assert found.races == []
    for mine, mean in zip(found.outputs, evaluate(stages.graph, arrays), strict=True):
        np.testing.assert_array_equal(mine.reshape(mean.shape), mean)


def test_near_rows_and_short_ones_are_not_asked_for():
    near = far(4)
    short = np.zeros((STATED.tile.memory // (LINE * LINES // 2), 2, 256), np.float32)
    for xs in (near, short):
        _, program = planned(xs)
        assert not any(call.asked for call, _ in calls_of(program.steps))


def test_natively_too_nothing_but_time_changes():
    agree(sums, far(), relative=1e-4)
    agree(normed, *images(), relative=1e-4, absolute=1e-4)

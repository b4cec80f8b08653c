"""Strips in groups: shares for many tiles, a tree whose steps are nobody's alone, and the bits."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agree import same_bits
from tests.machines import STATED, eager, scaled
from tests.trace.comparing import words
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.models import talk
from tilewright.plan import strips as plan_strips
from tilewright.plan.ir import Call, Loop, Program, Spread, Step, Sync
from tilewright.plan.lower import lower
from tilewright.plan.strips import group_size
from tilewright.plan.summary import calls_of
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)


def counted(steps: tuple[Step, ...]) -> float:
    """Operations of steps without maps or loops of unknown length."""
    total = 0.0
    for step in steps:
        if isinstance(step, Call):
            total += step.codelet.work.flops
        elif isinstance(step, Loop | Spread):
            total += step.count * counted(step.steps)
    return total


def shares(program: Program, tiles: int) -> tuple[float, float]:
    """(operations of the busiest tile, of all): spreads that join are dealt out together."""
    busiest = everything = 0.0
    pieces: list[float] = []

    def close() -> None:
        nonlocal busiest
        dealt = sorted(pieces, reverse=True)[: -(-len(pieces) // tiles)]
        busiest += sum(dealt)
        pieces.clear()

    for step in program.steps:
        if isinstance(step, Spread):
            if not step.joins:
                close()
            pieces += [counted(step.steps)] * step.count
        else:
            busiest += counted((step,))
        everything += counted((step,))
    close()
    return busiest, everything


def test_shares_of_many_tiles_are_even():
    """The talk's gradient over 58,368 rows on 128 tiles, the sum over all of them included."""
    x, y = np.zeros((58_368, 22), np.float32), np.zeros(58_368, np.float32)
    gradient = jax.grad(lambda at, x, y: talk.log_density(x, y)(at))
    machine = scaled(STATED, 1, 1, 128, 1000)
    program = Stages(
        trace(gradient, talk.start(), x, y).graph, Dump("test"), machine=machine
    ).program
    busiest, everything = shares(program, 128)
    assert everything > 1e8
    assert busiest <= 1.25 / 128 * everything


@pytest.mark.parametrize(
    ("strips", "tiles", "size"), [(228, 128, 1), (228, 2, 2), (228, 1, 256), (5, 4, 1), (64, 4, 16)]
)
def test_groups_are_as_large_as_even_shares_allow(strips, tiles, size):
    assert group_size(strips, tiles) == size


@pytest.mark.parametrize("rows", [256, 300, 512, 2305, 5000])
def test_any_grouping_gives_the_bits_of_the_whole(rows):
    """As evaluated before there are strips, on machines of any number of tiles."""
    x = RANDOM.normal(size=(rows, 6)).astype(np.float32)
    w = RANDOM.normal(size=(6, 9)).astype(np.float32)

    def function(x, w):
        h = jnp.maximum(x @ w, 0) + 1
        return h.T @ h, h.sum(0), x.T @ h, h.sum(), h[:, 0] @ h, (h * h).astype(jnp.bfloat16).sum(0)

    traced = trace(function, x, w)
    inputs = [*map(words, traced.constants), x, w]
    whole = evaluate(traced.graph, inputs)
    for tiles in (1, 2, 3, 128):
        machine = scaled(STATED, 0.3, 1, tiles, 0)
        stages = Stages(traced.graph, Dump("test"), machine=machine)
        same_bits(evaluate(stages.graph, inputs), whole, f"planned for {tiles}")
        if tiles == 3:
            literals = stages.lowered[1]
            result = simulate(stages.program, [*literals, *inputs], tiles, seed=0)
            assert result.races == []
            flat = [a.reshape(b.shape) for a, b in zip(result.outputs, whole, strict=True)]
            same_bits(flat, whole, "simulated")


def on(tiles, machine=STATED):
    return replace(machine, chip=replace(machine.chip, tiles=tiles))


def net(rows, width=22, hidden=40):
    """The gradient of a net over rows, and its arguments' shapes."""

    def loss(params, x, y):
        error = y - jnp.tanh(x @ params[0] + params[1]) @ params[2]
        return jnp.sum(jnp.log1p(error * error))

    shapes = (((width, hidden), (hidden,), (hidden,)), (rows, width), (rows,))
    leaves = jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32),
        shapes,
        is_leaf=lambda s: isinstance(s, tuple) and all(isinstance(n, int) for n in s),
    )
    return jax.value_and_grad(loss), leaves


def planned(rows, machine, **widths):
    fn, args = net(rows, **widths)
    stages = Stages(trace(fn, *args).graph, Dump("test"), machine=machine)
    return stages.graph, *lower(stages.graph, machine)


@pytest.mark.parametrize("tiles", [1, 2, 3, 5, 22, 128, 1000])
@pytest.mark.parametrize("count", [1, 2, 3, 57, 114, 228, 1000, 4096])
def test_groups_are_powers_of_two_and_keep_tiles_even(count, tiles):
    size = group_size(count, tiles)
    assert size & (size - 1) == 0
    groups = -(-count // size)
    busiest = min(-(-groups // tiles) * size, count)  # the last group is cut short
    if size > 1:
        assert busiest * tiles <= plan_strips.UNEVEN * count, "grouping must not make tiles uneven"
    single = -(-count // tiles)
    assert busiest <= max(single, plan_strips.UNEVEN * count / tiles) + 1e-9


@pytest.mark.parametrize("rows", [257, 512, 1100, 5000])
@pytest.mark.parametrize("tiles", [1, 2, 7])
def test_every_row_is_in_one_strip(rows, tiles):
    """Windows over the rows, moved by all their variables, cover them once."""
    _, program, _ = planned(rows, on(tiles, eager()), width=3, hidden=4)
    seen = np.zeros(rows, int)
    (x,) = [b for b in program.inputs if b.size == rows]  # y: a number a row

    def walk(steps, at):
        for step in steps:
            if isinstance(step, Loop | Spread):
                for turn in range(step.count):
                    walk(step.steps, at | {step.var: turn})
            elif isinstance(step, Call) and step.codelet.name.startswith(
                ("sub", "fused", "reduce")
            ):
                for view in step.views:
                    if view.buffer is x:
                        start = view.offset + sum(at[var] * by for var, by in view.moves)
                        seen[start : start + view.shape[-1]] += 1

    walk(program.steps, {})
    assert set(seen) == {1}


def test_one_strip_is_not_dealt_out():
    _, program, _ = planned(200, eager(), width=3, hidden=4)
    spreads = [step for step in program.steps if isinstance(step, Spread)]
    assert not any("contract" in call.codelet.name for call, _ in calls_of(spreads))


def test_few_strips_on_a_slow_barrier_stay_on_one_tile():
    far = replace(STATED, chip=replace(STATED.chip, sync_cycles=10**8))
    _, program, _ = planned(5000, far)
    assert not any(isinstance(step, Spread | Sync) for step in program.steps)

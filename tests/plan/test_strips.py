"""Strips in groups: shares for many tiles, a tree whose steps are nobody's alone, and the bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agree import same_bits
from tests.machines import STATED, scaled
from tests.trace.comparing import words
from tilewright.compiler import Stages
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.models import talk
from tilewright.plan.ir import Call, Loop, Program, Spread, Step
from tilewright.plan.strips import group_size
from tilewright.simulate import simulate
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

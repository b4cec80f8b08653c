"""Planned programs: the values of the graph, to the bit, on any number of tiles, without races."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.codelets.layouts import same_bits
from tests.graph.cases import CASES
from tests.machines import eager
from tests.trace.comparing import words
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.plan.ir import Branch, Loop, Program, Step, Sync, While
from tilewright.plan.lower import lower
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace

generator = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return generator.normal(size=shape).astype(np.float32)


def loss(parameters, x, y):
    w1, b1, w2 = parameters
    return jnp.sum((jnp.tanh(x @ w1 + b1) @ w2 - y) ** 2)


def steps_of(x, w):
    """Every turn mixes rows that different tiles compute; how many turns depends on the data."""
    return jax.lax.while_loop(
        lambda s: (s[0] < 3) & (s[1][0, 0] < 1e9),
        lambda s: (s[0] + 1, jnp.tanh(s[1] @ w) + s[1][::-1]),
        (0, x),
    )


def cases_of(x, w):
    def turn(i, x):
        return jax.lax.switch(i % 2, [lambda x: jnp.tanh(x @ w), lambda x: x[::-1]], x)

    return jax.lax.fori_loop(0, 3, turn, x)


def transition(key, x):
    """Loops in branches in loops, some of them spread: all tiles must agree on every turn."""
    import blackjax

    kernel = blackjax.nuts(lambda q: -jnp.sum((x @ q) ** 2) - q @ q, 0.1, jnp.ones(8))
    state = kernel.init(jnp.ones(8))  # pyright: ignore[reportCallIssue]
    return kernel.step(key, state)[0].position


W = normal(8, 8)
NET = normal(22, 40), normal(40), normal(40)
SPREAD = {
    "rows": (jax.grad(loss), NET, normal(1500, 22), normal(1500)),
    "map": (lambda x, w: jax.lax.map(lambda r: jnp.tanh(r @ w).sum(0), x), normal(7, 9, 8), W),
    "products": (lambda x, w: (jnp.sin(x @ w) @ w.T).sum(0), normal(60, 8), W),
    "while": (steps_of, normal(40, 8), W),
    "branch": (cases_of, normal(40, 8), W),
    "nuts": (transition, jax.random.key(0), normal(20, 8)),
}


@pytest.fixture
def everything_is_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little work it is."""
    monkeypatch.setattr("tilewright.stages.host_machine", eager)


def planned(
    fn: Callable, args: Sequence[Any]
) -> tuple[Program, list[np.ndarray], list[np.ndarray]]:
    """The program, its inputs, and what the graph gives for them."""
    traced = trace(fn, *args)
    stages = Stages(traced.graph, Dump("test"))
    graph = stages.graph
    program, literals = lower(graph, stages.machine)
    inputs = [*map(words, traced.constants), *map(words, jax.tree.leaves(args))]
    return program, [*literals, *inputs], evaluate(graph, inputs)


def agree(fn: Callable, args: Sequence[Any]) -> Program:
    program, inputs, expected = planned(fn, args)
    for tiles, seed in [(1, None), (2, None), (3, 0), (5, 1)]:
        result = simulate(program, inputs, tiles, seed)
        assert result.races == []
        for flat, array in zip(result.outputs, expected, strict=True):
            same_bits(flat.reshape(array.shape), array)
    return program


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("everything_is_spread")
def test_programs_give_what_graphs_give(name):
    fn, *args = CASES[name]
    agree(fn, args)


@pytest.mark.parametrize("name", SPREAD)
@pytest.mark.usefixtures("everything_is_spread")
def test_spread_programs_give_what_graphs_give(name):
    fn, *args = SPREAD[name]
    assert len(list(syncs(agree(fn, args).steps))) > 0


def syncs(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    """The steps with one sync left out, for each that there is, at any depth."""
    for i, step in enumerate(steps):
        before, after = tuple(steps[:i]), tuple(steps[i + 1 :])
        for inner in _without_one(step):
            yield (*before, *inner, *after)


def _without_one(step: Step) -> Iterator[tuple[Step, ...]]:
    match step:
        case Sync():
            yield ()
        case Loop(_, _, steps):
            yield from ((replace(step, steps=less),) for less in syncs(steps))
        case While(condition, _, steps):
            yield from ((replace(step, condition=less),) for less in syncs(condition))
            yield from ((replace(step, steps=less),) for less in syncs(steps))
        case Branch(_, cases):
            for i, case in enumerate(cases):
                for less in syncs(case):
                    yield (replace(step, cases=(*cases[:i], less, *cases[i + 1 :])),)


@pytest.mark.parametrize("name", [name for name in SPREAD if name != "map"])
@pytest.mark.usefixtures("everything_is_spread")
def test_a_sync_that_is_left_out_is_reported(name):
    """Not every one: a planner may be more careful than it need be."""
    fn, *args = SPREAD[name]
    program, inputs, _ = planned(fn, args)
    lesser = [replace(program, steps=steps) for steps in syncs(program.steps)]
    assert any(simulate(one, inputs, 3).races for one in lesser)

"""A machine decides how fast a program is, never what it computes: two very different ones agree.

Rewrites that see the machine give graphs of the same values, to the bit; so do the programs that
are planned from them, on any number of tiles.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agree import same_bits
from tests.machines import LARGE, SMALL
from tests.random_programs import arguments, program
from tests.trace.comparing import words
from tilewright.bench.nuts_workloads import Nuts
from tilewright.bench.workloads import Hmc
from tilewright.dump import Dump
from tilewright.graph.evaluate import evaluate
from tilewright.graph.text import to_text
from tilewright.plan.ir import Map, Spread
from tilewright.plan.lower import lower
from tilewright.simulate import simulate
from tilewright.stages import Stages
from tilewright.trace import trace


def staged(fn, args, machine):
    """Stages on a machine, and the arrays that its graph takes."""
    traced = trace(fn, *args)
    inputs = [*map(words, traced.constants), *map(words, jax.tree.leaves(args))]
    return Stages(traced.graph, Dump("test"), machine=machine), inputs


def values(fn, args, machine):
    stages, inputs = staged(fn, args, machine)
    return evaluate(stages.graph, inputs)


def workload(spec):
    work = spec.workload()
    return work.chain, tuple(argument[0] for argument in work.arguments)


def hmc(precision, rows=1100, layers=(4, 5, 1)):
    return workload(Hmc(layers, rows, draws=1, leapfrogs=2, chains=1, precision=precision))


def layered(x, w):
    """Elementwise work, products, sums, and a loop with something to sink and to hoist."""

    def step(_, carry):
        total, _ = carry
        value = jnp.tanh(x @ (w * w + 1)) @ w.T
        return total + value.sum(0), jnp.log1p(value * value).sum()

    return jax.lax.fori_loop(0, 4, step, (x.sum(0), jnp.float32(0)))


CASES = {
    "hmc": lambda: hmc("float32"),
    "hmc with a bfloat16 force": lambda: hmc("bfloat16"),
    "nuts": lambda: workload(Nuts("funnel", chains=1, draws=1)),
    "layered": lambda: (
        layered,
        tuple(np.random.default_rng(0).normal(size=s).astype("f4") for s in ((1100, 7), (7, 5))),
    ),
}


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_have_the_same_values(seed):
    fn, args = program(seed), arguments(seed)
    same_bits(values(fn, args, SMALL), values(fn, args, LARGE), "a small against a large machine")


@pytest.mark.parametrize("name", CASES)
def test_workloads_have_the_same_values(name):
    fn, args = CASES[name]()
    same_bits(values(fn, args, SMALL), values(fn, args, LARGE), "a small against a large machine")


@pytest.mark.parametrize("name", ["hmc", "layered"])
def test_the_graphs_differ(name):
    """So the tests above compare something: lengths of strips, at least."""
    fn, args = CASES[name]()
    small, large = (staged(fn, args, machine)[0].graph for machine in (SMALL, LARGE))
    assert to_text(small, sources=False) != to_text(large, sources=False)
    assert strips(small) == {256}
    assert strips(large) == {1024}


def strips(graph):
    """Rows of a strip, of all that there are."""
    inside = [strips(body) for node in graph.nodes for body in node.bodies]
    return {n.params["strip"] for n in graph.nodes if n.op == "strips"}.union(*inside)


@pytest.mark.parametrize("name", ["layered", "product"])
def test_programs_for_both_give_the_same(name):
    """The plans differ: one is dealt out, the other is not."""
    rng = np.random.default_rng(0)
    product = lambda a, b: (jnp.sin(a @ b) @ b.T + 1).sum(0)  # noqa: E731
    arrays = tuple(rng.normal(size=s).astype("f4") for s in ((70, 9), (9, 33)))
    fn, args = CASES[name]() if name in CASES else (product, arrays)
    results, dealt = [], []
    for machine in (SMALL, LARGE):
        stages, inputs = staged(fn, args, machine)
        planned, literals = lower(stages.graph, machine)
        result = simulate(planned, [*literals, *inputs], 3, seed=1)
        assert result.races == []
        results.append([np.asarray(flat) for flat in result.outputs])
        dealt.append(any(isinstance(step, Spread | Map) for step in planned.steps))
    assert dealt == [True, False]
    same_bits(results[0], results[1], "a small against a large machine")


def test_the_machines_are_very_different():
    small, large = SMALL.tile.memories[0], LARGE.tile.memories[0]
    assert large.size > 100 * small.size
    assert large.read > 100 * small.read
    assert dataclasses.replace(SMALL, name=LARGE.name) != LARGE

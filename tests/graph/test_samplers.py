"""Unmodified samplers through all rewrites: the same bits, smaller graphs, in little time."""

import time
from collections.abc import Callable
from functools import partial

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.graph.same import assert_same, ops
from tilewright.graph.counted import counted
from tilewright.graph.eliminate import eliminate
from tilewright.graph.hoist import hoist
from tilewright.graph.ir import Graph
from tilewright.graph.simplify import simplify
from tilewright.graph.sink import sink
from tilewright.graph.verify import verify
from tilewright.machine.host import host_machine
from tilewright.trace import trace

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(60, 4)).astype(np.float32)
Y = (GENERATOR.random(60) < 0.5).astype(np.float32)
START = np.zeros(4, np.float32)
KEY = np.asarray(jax.random.key_data(jax.random.key(1)))


def log_density(w):
    z = X @ w
    return jnp.sum(Y * z - jnp.logaddexp(0.0, z)) - 0.5 * jnp.sum(w * w)


def all_rewrites(graph: Graph) -> Graph:
    sunk = partial(sink, machine=host_machine())
    hoisted = partial(hoist, machine=host_machine())
    for step in (simplify, eliminate, counted, sunk, eliminate, simplify, hoisted, eliminate):
        graph = step(graph)
    return graph


def steps(kernel: Callable, state) -> Callable:
    def run(key, position):
        def step(state, key):
            state, _ = kernel(key, state)
            return state, state.position

        keys = jax.random.split(jax.random.wrap_key_data(key), 2)
        return jax.lax.scan(step, state(position), keys)[1]

    return run


def sampler(name: str, **settings) -> Callable:
    algorithm = getattr(blackjax, name)(log_density, **settings)
    return steps(algorithm.step, algorithm.init)


METRIC = np.ones(4, np.float32)
SAMPLERS = {
    "hmc": sampler("hmc", step_size=0.1, inverse_mass_matrix=METRIC, num_integration_steps=20),
    "nuts": sampler("nuts", step_size=0.1, inverse_mass_matrix=METRIC),
    "mala": sampler("mala", step_size=0.1),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_same_bits(name):
    traced = trace(SAMPLERS[name], KEY, START)
    inputs = [*traced.constants, KEY, START]
    graph = assert_same(all_rewrites, traced.graph, inputs)
    assert len(ops(graph)) < len(ops(traced.graph))


def test_hmc_does_not_pay_for_the_log_density_of_each_leapfrog():
    traced = trace(SAMPLERS["hmc"], KEY, START)

    def products(graph: Graph) -> list[int]:
        """How many reductions the innermost scan or loop does in a trip."""
        inner = [n for n in graph.nodes if n.op in ("scan", "loop")]
        if not inner:
            return [ops(graph).count("reduce")]
        return [count for node in inner for count in products(node.bodies[-1])]

    graph = all_rewrites(traced.graph)
    assert max(products(graph)) < max(products(eliminate(simplify(traced.graph))))


def test_window_adaptation_is_quick():
    def run(key, position):
        adaptation = blackjax.window_adaptation(blackjax.nuts, log_density)
        warm: Callable = adaptation.run
        return warm(jax.random.wrap_key_data(key), position, 20)[0]

    traced = trace(run, KEY, START)
    start = time.perf_counter()
    graph = all_rewrites(traced.graph)
    # 0.3 s alone on a quiet machine; ten times that means something quadratic.
    assert time.perf_counter() - start < 3.0
    verify(graph)

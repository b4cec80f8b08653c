"""Unmodified samplers: transitions, chains and adaptations agree with JAX."""

from typing import Any

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.trace.comparing import agree, count, operations
from tilewright.graph.verify import verify
from tilewright.trace.force import force
from tilewright.trace.tile_map import tile_map

RANDOM = np.random.default_rng(0)
X = jnp.asarray(RANDOM.normal(size=(20, 4)), jnp.float32)
Y = jnp.asarray(RANDOM.normal(size=20), jnp.float32)
KEY = jax.random.key(0)
START = {"w": jnp.full(4, 0.1), "b": jnp.float32(0.3)}
METRIC = jnp.ones(5)


def logdensity(p):
    return -jnp.sum((X @ p["w"] + p["b"] - Y) ** 2) / 2 - jnp.sum(p["w"] ** 2) - p["b"] ** 2


SAMPLERS = {
    "hmc": dict(step_size=0.05, inverse_mass_matrix=METRIC, num_integration_steps=3),
    "nuts": dict(step_size=0.1, inverse_mass_matrix=METRIC),
    "nuts dense": dict(step_size=0.1, inverse_mass_matrix=jnp.eye(5) + 0.1),
    "dynamic_hmc": dict(step_size=0.05, inverse_mass_matrix=METRIC),
    "mala": dict(step_size=0.01),
    "barker_proposal": dict(step_size=0.01),
    "mclmc": dict(L=1.0, step_size=0.1, inverse_mass_matrix=1.0),
    "adjusted_mclmc": dict(step_size=0.1, num_integration_steps=3),
    "adjusted_mclmc_dynamic": dict(
        step_size=0.1, integration_steps_fn=lambda key: jnp.ceil(jax.random.uniform(key) * 3)
    ),
}
STARTS_WITH_A_KEY = ("dynamic_hmc", "mclmc", "adjusted_mclmc_dynamic")


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_transition_of_each_sampler(name):
    kind = name.split()[0]
    sampler = getattr(blackjax, kind)(logdensity, **SAMPLERS[name])
    state = sampler.init(START, *([KEY] if kind in STARTS_WITH_A_KEY else []))
    agree(lambda key, state: sampler.step(key, state)[0], KEY, state, epsilons=512, absolute=1e-4)


def adaptation(kind, logdensity=logdensity) -> Any:
    if kind == "low rank":
        return blackjax.window_adaptation_low_rank(blackjax.nuts, logdensity, max_rank=2)
    diagonal = kind == "diagonal"
    return blackjax.window_adaptation(
        blackjax.nuts, logdensity, is_mass_matrix_diagonal=diagonal, initial_step_size=0.1
    )


def metric(inverse):
    """A low-rank metric as the matrix that it stands for: its vectors have no sign of their own."""
    if not hasattr(inverse, "lam"):
        return inverse
    scale, vectors, values = inverse.sigma, inverse.U, inverse.lam
    return scale[:, None] * (jnp.eye(len(scale)) + vectors * (values - 1) @ vectors.T) * scale


@pytest.mark.parametrize(
    ("kind", "limit"), [("diagonal", 2500), ("dense", 2700), ("low rank", 5000)]
)
def test_window_adaptation(kind, limit):
    def warm_up(key):
        (state, parameters), _ = adaptation(kind).run(key, START, 30)
        return state.position, parameters["step_size"], metric(parameters["inverse_mass_matrix"])

    # Trajectories magnify a rounding error in float32 to some 1e-4 in 30 transitions.
    graph = agree(warm_up, KEY, absolute=2e-3, interpreted=False).compiled.stages.traced
    verify(graph)
    assert count(graph) < limit


def correlated(p):
    """A normal density, a hundred times narrower in some directions than along the ones."""
    mean = jnp.mean(p["w"])
    return -15 * jnp.sum((p["w"] - mean) ** 2) - 0.15 * mean**2 - p["b"] ** 2 / 2


@pytest.mark.parametrize("kind", ("diagonal", "dense", "low rank"))
def test_window_adaptation_of_a_correlated_density(kind):
    # In float64 rounding errors stay small over all windows, in float32 they would not.
    with jax.enable_x64(True):
        start = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), START)

        def warm_up(key, start):
            (state, parameters), _ = adaptation(kind, correlated).run(key, start, 60)
            inverse = metric(parameters["inverse_mass_matrix"])
            return state.position, parameters["step_size"], inverse

        agree(warm_up, KEY, start, absolute=1e-6, interpreted=False)


def test_a_chain_over_strips_of_rows():
    x = jnp.asarray(RANDOM.normal(size=(600, 4)), jnp.float32)
    y = jnp.sin(x[:, 0])

    def logdensity(w):
        return -jnp.sum((jnp.tanh(x @ w) @ jnp.ones(4) - y) ** 2) / 2 - jnp.sum(w * w)

    sampler: Any = blackjax.nuts(logdensity, 0.02, jnp.ones(16))

    def chain(key, start):
        def step(state, key):
            return sampler.step(key, state)[0], state.position

        return jax.lax.scan(step, sampler.init(start), jax.random.split(key, 4))[1]

    start = jnp.full((4, 4), 0.1)
    program = agree(chain, KEY, start, absolute=1e-3, interpreted=False)
    assert "strips" in operations(program.compiled.graph)


def test_chains_by_tile_map():
    sampler = blackjax.hmc(force(logdensity), **SAMPLERS["hmc"])

    def chain(key, position):
        def step(state, key):
            state, info = sampler.step(key, state)
            return state, (state.position, info.acceptance_rate)

        return jax.lax.scan(step, sampler.init(position, key), jax.random.split(key, 2))[1]

    run = tile_map(chain, (0, None))
    program = agree(run, jax.random.split(KEY, 2), START, epsilons=512, absolute=1e-3)
    graph = program.compiled.stages.traced
    assert [node.op for node in graph.nodes].count("map") == 1

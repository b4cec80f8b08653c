"""Whole programs of the libraries that people use, unmodified: one step of each agrees with JAX."""

import blackjax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
import pytest
from numpyro.infer.util import initialize_model

from tests.trace.comparing import agree, count, trace, words
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


def adaptation(kind):
    if kind == "low rank":
        return blackjax.window_adaptation_low_rank(blackjax.nuts, logdensity)
    diagonal = kind == "diagonal"
    return blackjax.window_adaptation(
        blackjax.nuts, logdensity, is_mass_matrix_diagonal=diagonal, initial_step_size=0.1
    )


@pytest.mark.parametrize(
    ("kind", "limit"), [("diagonal", 2500), ("dense", 2700), ("low rank", 5000)]
)
def test_window_adaptation(kind, limit):
    def warm_up(key):
        (state, parameters), _ = adaptation(kind).run(key, START, num_steps=30)
        return state, parameters

    traced = trace(warm_up, KEY)
    verify(traced.graph)
    assert count(traced.graph) < limit


def test_chains_by_tile_map():
    sampler = blackjax.hmc(force(logdensity), **SAMPLERS["hmc"])

    def chain(key, position):
        def step(state, key):
            state, info = sampler.step(key, state)
            return state, (state.position, info.acceptance_rate)

        return jax.lax.scan(step, sampler.init(position), jax.random.split(key, 2))[1]

    run = tile_map(chain, (0, None))
    agree(run, jax.random.split(KEY, 2), START, epsilons=512, absolute=1e-3)
    graph = trace(run, jax.random.split(KEY, 2), START).graph
    assert [node.op for node in graph.nodes].count("map") == 1


def model(x, y):
    scale = numpyro.sample("scale", dist.HalfCauchy(1.0))
    weights = numpyro.sample("weights", dist.Normal(0, scale).expand([4]).to_event(1))
    noise = numpyro.sample("noise", dist.Gamma(2.0, 1.0))
    numpyro.sample("y", dist.StudentT(3.0, x @ weights, noise), obs=y)


def test_a_numpyro_potential():
    info = initialize_model(jax.random.PRNGKey(0), model, model_args=(X, Y))
    agree(jax.value_and_grad(info.potential_fn), info.param_info.z, epsilons=2048, absolute=1e-4)


OPTIMISERS = {
    "sgd": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "adam": optax.adam(optax.cosine_decay_schedule(0.1, 100)),
    "adamw": optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(optax.warmup_cosine_decay_schedule(0.01, 0.1, 10, 100)),
    ),
    "lion": optax.chain(optax.clip(1.0), optax.lion(0.01)),
    "lbfgs": optax.lbfgs(),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_update_of_each_optimiser(name):
    optimiser = OPTIMISERS[name]
    loss = lambda p: -logdensity(p)

    def update(p, state):
        value, gradient = jax.value_and_grad(loss)(p)
        extra = dict(value=value, grad=gradient, value_fn=loss) if name == "lbfgs" else {}
        updates, state = optimiser.update(gradient, state, p, **extra)
        return optax.apply_updates(p, updates)

    agree(update, START, optimiser.init(START), epsilons=512, absolute=1e-5)


def test_modules():
    network = eqx.nn.MLP(4, 1, 8, 2, key=KEY)
    agree(lambda x: jax.vmap(network)(x), X, epsilons=64, absolute=1e-6)
    parameters, static = eqx.partition(network, eqx.is_array)
    loss = lambda p: jnp.mean((jax.vmap(eqx.combine(p, static))(X)[:, 0] - Y) ** 2)
    agree(jax.grad(loss), parameters, epsilons=256, absolute=1e-5)


def test_recurrent_cells():
    lstm, gru = eqx.nn.LSTMCell(4, 8, key=KEY), eqx.nn.GRUCell(4, 8, key=KEY)
    zero = jnp.zeros(8)
    both = lambda xs: (
        jax.lax.scan(lambda c, x: (lstm(x, c), None), (zero, zero), xs)[0],
        jax.lax.scan(lambda c, x: (gru(x, c), None), zero, xs)[0],
    )
    agree(both, X, epsilons=256, absolute=1e-6)
    agree(jax.grad(lambda xs: both(xs)[1].sum()), X, epsilons=512, absolute=1e-5)


def test_keys_reach_the_graph_as_words():
    assert words(KEY).shape == (2,)

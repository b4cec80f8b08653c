"""Unmodified models, modules and optimisers: values, gradients and updates agree with JAX."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
import pytest
from numpyro.infer.util import initialize_model

from tests.trace.comparing import agree

RANDOM = np.random.default_rng(0)
X = jnp.asarray(RANDOM.normal(size=(20, 4)), jnp.float32)
Y = jnp.asarray(RANDOM.normal(size=20), jnp.float32)
KEY = jax.random.key(0)
START = {"w": jnp.full(4, 0.1), "b": jnp.float32(0.3)}
METRIC = jnp.ones(5)


def logdensity(p):
    return -jnp.sum((X @ p["w"] + p["b"] - Y) ** 2) / 2 - jnp.sum(p["w"] ** 2) - p["b"] ** 2


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
def test_three_updates_of_each_optimiser(name):
    optimiser = OPTIMISERS[name]

    def loss(p):
        return -logdensity(p)

    def update(_, carry):
        p, state = carry
        value, gradient = jax.value_and_grad(loss)(p)
        extra = dict(value=value, grad=gradient, value_fn=loss) if name == "lbfgs" else {}
        updates, state = optimiser.update(gradient, state, p, **extra)
        return optax.apply_updates(p, updates), state

    def updated(p, state):
        return jax.lax.fori_loop(0, 3, update, (p, state))[0]

    agree(updated, START, optimiser.init(START), epsilons=512, absolute=1e-5)


def test_modules():
    network = eqx.nn.MLP(4, 1, 8, 2, key=KEY)
    agree(lambda x: jax.vmap(network)(x), X, epsilons=64, absolute=1e-6)
    parameters, static = eqx.partition(network, eqx.is_array)

    def loss(p):
        return jnp.mean((jax.vmap(eqx.combine(p, static))(X)[:, 0] - Y) ** 2)

    agree(jax.grad(loss), parameters, epsilons=256, absolute=1e-5)


def test_recurrent_cells():
    lstm, gru = eqx.nn.LSTMCell(4, 8, key=KEY), eqx.nn.GRUCell(4, 8, key=KEY)
    zero = jnp.zeros(8)

    def both(xs):
        return (
            jax.lax.scan(lambda c, x: (lstm(x, c), None), (zero, zero), xs)[0],
            jax.lax.scan(lambda c, x: (gru(x, c), None), zero, xs)[0],
        )

    agree(both, X, epsilons=256, absolute=1e-6)
    agree(jax.grad(lambda xs: both(xs)[1].sum()), X, epsilons=512, absolute=1e-5)

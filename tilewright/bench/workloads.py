"""HMC over a tanh net: what is timed, as plain JAX functions of unmodified BlackJAX.

A workload is made the same way for tilewright and for the peer, which may have the data in either
order ("rows": one row after another, "columns": transposed) and keeps the faster. What is random
comes from seeds, so every process makes the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from tilewright.frozen import frozen


@frozen
class Workload:
    """`chain(*slices)` is one instance; `arguments` are those of all, stacked on axis 0.

    A chain gives a dict of arrays, one number a draw: "acceptance", "jump" (squared distance),
    "leapfrogs", "divergent".
    """

    chain: Callable[..., Any]
    arguments: tuple[Any, ...]

    @staticmethod
    def totals(outputs: Any) -> dict[str, float]:
        """Sums over all draws, and their number."""
        sums = {name: float(np.asarray(value, np.float64).sum()) for name, value in outputs.items()}
        return sums | {"draws": float(np.asarray(outputs["acceptance"]).size)}


@frozen
class Hmc:
    """HMC on synthetic rows; `layers` as widths; only layers of several units have tanh.

    The step size is `step` / sqrt(rows), about as wide as the posterior. `sampler`: whose
    transitions they are, "blackjax" or "numpyro".
    """

    layers: tuple[int, ...]
    rows: int
    draws: int
    leapfrogs: int
    precision: str = "float32"
    order: str = "rows"
    chains: int = 2
    step: float = 0.3
    sampler: str = "blackjax"

    def workload(self) -> Workload:
        import jax

        return Workload(_hmc_chain(self), (jax.random.split(jax.random.key(0), self.chains),))


TALK = (22, 40, 1, 1)
DEEP = (22, 40, 40, 1)


def data(rows: int, features: int = 22) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal features and a heavy-tailed target that depends on them a little."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, features)).astype(np.float32)
    signal = np.tanh(x[:, 0] * x[:, 1]) + 0.5 * x[:, 2]
    y = (signal + rng.standard_t(4.0, size=rows)).astype(np.float32)
    return x, y


def initial(layers: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Weights drawn at fan-in scale, biases at zero."""
    rng = np.random.default_rng(1)
    params: dict[str, np.ndarray] = {}
    for number, (fan_in, fan_out) in enumerate(pairwise(layers), 1):
        scale = 1 / np.sqrt(fan_in)
        params[f"w{number}"] = (scale * rng.normal(size=(fan_in, fan_out))).astype(np.float32)
        params[f"b{number}"] = np.zeros(fan_out, np.float32)
    return params


def net(params: dict[str, Any], x: Any, layers: tuple[int, ...], order: str) -> Any:
    """The outputs, (rows,). Layers of one unit that follow one unit are linear."""
    import jax.numpy as jnp

    hidden, last = x, len(layers) - 1
    for number in range(1, last + 1):
        w, b = params[f"w{number}"], params[f"b{number}"]
        hidden = w.T @ hidden + b[:, None] if order == "columns" else hidden @ w + b
        if layers[number] > 1:
            hidden = jnp.tanh(hidden)
    return hidden[0] if order == "columns" else hidden[:, 0]


def log_density(spec: Hmc) -> Callable[[Any], Any]:
    """Student-t errors (4 degrees of freedom, scale 1), standard normal prior."""
    import jax
    import jax.numpy as jnp

    x, y = data(spec.rows, spec.layers[0])
    x = np.ascontiguousarray(x.T) if spec.order == "columns" else x

    def function(params: Any) -> Any:
        error = y - net(params, x, spec.layers, spec.order)
        likelihood = -2.5 * jnp.sum(jnp.log1p(error * error / 4.0))
        return likelihood - 0.5 * sum(jnp.sum(p * p) for p in jax.tree.leaves(params))

    if spec.precision == "float32":
        return function
    from tilewright import force

    return force(function, spec.precision)


def _hmc_chain(spec: Hmc) -> Callable[[Any], Any]:
    import jax
    import jax.numpy as jnp

    density = log_density(spec)
    params = initial(spec.layers)
    if spec.sampler == "numpyro":
        return partial(_numpyro_chain, spec, density, jax.tree.map(jnp.asarray, params))
    import blackjax

    count = sum(p.size for p in params.values())
    step_size = spec.step / np.sqrt(spec.rows)
    metric = jnp.ones(count, jnp.float32)
    sampler = blackjax.hmc(density, step_size, metric, spec.leapfrogs)

    def chain(key: Any) -> Any:
        return draws(sampler, jax.tree.map(jnp.asarray, params), key, spec.draws)

    return chain


def _numpyro_chain(spec: Hmc, density: Callable, params: Any, key: Any) -> dict[str, Any]:
    """The same transitions by NumPyro's kernel, its adaptation off."""
    import jax
    from numpyro.infer.hmc import hmc

    start, sample = hmc(lambda params: -density(params), algo="HMC")
    step_size = float(spec.step / np.sqrt(spec.rows))
    by_count: dict[str, Any] = dict(num_steps=spec.leapfrogs, trajectory_length=None)
    state = start(
        params, 0, step_size, rng_key=key, **by_count,
        adapt_step_size=False, adapt_mass_matrix=False,
    )  # fmt: skip

    def draw(state: Any, _: None) -> Any:
        new = sample(state)
        moves = jax.tree.map(lambda a, b: ((a - b) ** 2).sum(), new.z, state.z)
        return new, {
            "acceptance": new.accept_prob,
            "jump": sum(jax.tree.leaves(moves)),
            "leapfrogs": new.num_steps,
            "divergent": new.diverging,
        }

    return jax.lax.scan(draw, state, None, spec.draws)[1]


def draws(sampler: Any, position: Any, key: Any, count: int) -> dict[str, Any]:
    """`count` transitions from `position`: the outputs of a workload."""
    import jax
    import jax.numpy as jnp

    def draw(state: Any, draw_key: Any) -> Any:
        new, info = sampler.step(draw_key, state)
        moves = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), new.position, state.position)
        return new, {
            "acceptance": info.acceptance_rate,
            "jump": sum(jax.tree.leaves(moves)),
            "leapfrogs": info.num_integration_steps,
            "divergent": info.is_divergent,
        }

    return jax.lax.scan(draw, sampler.init(position), jax.random.split(key, count))[1]

"""What is timed: chains of unmodified BlackJAX samplers, as plain JAX functions of a key.

A workload is made the same way for tilewright and for the peer, which may have the data in either
order ("rows": one row after another, "columns": transposed) and keeps the faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Workload:
    """One chain's function of a PRNG key, and how many leapfrog steps a call does."""

    chain: Callable[[Any], Any]
    steps: int


@dataclass(frozen=True)
class Hmc:
    """HMC over a tanh net on synthetic rows; `layers` as widths; only hidden layers have tanh."""

    layers: tuple[int, ...]
    rows: int
    draws: int
    leapfrogs: int
    precision: str = "float32"
    order: str = "rows"

    def workload(self) -> Workload:
        return Workload(_hmc_chain(self), self.draws * self.leapfrogs)


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

    x, y = data(spec.rows)
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
    import blackjax
    import jax
    import jax.numpy as jnp

    density = log_density(spec)
    params = initial(spec.layers)
    count = sum(p.size for p in params.values())
    sampler = blackjax.hmc(
        density, step_size(spec.rows), jnp.ones(count, jnp.float32), spec.leapfrogs
    )

    def chain(key: Any) -> Any:
        def draw(state: Any, draw_key: Any) -> Any:
            new, info = sampler.step(draw_key, state)
            jump = sum(
                jnp.sum((a - b) ** 2)
                for a, b in zip(
                    jax.tree.leaves(new.position), jax.tree.leaves(state.position), strict=True
                )
            )
            return new, (info.acceptance_rate, jump)

        state = sampler.init(jax.tree.map(jnp.asarray, params))
        return jax.lax.scan(draw, state, jax.random.split(key, spec.draws))[1]

    return chain


def step_size(rows: int) -> float:
    """Small enough for trajectories to be accepted at this number of rows."""
    return 0.3 / np.sqrt(rows)

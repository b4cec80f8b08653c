"""NUTS by unmodified BlackJAX on a funnel and on a logistic regression, over unequal chains.

Step size and metric are fixed, as after an adaptation. The funnel's chains start at exact draws,
some in its mouth and some in its neck; the regression's have step sizes over a factor of eight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.bench.workloads import Workload, draws
from tilewright.frozen import frozen

STEP = {"funnel": 0.15, "logistic": 0.04}
"""The chains' median step size."""


@frozen
class Nuts:
    """`model` is "funnel" (Neal's, in 10 dimensions) or "logistic" (500 rows of 20 features)."""

    model: str
    chains: int = 64
    draws: int = 50
    order: str = "rows"

    def workload(self) -> Workload:
        import blackjax
        import jax

        density, positions, steps = {"funnel": _funnel, "logistic": _logistic}[self.model](self)
        metric = np.ones(positions.shape[1], np.float32)

        def chain(key: Any, position: Any, step: Any) -> Any:
            sampler = blackjax.nuts(density, step_size=step, inverse_mass_matrix=metric)
            return draws(sampler, position, key, self.draws)

        keys = jax.random.split(jax.random.key(0), self.chains)
        return Workload(chain, (keys, positions, steps))


Problem = tuple[Callable[[Any], Any], np.ndarray, np.ndarray]
"""Log density, starting positions (chains, dimensions), step sizes (chains,)."""


def _funnel(spec: Nuts, dimensions: int = 10) -> Problem:
    """v ~ N(0, 3), the others ~ N(0, exp(v / 2)), standard deviations (Neal, 2003, section 8)."""
    import jax.numpy as jnp

    def density(position: Any) -> Any:
        v, x = position[0], position[1:]
        return -(v**2) / 18 - 0.5 * jnp.exp(-v) * jnp.sum(x**2) - 0.5 * (dimensions - 1) * v

    rng = np.random.default_rng(0)
    v = 3 * rng.normal(size=(spec.chains, 1))
    x = np.exp(v / 2) * rng.normal(size=(spec.chains, dimensions - 1))
    positions = np.concatenate([v, x], 1).astype(np.float32)
    return density, positions, np.full(spec.chains, STEP["funnel"], np.float32)


def _logistic(spec: Nuts, rows: int = 500, features: int = 20) -> Problem:
    """Standard normal features and priors; chains start near the true coefficients."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, features)).astype(np.float32)
    truth = rng.normal(size=features).astype(np.float32) / 2
    y = (rng.random(rows) < 1 / (1 + np.exp(-x @ truth))).astype(np.float32)
    turned = np.ascontiguousarray(x.T)

    def density(slope: Any) -> Any:
        logits = slope @ turned if spec.order == "columns" else x @ slope
        return jnp.sum(y * logits - jax.nn.softplus(logits)) - 0.5 * jnp.sum(slope**2)

    positions = truth + 0.1 * rng.normal(size=(spec.chains, features))
    steps = STEP["logistic"] * 8 ** (rng.permutation(spec.chains) / max(1, spec.chains - 1) - 0.5)
    return density, positions.astype(np.float32), steps.astype(np.float32)

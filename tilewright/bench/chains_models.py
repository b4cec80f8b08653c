"""Six models as their users write them: in NumPyro all, in PyMC those that nutpie is compared on.

Each comes with data drawn from itself by a fixed seed. Sources of the forms: eight schools, Rubin
(1981), non-centred; GARCH(1, 1), Bollerslev (1986); the rest are textbook regressions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tilewright.frozen import frozen

EFFECT = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0], np.float32)
ERROR = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0], np.float32)


@frozen
class Model:
    """`numpyro()` is the model, a function of `data`; `pymc(*data)` enters it in a context."""

    title: str
    data: tuple[np.ndarray, ...]
    numpyro: Callable[..., Any]
    pymc: Callable[..., Any] | None = None


def _eight_schools(effect: Any, error: Any) -> None:
    import numpyro
    import numpyro.distributions as dist

    mean = numpyro.sample("mean", dist.Normal(0, 5))
    spread = numpyro.sample("spread", dist.HalfCauchy(5))
    with numpyro.plate("school", 8):
        scaled: Any = numpyro.sample("scaled", dist.Normal(0, 1))
        numpyro.sample("effect", dist.Normal(mean + spread * scaled, error), obs=effect)


def _eight_schools_pymc(effect: Any, error: Any) -> None:
    import pymc

    mean, spread = pymc.Normal("mean", 0, 5), pymc.HalfCauchy("spread", 5)
    scaled = pymc.Normal("scaled", 0, 1, shape=8)
    pymc.Normal("effect", mean + spread * scaled, error, observed=effect)


def _logistic(group: Any, x: Any, y: Any) -> None:
    """Slopes and group intercepts, whose means and spreads are learned."""
    import numpyro
    import numpyro.distributions as dist

    spread = numpyro.sample("spread", dist.HalfNormal(1))
    slope = numpyro.sample("slope", dist.Normal(0, 1).expand([x.shape[1]]))
    with numpyro.plate("group", 20):
        scaled: Any = numpyro.sample("scaled", dist.Normal(0, 1))
    numpyro.sample("y", dist.Bernoulli(logits=spread * scaled[group] + x @ slope), obs=y)


def _logistic_pymc(group: Any, x: Any, y: Any) -> None:
    import pymc

    spread = pymc.HalfNormal("spread", 1)
    slope = pymc.Normal("slope", 0, 1, shape=x.shape[1])
    scaled = pymc.Normal("scaled", 0, 1, shape=20)
    pymc.Bernoulli("y", logit_p=spread * scaled[group] + x @ slope, observed=y)


def _groups(group: Any, x: Any, y: Any) -> None:
    """A slope and 50 intercepts, centred, as of measurements in counties."""
    import numpyro
    import numpyro.distributions as dist

    mean = numpyro.sample("mean", dist.Normal(0, 1))
    spread = numpyro.sample("spread", dist.HalfNormal(1))
    slope = numpyro.sample("slope", dist.Normal(0, 1))
    noise = numpyro.sample("noise", dist.HalfNormal(1))
    with numpyro.plate("group", 50):
        intercept: Any = numpyro.sample("intercept", dist.Normal(mean, spread))
    numpyro.sample("y", dist.Normal(intercept[group] + slope * x, noise), obs=y)


def _groups_pymc(group: Any, x: Any, y: Any) -> None:
    import pymc

    mean, spread = pymc.Normal("mean", 0, 1), pymc.HalfNormal("spread", 1)
    slope, noise = pymc.Normal("slope", 0, 1), pymc.HalfNormal("noise", 1)
    intercept = pymc.Normal("intercept", mean, spread, shape=50)
    pymc.Normal("y", intercept[group] + slope * x, noise, observed=y)


def _garch(returns: Any) -> None:
    import jax
    import numpyro
    import numpyro.distributions as dist

    level = numpyro.sample("level", dist.HalfNormal(0.5))
    shock = numpyro.sample("shock", dist.Beta(2, 10))
    memory = numpyro.sample("memory", dist.Beta(10, 2))

    def day(variance: Any, past: Any) -> Any:
        following = level + shock * past**2 + memory * variance
        return following, variance

    _, variance = jax.lax.scan(day, level + 0.5, returns)
    numpyro.sample("returns", dist.Normal(0, variance**0.5), obs=returns)


def _regimes(returns: Any) -> None:
    """Two hidden states, summed out by the forward recursion."""
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

    stay: Any = numpyro.sample("stay", dist.Beta(10, 2).expand([2]).to_event(1))
    calm = numpyro.sample("calm", dist.HalfNormal(1))
    extra = numpyro.sample("extra", dist.HalfNormal(2))
    seen = dist.Normal(0, jnp.stack([calm, calm + extra])).log_prob(returns[:, None])
    moves = jnp.log(
        jnp.stack([jnp.stack([stay[0], 1 - stay[0]]), jnp.stack([1 - stay[1], stay[1]])])
    )

    def day(state: Any, now: Any) -> Any:
        return jax.nn.logsumexp(state[:, None] + moves, 0) + now, None

    last, _ = jax.lax.scan(day, jnp.log(jnp.full(2, 0.5)) + seen[0], seen[1:])
    numpyro.factor("likelihood", jax.nn.logsumexp(last))


def _robust(x: Any, y: Any) -> None:
    """A regression with Student-t noise of learned weight of tails."""
    import numpyro
    import numpyro.distributions as dist

    slope = numpyro.sample("slope", dist.Normal(0, 1).expand([x.shape[1]]))
    df = numpyro.sample("df", dist.Gamma(2, 0.1))
    scale = numpyro.sample("scale", dist.HalfNormal(1))
    numpyro.sample("y", dist.StudentT(df, x @ slope, scale), obs=y)


def models() -> dict[str, Model]:
    """By name, with their data."""
    random = np.random.default_rng(0)
    x = random.normal(size=(500, 10)).astype(np.float32)
    group20, group50 = random.integers(0, 20, 500), random.integers(0, 50, 900)
    slope = random.normal(size=10)
    odds = x @ slope + random.normal(size=20)[group20]
    y = (random.random(500) < 1 / (1 + np.exp(-odds))).astype(np.int32)
    floor = random.integers(0, 2, 900).astype(np.float32)
    radon = random.normal(size=50)[group50] - 0.7 * floor + 0.7 * random.normal(size=900)
    heavy = x @ slope + random.standard_t(3, 500)
    switching = np.repeat([0.5, 2.0, 0.5, 3.0], 25) * random.normal(size=100)
    single = np.float32
    return {
        "schools": Model("eight schools", (EFFECT, ERROR), _eight_schools, _eight_schools_pymc),
        "logistic": Model(
            "hierarchical logistic regression, 500 × 10",
            (group20, x, y),
            _logistic,
            _logistic_pymc,
        ),
        "groups": Model(
            "50 groups, 900 rows",
            (group50, floor, radon.astype(single)),
            _groups,
            _groups_pymc,
        ),
        "garch": Model("GARCH(1, 1), 500 days", (_garch_returns(random).astype(single),), _garch),
        "regimes": Model("two hidden states, 100 days", (switching.astype(single),), _regimes),
        "robust": Model("Student-t regression, 500 × 10", (x, heavy.astype(single)), _robust),
    }


def _garch_returns(random: np.random.Generator) -> np.ndarray:
    variance, returns = 1.0, []
    for _ in range(500):
        returns.append(random.normal() * variance**0.5)
        variance = 0.05 + 0.1 * returns[-1] ** 2 + 0.85 * variance
    return np.array(returns)

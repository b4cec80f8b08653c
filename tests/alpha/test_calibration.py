"""Chains of the scale net against the prior that data were made from.

*Simulation-based calibration* (Talts, Betancourt, Simpson, Vehtari & Gelman 2018): parameters from
the prior, data from parameters, draws from the posterior of these data: the rank of what was true
among the draws is uniform, of anything that is forecast. *Geweke's joint test* (2004): data and
parameters drawn in turn from each other have the prior's moments. *No data*: the prior.
"""

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import tilewright
from tilewright.alpha import BayesianMLPRegressor
from tilewright.alpha.scale.chain import sample_chain
from tilewright.alpha.scale.settings import FLOOR, ScaleChain
from tilewright.alpha.scale.units import apart, linear_part, units_of
from tilewright.models import bnn

pytestmark = pytest.mark.slow
FEATURES, UNITS, ROWS, HELD = 3, 6, 100, 3
FORM = bnn.Form(FEATURES, bnn.CONSTANT, bnn.UNITS, scale_hidden=(UNITS,))
CHAIN = ScaleChain(climb=100, warmup=150, draws=39, thin=6, doublings=6)
REPLICATES, BINS = 240, 8
"""Ranks from 0 to 39: five to a bin."""
ALARM = 0.001
"""Of any test below, were all well: shared by its quantities."""
X = np.random.default_rng(0).normal(size=(ROWS + HELD, FEATURES)).clip(-4, 4).astype(np.float32)
WHOLE = units_of(jnp.asarray(X), UNITS)
SEEN = jnp.concatenate(
    [X, apart(X, WHOLE, linear_part(jnp.asarray(X[:ROWS]), WHOLE[:ROWS], jnp.ones(ROWS)))], axis=1
)


def from_prior(key, form=FORM) -> bnn.Position:
    """All of a position, scales too."""

    def drawn(number, part):
        one, other = jax.random.split(jax.random.fold_in(key, number))
        if not isinstance(part, bnn.Weights):
            return jax.random.normal(one, jnp.shape(part))
        log_scale = jax.random.normal(one)
        values = jax.random.normal(other, part.values.shape) * jnp.exp(0.5 * log_scale)
        return bnn.Weights(values, log_scale)

    parts, pattern = jax.tree.flatten(
        bnn.initial(key, form, False), is_leaf=lambda part: isinstance(part, bnn.Weights)
    )
    return pattern.unflatten([drawn(i, part) for i, part in enumerate(parts)])


def data_of(key, position: bnn.Position, seen) -> jax.Array:
    """Targets of rows."""
    mean, log_scale = bnn.heads(position, seen, floor=FLOOR)
    noise = jax.random.t(key, bnn.degrees(position, jnp.float32(0)), (len(seen),))
    return mean + jnp.exp(log_scale) * noise


def forecast(position: bnn.Position) -> jax.Array:
    """Mean, degrees of freedom, log-scale of rows held out, and both scales of the prior."""
    mean, log_scale = bnn.heads(position, SEEN[ROWS:], floor=FLOOR)
    linear, out = position.scale.linear, position.scale.out
    assert linear is not None
    assert out is not None
    scales = [linear.log_scale, out.log_scale]
    return jnp.stack([mean, bnn.degrees(position, jnp.float32(0)), *log_scale, *scales])


def rank(key) -> jax.Array:
    """Of what is true among draws, for each quantity."""
    first, second, third = jax.random.split(key, 3)
    truth = from_prior(first)
    y = data_of(second, truth, SEEN[:ROWS])
    count = sum(jnp.size(leaf) for leaf in jax.tree.leaves(truth))
    found = sample_chain(
        CHAIN, FORM, third, jnp.bool_(True), truth, jnp.ones(count), jnp.float32(1),
        jnp.asarray(X[:ROWS]), y, jnp.ones(ROWS),
    )  # fmt: skip
    return jnp.sum(jax.vmap(forecast)(found.positions) < forecast(truth), axis=0)


def uneven(ranks: np.ndarray) -> float:
    """Least p of a chi-squared test of each column (replicates, quantities), for all together."""
    bins = np.floor(ranks * BINS / (CHAIN.draws + 1)).astype(int)
    counts = [np.bincount(column, minlength=BINS) for column in bins.T]
    return ranks.shape[1] * min(float(scipy.stats.chisquare(c).pvalue) for c in counts)


def test_ranks_of_the_truth_are_uniform():
    keys = jax.random.split(jax.random.key(1), REPLICATES)
    ranks = np.asarray(tilewright.compile(tilewright.tile_map(rank), keys)(keys))
    assert uneven(ranks) > ALARM
    shifted = np.clip(ranks + 4, 0, CHAIN.draws)  # it is noticed when draws are too low
    assert uneven(shifted) < ALARM


def test_data_and_parameters_in_turn_have_the_priors_moments():
    """Few rows, or the two would hold each other fast; short steps, for places that are narrow."""
    seen, turns, chains = SEEN[:4], 6000, 8
    count = sum(jnp.size(leaf) for leaf in jax.tree.leaves(from_prior(jax.random.key(0))))
    nuts = blackjax.nuts.build_kernel()

    def looked_at(position):
        constant, weights = position.scale.constant, position.scale.linear
        values = jnp.stack([position.mean.constant, constant, position.log_degrees,
                            weights.log_scale, weights.values[0] * jnp.exp(-weights.log_scale / 2),
                            position.scale.out.log_scale])  # fmt: skip
        return jnp.concatenate([values, values**2])

    def chain(key):
        start, key = jax.random.split(key)

        def turn(position, key):
            one, other = jax.random.split(key)
            density = bnn.log_density(
                seen, data_of(one, position, seen), jnp.float32(1), floor=FLOOR
            )
            state = blackjax.nuts.init(position, density)
            state, _ = nuts(other, state, density, jnp.float32(0.1), jnp.ones(count), 5)
            return state.position, looked_at(state.position)

        return jax.lax.scan(turn, from_prior(start), jax.random.split(key, turns))[1]

    import arviz

    keys = jax.random.split(jax.random.key(2), chains)
    traces = np.asarray(tilewright.compile(tilewright.tile_map(chain), keys)(keys), np.float64)
    truth = np.repeat([0.0, 1.0], traces.shape[2] // 2)
    sizes = [float(arviz.ess(np.ascontiguousarray(traces[:, :, i]), method="mean"))
             for i in range(traces.shape[2])]  # fmt: skip
    z = (traces.mean(axis=(0, 1)) - truth) / (traces.std(axis=(0, 1)) / np.sqrt(sizes))
    limit = scipy.stats.norm.isf(ALARM / (2 * len(z)))
    assert min(sizes) > 1000
    assert np.abs(z).max() < limit, z


def test_rows_that_weigh_nothing_leave_the_prior():
    """Its medians and 90 % ranges, of the degrees of freedom and of both heads' constants."""
    model = BayesianMLPRegressor(mean="linear", scale="linear", draws=1000, thin=4)
    rng = np.random.default_rng(3)
    model.fit(rng.normal(size=(30, 2)), rng.normal(size=30), sample_weight=1e-12)
    assert model.failure_ == ""
    position = model.positions_
    found = {
        "log_degrees": position.log_degrees,
        "mean": position.mean.constant,
        "scale": position.scale.constant,
        "layer": position.mean.linear.log_scale,
        "weight": position.mean.linear.values[..., 0]
        * np.exp(-0.5 * np.asarray(position.mean.linear.log_scale)),
    }
    for name, draws in found.items():
        levels = np.quantile(np.asarray(draws, np.float64), [0.05, 0.5, 0.95])
        np.testing.assert_allclose(levels, [-1.645, 0, 1.645], atol=0.2, err_msg=name)

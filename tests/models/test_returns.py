"""The net's density against scipy's, and its two forms against each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from tilewright.models import returns

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 22)).astype(np.float32)
Y = RNG.standard_t(4, 64).astype(np.float32)


def position(seed: int) -> returns.Net:
    start = returns.initial(jax.random.key(seed), 22, 40)
    return start._replace(b2=jnp.float32(0.3), log_scale=jnp.float32(-0.2))


def by_hand(at: returns.Net, df: float) -> float:
    """Log posterior from scipy's distributions, in the parameters' own units."""
    net = returns.parameters(at)
    mean = np.tanh(X @ np.asarray(net.W1) + net.b1) @ np.asarray(net.w2) + net.b2
    scale = np.exp(net.log_scale)
    likelihood = scipy.stats.t.logpdf(Y, df, mean, scale).sum()
    deviations = returns.prior_deviation(22, 40)
    prior = sum(
        scipy.stats.norm.logpdf(p, 0, s).sum() for p, s in zip(net, deviations, strict=True)
    )
    return float(likelihood + prior)


@pytest.mark.parametrize("df", [3.0, 6.0])
def test_density_differs_from_scipys_by_a_constant(df):
    density = returns.log_density(X, Y, df)
    gaps = [float(density(position(seed))) - by_hand(position(seed), df) for seed in range(3)]
    np.testing.assert_allclose(gaps, gaps[0], atol=2e-3)  # of sums of about 1000


def test_columns_give_the_same_net():
    at = position(0)
    np.testing.assert_allclose(
        returns.predict(at, X), returns.predict_columns(at, X.T), rtol=1e-5, atol=1e-6
    )


def test_prior_predictions_are_as_large_as_said():
    def output(key):
        return returns.predict(returns.initial(key, 22, 40), X)

    draws = jax.vmap(output)(jax.random.split(jax.random.key(0), 2000))
    assert 0.5 * returns.OUTPUT < float(draws.std()) < returns.OUTPUT
    assert sum(leaf.size for leaf in position(0)) == 22 * 40 + 40 + 40 + 1 + 1


def test_variances_have_the_position_as_pattern():
    variances = returns.posterior_variance(22, 40, 5000)
    assert jax.tree.map(jnp.shape, variances) == jax.tree.map(jnp.shape, position(0))
    assert float(variances.b2) < 0.01


def test_a_weight_is_how_often_a_row_is_there():
    weight = np.arange(len(Y)) % 4
    weighted = returns.log_density(X, Y, 4.0, weight=weight.astype(np.float32))
    repeated = returns.log_density(np.repeat(X, weight, axis=0), np.repeat(Y, weight), 4.0)
    at = position(1)
    np.testing.assert_allclose(float(weighted(at)), float(repeated(at)), rtol=1e-5)

"""The talk's net: its size, its density, its step-size policy."""

import jax
import numpy as np
import pytest
import scipy.stats

from tilewright.models import talk

RNG = np.random.default_rng(0)
X = (0.001 * RNG.normal(size=(50, 22))).astype(np.float32)
Y = (100 * RNG.normal(size=50)).astype(np.float32)


def net(seed: int) -> talk.TalkNet:
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda p: rng.normal(size=p.shape).astype(np.float32), talk.start())


def test_963_parameters_that_start_at_zero():
    leaves = jax.tree.leaves(talk.start())
    assert sum(leaf.size for leaf in leaves) == talk.PARAMETERS == 963
    assert not any(np.asarray(leaf).any() for leaf in leaves)


def test_density_differs_from_scipys_by_a_constant():
    def by_hand(at):
        likelihood = scipy.stats.t.logpdf(Y, 2.2, talk.predict(at, X), 100).sum()
        return likelihood + sum(scipy.stats.norm.logpdf(p, 0, 200).sum() for p in at)

    density = talk.log_density(X, Y)
    gaps = [float(density(net(seed))) - float(by_hand(net(seed))) for seed in range(3)]
    np.testing.assert_allclose(gaps, gaps[0], atol=1e-3)


def test_a_weight_is_how_often_a_row_is_there():
    weight = np.arange(len(Y)) % 4
    weighted = talk.log_density(X, Y, weight=weight.astype(np.float32))
    repeated = talk.log_density(np.repeat(X, weight, axis=0), np.repeat(Y, weight))
    np.testing.assert_allclose(float(weighted(net(1))), float(repeated(net(1))), rtol=1e-5)


def test_columns_give_the_same_net():
    np.testing.assert_allclose(
        talk.predict(net(0), X), talk.predict_columns(net(0), X.T), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("acceptance", "factor"), [(0.1, 1 / 1.1), (0.2, 1.01), (0.9, 1.01)])
def test_policy(acceptance, factor):
    assert float(talk.adapted(0.01, acceptance)) == pytest.approx(0.01 * factor)

"""ResNeXts: their sizes are those of the paper, and they compute what they say."""

import jax
import numpy as np
import pytest

import tilewright
from tests.models.nets import weights_of
from tilewright.models import convolutional, resnext


@pytest.mark.parametrize(
    "name, parameters, millions",
    [("50_32x4d", 25_028_904, 4230.5), ("101_32x8d", 88_791_336, 16414.0)],
)
def test_parameters_and_multiply_adds(name, parameters, millions):
    net = resnext.named(name)
    weights, _ = jax.eval_shape(lambda: resnext.start(net, jax.random.key(0)))
    assert convolutional.count(weights) == parameters
    assert resnext.multiply_adds(net) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("name", ["50", "18_32x4d", "50_32xd"])
def test_a_name_that_is_none(name):
    with pytest.raises(ValueError, match=r'name must be like "50_32x4d"'):
        resnext.named(name)


def test_native_predictions_are_jax_s():
    net = resnext.ResNeXt((1, 1, 1, 0), groups=4, width=4, size=32, classes=5)
    weights, kept = weights_of(resnext.start, net)
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    ours = tilewright.compile(lambda *a: resnext.predict(net, *a), weights, kept, x)
    theirs = jax.jit(lambda *a: resnext.predict(net, *a))(weights, kept, x)
    scale = float(np.abs(theirs).max())
    np.testing.assert_allclose(ours(weights, kept, x), theirs, 1e-4, 1e-5 * scale)

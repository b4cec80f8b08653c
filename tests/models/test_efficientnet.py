"""EfficientNets: their sizes are those of the papers, and they compute what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.models.nets import weights_of
from tilewright.models import convolutional, efficientnet
from tilewright.models.convolutional import Norm

SMALL = efficientnet.EfficientNet(width=0.25, depth=0.3, size=32, classes=5)


def images(net, count=2):
    values = np.random.default_rng(0).normal(size=(count, net.size, net.size, 3))
    return values.astype(np.float32)


@pytest.mark.parametrize(
    "name, changes, parameters, millions",
    [
        ("b0", {}, 5_288_548, 385.8),
        ("b0", dict(group=16, expansion=4), 5_913_796, 634.7),
        ("b7", {}, 66_347_960, 37745.9),
        ("lite0", {}, 4_652_008, 385.2),
        ("lite4", {}, 13_006_568, 2553.0),
    ],
)
def test_parameters_and_multiply_adds(name, changes, parameters, millions):
    net = efficientnet.named(name, **changes)
    weights, _ = jax.eval_shape(lambda: efficientnet.start(net, jax.random.key(0)))
    assert convolutional.count(weights) == parameters
    assert efficientnet.multiply_adds(net) / 1e6 == pytest.approx(millions, abs=0.05)


def test_a_start_is_finite_and_has_the_spread_it_should():
    layer = convolutional.Layer(3, 64, 5)
    kernel = np.asarray(convolutional.start_normed(layer, jax.random.key(0)).kernel)
    assert kernel.std() == pytest.approx((2 / (25 * 64)) ** 0.5, rel=0.05)


def test_a_name_that_is_none():
    with pytest.raises(ValueError, match="name must be one of b0, b1"):
        efficientnet.named("b8")


@pytest.mark.parametrize("net", [
    SMALL,
    efficientnet.EfficientNet(0.25, 0.3, 32, 5, lite=True, pad="even"),
    efficientnet.EfficientNet(0.5, 0.3, 32, 5, group=16, expansion=4, norm=Norm("group")),
], ids=["b", "lite", "groups"])  # fmt: skip
def test_native_predictions_are_jax_s(net):
    weights, kept = weights_of(efficientnet.start, net)
    program = tilewright.compile(
        lambda *a: efficientnet.predict(net, *a), weights, kept, images(net)
    )
    ours = program(weights, kept, images(net))
    theirs = jax.jit(lambda *a: efficientnet.predict(net, *a))(weights, kept, images(net))
    scale = float(np.abs(theirs).max())
    np.testing.assert_allclose(ours, theirs, 1e-4, 1e-5 * scale)


def test_training_moves_statistics_and_gradients_are_jax_s():
    """Of a strided convolution and a depthwise one; whole nets amplify rounding without end."""
    dense = convolutional.Layer(3, 8, 3, 2, activation="swish")
    depthwise = convolutional.Layer(8, 8, 5, groups=8)
    weights, kept = (
        tuple(trees)
        for trees in zip(
            *(
                weights_of(
                    lambda layer, key: (
                        convolutional.start_normed(layer, key),
                        convolutional.start_statistics(layer),
                    ),
                    layer,
                )
                for layer in (dense, depthwise)
            ),
            strict=True,
        )
    )

    def loss(weights, kept, x):
        after = []
        for layer, own, old in zip((dense, depthwise), weights, kept, strict=True):
            x, new = convolutional.apply(layer, Norm(), own, old, x, training=True)
            after.append(new)
        return jnp.sum(x**3 * jnp.arange(8.0)), after

    step = jax.value_and_grad(loss, has_aux=True)
    given = weights, kept, np.random.default_rng(0).normal(size=(3, 9, 9, 3)).astype(np.float32)
    ours, theirs = tilewright.compile(step, *given)(*given), jax.jit(step)(*given)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        scale = float(np.abs(other).max(initial=0))
        np.testing.assert_allclose(one, other, 1e-3, 1e-3 * max(scale, 0.1))
    assert (np.asarray(ours[0][1][0].mean) != kept[0].mean).any()


def test_frozen_statistics_give_what_the_norm_says():
    """Folded into the kernel or not."""
    layer = convolutional.Layer(4, 6, 3, stride=2)
    rng = np.random.default_rng(1)
    weights = convolutional.Normed(rng.normal(size=layer.shape), rng.normal(size=6), np.ones(6))
    kept = convolutional.Statistics(rng.normal(size=6), rng.uniform(1, 2, 6))
    x = rng.normal(size=(2, 7, 7, 4))
    norm = Norm()
    found, same = convolutional.apply(layer, norm, weights, kept, x)
    raw = convolutional.convolve(layer, weights.kernel.astype(np.float32), x.astype(np.float32))
    by_hand = (raw - kept.mean) / np.sqrt(kept.variance + norm.epsilon) * weights.scale + 1
    np.testing.assert_allclose(found, by_hand, 1e-4, 1e-4)
    assert same is kept

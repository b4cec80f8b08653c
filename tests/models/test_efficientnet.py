"""EfficientNets: their sizes are those of the papers, and they compute what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tilewright.models import convolutional, efficientnet
from tilewright.models.convolutional import Norm

SMALL = efficientnet.EfficientNet(width=0.25, depth=0.5, size=32, classes=5)


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


def test_a_name_that_is_none():
    with pytest.raises(ValueError, match="name must be one of b0, b1"):
        efficientnet.named("b8")


@pytest.mark.parametrize("net", [
    SMALL,
    efficientnet.EfficientNet(0.25, 0.5, 32, 5, lite=True, pad="even"),
    efficientnet.EfficientNet(0.5, 0.5, 32, 5, group=16, expansion=4, norm=Norm("group")),
], ids=["b", "lite", "groups"])  # fmt: skip
def test_native_predictions_are_jax_s(net):
    weights, kept = efficientnet.start(net, jax.random.key(0))
    program = tilewright.compile(
        lambda *a: efficientnet.predict(net, *a), weights, kept, images(net)
    )
    ours = program(weights, kept, images(net))
    theirs = jax.jit(lambda *a: efficientnet.predict(net, *a))(weights, kept, images(net))
    scale = float(np.abs(theirs).max())
    np.testing.assert_allclose(ours, theirs, 1e-4, 1e-5 * scale)


def test_training_moves_statistics_and_gradients_are_jax_s():
    net = efficientnet.EfficientNet(0.25, 0.3, 16, 5)
    weights, kept = efficientnet.start(net, jax.random.key(0))
    labels = np.array([1, 3, 0])

    def loss(weights, kept, x):
        logits, kept = efficientnet.train(net, weights, kept, x)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
        return -chosen.mean(), kept

    step = jax.value_and_grad(loss, has_aux=True)
    given = weights, kept, images(net, 3)
    ours, theirs = tilewright.compile(step, *given)(*given), jax.jit(step)(*given)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        scale = float(np.abs(other).max(initial=0))
        np.testing.assert_allclose(one, other, 1e-3, 2e-4 * max(scale, 1e-3))
    moved = np.asarray(theirs[0][1].stem.mean)
    assert (moved != np.asarray(kept.stem.mean)).any()


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

"""Images go through a net one after the other, which changes no bit."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.graph.same import assert_same, ops
from tests.machines import STATED, scaled
from tilewright.graph.images import one_by_one
from tilewright.graph.ir import Graph, Node
from tilewright.machine.machine import Machine
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
X, STEM, DEEP, SQUEEZE, DENSE = (
    RANDOM.normal(size=size).astype(np.float32)
    for size in ((4, 6, 5, 3), (3, 3, 3, 8), (3, 3, 1, 8), (8, 8), (8, 2))
)
WEIGHTS = STEM, DEEP, SQUEEZE, DENSE


def machine(tiles: int = 2, size: float = 1 / 256) -> Machine:
    return scaled(STATED, size, 1, tiles, 0)


def convolve(x, kernel, groups=1):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=numbers, feature_group_count=groups
    )


def net(x, stem, deep, squeeze, dense):
    """Everything that a net has between its images and its logits."""
    x = jax.nn.relu(convolve(x, stem) + squeeze[0])
    y = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 1, 1, 1), "SAME")
    y = convolve(jnp.pad(y[:, 1:], ((0, 0), (1, 0), (0, 0), (0, 0))), deep, 8)
    y = y * jax.nn.sigmoid(jnp.mean(y, (1, 2)) @ squeeze)[:, None, None]
    y = jnp.concatenate([x, y, jnp.flip(y, 1)], 3)[..., 4:20:2] + x
    return jnp.mean(y.swapaxes(1, 2), (1, 2)) @ dense


def maps(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.op == "map"]


def test_all_layers_of_a_net_are_one_map_and_its_classifier_takes_all_images():
    make = partial(one_by_one, machine=machine())
    graph = assert_same(make, trace(net, X, *WEIGHTS).graph, [X, *WEIGHTS])
    (node,) = maps(graph)
    assert node.params["length"] == len(X)
    outside = [n for n in graph.nodes if n is not node and n.op != "broadcast"]
    of_images = [n for n in outside if n.output.shape[:1] == (len(X),)]
    assert [(n.op, n.inputs[1].shape) for n in of_images] == [("dot", DENSE.shape)]
    assert [v.shape for v in node.outputs] == [(len(X), len(DENSE))]
    assert all(v.shape[0] == 1 for n in node.bodies[0].nodes if n.op == "conv" for v in n.outputs)


def test_what_mixes_images_stays_outside():
    """A norm by the batch's own statistics between two parts; what follows it hangs on all."""

    def normed(x, stem, deep, squeeze, dense):
        x = convolve(jax.nn.relu(convolve(x, stem)), deep, 8)
        x = (x - jnp.mean(x, (0, 1, 2))) * jnp.arange(4.0)[:, None, None, None]
        return jnp.sum(convolve(x, deep, 8)), x

    make = partial(one_by_one, machine=machine())
    graph = assert_same(make, trace(normed, X, *WEIGHTS).graph, [X, *WEIGHTS])
    (node,) = maps(graph)
    assert [n.op for n in node.bodies[0].nodes].count("conv") == 2
    assert [n.op for n in graph.nodes].count("conv") == 1


def test_gradients_for_weights_sum_over_images_outside():
    def loss(weights, x):
        return jnp.sum(jnp.tanh(net(x, *weights)))

    make = partial(one_by_one, machine=machine())
    traced = trace(jax.grad(loss), WEIGHTS, X).graph
    graph = assert_same(make, traced, [*WEIGHTS, X])
    (node,) = maps(graph)
    assert ops(node.bodies[0]).count("conv") == 3  # one of them a gradient
    assert "conv_filter" not in ops(node.bodies[0])


@pytest.mark.parametrize(
    "why, images, tiles, size",
    [
        ("a single image", 1, 1, 1 / 256),
        ("one tile would do two images, the others one", 4, 3, 1 / 256),
        ("all images' layers are near anyway", 4, 2, 1),
    ],
)
def test_nets_that_stay_as_they_are(why, images, tiles, size):
    graph = trace(net, X[:images], *WEIGHTS).graph
    assert one_by_one(graph, machine(tiles, size)) is graph, why


def test_a_single_layer_stays():
    graph = trace(lambda x, w: jax.nn.relu(convolve(x, w)), X, STEM).graph
    assert one_by_one(graph, machine()) is graph


@pytest.mark.parametrize("tiles", [1, 2, 3, 5])
def test_an_image_has_the_same_bits_alone(tiles):
    x = RANDOM.normal(size=(6, 40, 40, 3)).astype(np.float32)
    wide = [np.repeat(w, 4, -1) for w in WEIGHTS]
    wide[2], wide[3] = np.tile(wide[2], (4, 1)), np.tile(wide[3], (4, 1))

    def fn(x, weights):
        stem, deep, squeeze, dense = weights
        y = jax.nn.relu(convolve(x, stem) + squeeze[0])
        y = convolve(jnp.tanh(convolve(y, deep, 32)), deep, 32)
        return jnp.mean(y, (1, 2)) @ dense

    exe = tilewright.compile(fn, x, wide, tiles=tiles)
    alone = tilewright.compile(fn, x[:1], wide, tiles=1)
    apart = np.concatenate([np.asarray(alone(x[i : i + 1], wide)) for i in range(len(x))])
    np.testing.assert_array_equal(np.asarray(exe(x, wide)), apart)

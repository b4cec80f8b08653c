"""What the gradient of a kernel reads is made a second time, where a layer read it long before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.graph.same import assert_same
from tests.machines import STATED, scaled
from tilewright.graph.ir import Graph
from tilewright.graph.made_twice import kernel_gradient, made_twice
from tilewright.trace import trace

RANDOM = np.random.default_rng(0)
X, W = RANDOM.normal(size=(4, 9, 8, 16)), RANDOM.normal(size=(3, 3, 16, 16)) / 12
GIVEN = X.astype(np.float32), W.astype(np.float32)
SMALL, LARGE = scaled(STATED, 1 / 256, 1, 1, 0), STATED


def convolve(x, w):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=numbers)


def plain(x, w):
    """Twice a convolution and a swish: what the second reads is made of what the first gives."""
    return jnp.sum(convolve(jax.nn.silu(convolve(x, w) * w[0, 0, 0] + w[1, 1, 1]), w) ** 2)


def flat(x, w):
    """The same with a product over places."""
    return jnp.sum((jax.nn.silu(convolve(x, w) * w[0, 0, 0]) @ w[1, 1]) ** 2)


def residual(x, w):
    """Made of two large arrays."""
    return jnp.sum(convolve(jax.nn.silu(convolve(x, w) + x), w) ** 2)


def by_image(x, w):
    """What it is multiplied by repeats along places only."""
    y = convolve(x, w)
    return jnp.sum(convolve(jax.nn.silu(y) * jnp.mean(y, (1, 2))[:, None, None], w) ** 2)


def dear(x, w):
    """Two functions."""
    return jnp.sum(convolve(jnp.tanh(jax.nn.silu(convolve(x, w))), w) ** 2)


def functions(graph: Graph) -> int:
    return sum(node.op == "logistic" for node in graph.nodes)


def step(loss) -> Graph:
    return trace(jax.grad(loss, 1), *GIVEN).graph


@pytest.mark.parametrize("loss", [plain, flat])
def test_images_are_made_again_for_the_gradient(loss):
    graph = step(loss)
    twice = assert_same(lambda graph: made_twice(graph, SMALL), graph, GIVEN)
    assert functions(twice) == functions(graph) + 1
    makers = twice.producers()
    late = [node for node in twice.nodes if kernel_gradient(node)]
    read = [makers.get(node.inputs[i]) for node in late for i in kernel_gradient(node)]
    again = [node for node in read if node and node not in graph.nodes]
    assert [node.op for node in again] == ["mul"]


@pytest.mark.parametrize("loss", [residual, by_image, dear])
def test_what_is_made_of_more_stays(loss):
    graph = step(loss)
    assert functions(made_twice(graph, SMALL)) == functions(graph)


def test_small_images_stay():
    graph = step(plain)
    assert made_twice(graph, LARGE).nodes == graph.nodes


def test_a_forward_pass_stays_as_it_is():
    graph = trace(plain, *GIVEN).graph
    assert made_twice(graph, SMALL) is graph


def kept(x, w):
    """What the first convolution gives is kept in bfloat16."""
    y = convolve(x, w).astype(jnp.bfloat16).astype(jnp.float32)
    return jnp.sum(convolve(jax.nn.silu(y * w[0, 0, 0]), w) ** 2)


def test_what_is_kept_narrow_is_not_made_again():
    graph = step(kept)
    twice = assert_same(lambda graph: made_twice(graph, SMALL), graph, GIVEN)
    assert functions(twice) == functions(graph) + 1
    narrow = [n for n in twice.nodes if n.op == "convert" and n.output.dtype == "bfloat16"]
    assert len(narrow) == sum(n in graph.nodes for n in narrow)

"""Convolutions image by image: what is joined, and the same bits as of each vertex by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.plan.walks.alone import agrees_with_each_alone
from tilewright.models.convolutional import by_batch

RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def convolved(x, w, stride=1):
    kernel, groups = w.shape[0], x.shape[3] // w.shape[2]
    return lax.conv_general_dilated(
        x, w, (stride, stride), [(kernel // 2, kernel // 2)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups,
    )  # fmt: skip


def forward(x, scale, w):
    """What is scaled lies inside a border that is filled image by image, too."""
    return convolved(jax.nn.silu(x * scale), w)


def normed(x, scale, by_image=False):
    return by_batch(1e-3, None, (by_image, by_image), x, scale, scale, scale * 0)[0]  # type: ignore[index]


def step(stride):
    """A step through batch norms, before and after a convolution."""

    def there_and_back(x, scale, w):
        def loss(x, scale, w):
            y = convolved(jax.nn.silu(normed(x, scale)), w, stride)
            return jnp.sum(jnp.square(jnp.tanh(normed(y, scale))))

        return jax.grad(loss, (0, 1, 2))(x, scale, w)

    return there_and_back


def excited(x, scale, w):
    """A step through squeeze-and-excite (Hu et al. 2018), between norms; w (channels, few)."""

    def loss(x, scale, w):
        y = jax.nn.silu(normed(x, scale))
        gate = jax.nn.silu(jnp.mean(y, (1, 2)) @ w) @ w.T
        z = y * jax.nn.sigmoid(gate)[:, None, None] @ w
        return jnp.sum(jnp.square(jnp.tanh(normed(z, scale[: w.shape[1]]))))

    return jax.grad(loss, (0, 1, 2))(x, scale, w)


def waiting(x, scale, w):
    """The second convolution reads what all images of the first give."""
    y = convolved(jax.nn.silu(x * scale), w)
    return convolved(jnp.maximum(y - jnp.mean(y, (0, 1, 2)), 0), w)


CASES = [
    (forward, (20, 19, 21, 48), (3, 3, 1, 48)),
    (step(1), (20, 26, 40, 48), (3, 3, 1, 48)),
    (step(2), (16, 32, 32, 48), (5, 5, 1, 48)),
    (step(2), (12, 37, 35, 32), (3, 3, 16, 32)),
    (excited, (20, 24, 28, 48), (48, 8)),
    (waiting, (12, 20, 20, 64), (3, 3, 1, 64)),
]


def data(image, kernel):
    return normal(*image), normal(image[3]), normal(*kernel)


def spreads(function, *arguments) -> list[list[str]]:
    """The vertices of each spread."""
    text = tilewright.compile(function, *arguments, tiles=1).program
    parts = [part for part in text.split("steps:")[1].split("sync") if " spread " in part]
    return [[line.split()[0] for line in part.splitlines() if "->" in line] for part in parts]


@pytest.mark.parametrize(("function", "image", "kernel"), CASES)
def test_bits_are_those_of_each_by_itself(function, image, kernel, monkeypatch):
    agrees_with_each_alone(
        "image_by_image", function, data(image, kernel), (1, 2, 3, 5), monkeypatch
    )


def test_what_makes_images_and_their_borders_comes_along():
    (names,) = spreads(forward, *data(*CASES[0][1:]))
    assert [name.split("_")[0] for name in names] == ["copy"] * 4 + ["mul", "conv"]


def test_gradients_share_a_walk():
    """With borders around what they read; a kernel's takes an image in strips of leaves, which is
    made of the raw one there and then."""
    walks = [names for names in spreads(step(1), *data(*CASES[1][1:])) if "copy" in names[0]]
    kinds = ["filter" if "filter" in name else name.split("_")[0] for name in walks[-1]]
    assert kinds == 2 * (["copy"] * 4 + ["fused"]) + ["filter"] * 5 + ["conv"]


def test_squeeze_and_excite_is_a_walk():
    """Forward; and backward, from the product that makes the gradient on."""
    walks = [names for names in spreads(excited, *data(*CASES[4][1:])) if "_1_2" in "".join(names)]
    forward, backward = ([name.split("_")[0] for name in names] for names in walks)
    assert forward[0] == "reduce"
    assert forward.count("contract") == 2
    assert backward[:2] == ["contract", "reduce"]
    assert backward.count("contract") == 3


def test_what_must_wait_waits():
    found = spreads(waiting, *data(*CASES[5][1:]))
    together = [sum(name.startswith("conv") for name in names) for names in found]
    assert max(together) == 1
    assert sum(together) == 2


def test_small_images_stay_on_a_tile():
    assert not spreads(forward, *data((8, 4, 4, 8), (3, 3, 1, 8)))


def test_what_lies_between_stays_on_the_tile():
    """The image inside its border: nobody reads it but the convolution."""
    head = tilewright.compile(forward, *data(*CASES[0][1:]), tiles=1).program.splitlines()[0]
    assert head.startswith("program: 0 bytes shared")
    assert " 0 bytes a tile" not in head

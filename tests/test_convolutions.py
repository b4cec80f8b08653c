"""Convolutions in all four ways of running, as users, gradients and `vmap` write them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.agree import agree
from tests.machines import SMALL

IMAGES = ("NHWC", "HWIO", "NHWC")


@pytest.fixture(autouse=True)
def everything_is_spread(monkeypatch):
    """Small arrays are dealt out too."""
    monkeypatch.setattr("tilewright.compiler.host_machine", lambda: SMALL)
    monkeypatch.setattr("tilewright.compiler.recall", lambda text, machine, make: make())


def numbers(*shape, dtype=np.float32, seed=0):
    values = np.random.default_rng([seed, *shape]).normal(size=shape)
    return np.asarray(values).astype(dtype)


def convolution(stride=(1, 1), pad="SAME", dilation=(1, 1), groups=1, numbers=IMAGES, **more):
    def fn(x, w):
        return lax.conv_general_dilated(
            x, w, stride, pad, rhs_dilation=dilation, dimension_numbers=numbers,
            feature_group_count=groups, **more,
        )  # fmt: skip

    return fn


def with_gradients(fn):
    """The result and both gradients, of a sum that weighs each output."""

    def all_three(x, w):
        y, pull = jax.vjp(fn, x, w)
        return y, *pull((jnp.arange(y.size) % 7 - 3.0).astype(y.dtype).reshape(y.shape))

    return all_three


UNEVEN, CROPPED = ((1, 2), (0, 1)), ((-1, 0), (2, -1))

TABLE = {
    "dense": (dict(), (2, 5, 7, 3), (3, 3, 3, 20)),
    "stem": (dict(stride=(2, 2), pad="SAME"), (1, 9, 9, 3), (3, 3, 3, 17)),
    "one tap": (dict(), (2, 3, 5, 9), (1, 1, 9, 18)),
    "one tap, strided": (dict(stride=(2, 2)), (2, 5, 5, 9), (1, 1, 9, 6)),
    "one tap, grouped": (dict(groups=3), (1, 3, 5, 9), (1, 1, 3, 6)),
    "whole image": (dict(pad="VALID"), (2, 3, 5, 4), (3, 5, 4, 6)),
    "depthwise 3": (dict(groups=17), (2, 5, 9, 17), (3, 3, 1, 17)),
    "depthwise 5, strided": (dict(groups=33, stride=(2, 2)), (1, 7, 9, 33), (5, 5, 1, 33)),
    "depthwise 7 x 2, uneven": (dict(groups=8, pad=UNEVEN), (1, 8, 5, 8), (7, 2, 1, 8)),
    "depthwise, two outputs": (dict(groups=5), (1, 4, 5, 5), (3, 1, 1, 10)),
    "groups of 4": (dict(groups=4), (2, 4, 9, 16), (3, 3, 4, 16)),
    "groups of 8, dilated": (dict(groups=2, dilation=(2, 1)), (1, 7, 9, 16), (3, 3, 8, 16)),
    "groups of 16, strided": (
        dict(groups=2, stride=(2, 1), pad=CROPPED), (1, 7, 9, 32), (3, 3, 16, 32),
    ),
    "groups of 32": (dict(groups=2, pad="VALID"), (1, 4, 4, 64), (3, 3, 32, 64)),
    "groups of 3": (dict(groups=4, stride=(3, 2), dilation=(1, 2)), (1, 9, 9, 12), (2, 2, 3, 8)),
    "stride beyond the taps": (dict(stride=(3, 4)), (1, 8, 9, 3), (2, 1, 3, 5)),
    "tall": (dict(pad=((2, 0), (0, 0))), (1, 9, 3, 2), (3, 1, 2, 3)),
    "many terms": (dict(pad="VALID"), (1, 3, 4, 120), (3, 2, 120, 5)),
    "signal": (
        dict(stride=(2,), pad=((1, 2),), dilation=(2,), numbers=("NWC", "WIO", "NWC")),
        (2, 9, 3), (3, 3, 4),
    ),
    "NCHW": (dict(numbers=("NCHW", "OIHW", "NCHW"), groups=2), (2, 4, 5, 6), (6, 2, 3, 3)),
    "kernel beyond the image": (dict(), (1, 2, 2, 3), (5, 5, 3, 4)),
    "no images": (dict(), (0, 5, 5, 3), (3, 3, 3, 4)),
    "no outputs": (dict(pad="VALID"), (1, 2, 2, 3), (3, 3, 3, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_forward_and_both_gradients(name):
    options, x, w = TABLE[name]
    if len(options.get("stride", (1, 1))) == 1:
        options = options | {"dilation": options["dilation"]}
    agree(
        with_gradients(convolution(**options)), numbers(*x), numbers(*w, seed=1), relative=1e-4,
        absolute=1e-4,
    )  # fmt: skip

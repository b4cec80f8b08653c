"""Convolutions in all four ways of running, as users, gradients and `vmap` write them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

import tilewright
from tests.agree import agree
from tests.machines import SMALL
from tests.trace.comparing import ways
from tilewright.errors import UnsupportedError

IMAGES = ("NHWC", "HWIO", "NHWC")


@pytest.fixture(autouse=True, scope="module")
def everything_is_spread():
    """Small arrays are dealt out too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tilewright.compiler.host_machine", lambda: SMALL)
        patch.setattr("tilewright.compilation.recall", lambda text, machine, make: make())
        yield


def numbers(*shape: int, dtype: Any = np.float32, seed=0):
    values = np.random.default_rng([seed, *shape]).normal(size=shape)
    return np.asarray(values).astype(dtype)


def convolution(
    stride: Any = (1, 1), pad: Any = "SAME", dilation=(1, 1), groups=1, numbers=IMAGES, **more
):
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
    "as large as the image": (dict(), (1, 3, 3, 2), (3, 3, 2, 4)),
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


def pooled(x, init, function, size, stride, pad: Any = "SAME", **more):
    return lax.reduce_window(x, init, function, size, stride, pad, **more)


WINDOWS = {
    "maxima": lambda x: pooled(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1)),
    "minima": lambda x: pooled(x, jnp.inf, lax.min, (1, 2, 2, 1), (1, 1, 1, 1), "VALID"),
    "sums": lambda x: pooled(x, 0.0, lax.add, (1, 3, 2, 1), (1, 2, 1, 1)),
    "sums over images, too": lambda x: pooled(x, 0.0, lax.add, (2, 3, 2, 3), (1, 1, 1, 2)),
    "along one dimension": lambda x: pooled(x, -jnp.inf, lax.max, (1, 1, 4, 1), (1, 1, 4, 1)),
    "channels first": lambda x: pooled(
        x.transpose(0, 3, 1, 2), -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"
    ),
    "along time": lambda x: pooled(
        jnp.tile(x.reshape(14, -1), 2), -jnp.inf, lax.max, (1, 20), (1, 1), "VALID"
    ),
    "along time, with borders": lambda x: pooled(x.reshape(-1), 0.0, lax.add, (9,), (1,)),
    "uneven": lambda x: pooled(
        x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 1, 2, 1), ((0, 0), (0, 2), (1, 0), (0, 0))
    ),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_and_their_gradients(name):
    """Elements meet equals; derivatives of both directions."""
    fn, x = WINDOWS[name], numbers(2, 7, 8, 17).round()

    def all_three(x):
        y, pull = jax.vjp(fn, x)
        g = (jnp.arange(y.size) % 7 - 3.0).astype(y.dtype).reshape(y.shape)
        return y, pull(g)[0], jax.jvp(fn, (x,), (x * 0.5 + 1,))[1]

    agree(all_three, x, relative=1e-5, absolute=1e-5)


def test_windows_of_other_kinds():
    def fn(x):
        product = pooled(x, 1.0, lax.mul, (1, 2, 2, 1), (1, 2, 2, 1))

        def larger(a, b):
            return jnp.where(jnp.abs(a) >= jnp.abs(b), a, b)

        length = pooled(x, 0.0, larger, (1, 2, 1, 1), (1, 1, 1, 1))
        spread = pooled(x, 0.0, lax.add, (1, 2, 2, 1), (1, 1, 1, 1), base_dilation=(1, 2, 1, 1))
        half = pooled(x.astype(jnp.bfloat16), 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1))
        whole = pooled(x.astype(jnp.int32), 0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1))
        dilated = pooled(x, jnp.inf, lax.min, (1, 2, 2, 1), (1, 1, 1, 1), "VALID",
                         window_dilation=(1, 2, 3, 1))  # fmt: skip
        cropped = pooled(
            x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 1, 2, 1), ((0, 0), (-1, 2), (1, -1), (0, 0))
        )
        return product, length, spread, half, whole, dilated, cropped

    agree(fn, numbers(1, 5, 6, 3), exact=False, relative=1e-2, absolute=1e-2)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    groups=st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 9)),
    size=st.tuples(st.integers(1, 9), st.integers(1, 19)),
    taps=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    spread=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    pad=st.tuples(*[st.tuples(st.integers(-1, 3), st.integers(-1, 3))] * 2),
)
def test_any_convolution(groups, size, taps, stride, dilation, spread, pad):
    """Evaluated and native programs give the same bits, and JAX's numbers.

    Those are of images padded beforehand: where one is cropped at one end and padded at the other,
    JAX's own backend for processors reads beside it (0.10.2).
    """
    count, channels, out = groups
    x, w = numbers(2, *size, count * channels), numbers(*taps, channels, count * out, seed=1)
    fn = convolution(stride, pad, dilation, count, lhs_dilation=spread)
    edges = [(low, high, step - 1) for (low, high), step in zip(pad, spread, strict=True)]
    try:
        jax.eval_shape(fn, x, w)
    except (TypeError, ValueError):  # negative padding may leave less than nothing
        return
    padded = lax.pad(x, np.float32(0), [(0, 0, 0), *edges, (0, 0, 0)])
    expected = jax.jit(convolution(stride, "VALID", dilation, count))(padded, w)
    evaluated, native = ways(fn, x, w)
    for found in (*evaluated, *native):
        np.testing.assert_allclose(found, expected, 1e-4, 1e-4)
    assert evaluated[0].tobytes() == native[0].tobytes()


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    groups=st.sampled_from([(1, 3, 20), (4, 2, 2), (8, 1, 1), (17, 1, 1), (2, 16, 16), (1, 33, 8)]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 17)),
    taps=st.sampled_from([(1, 1), (2, 2), (3, 3), (5, 5), (7, 7), (3, 1)]),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.sampled_from([(1, 1), (2, 1), (2, 2)]),
    pad=st.sampled_from(["SAME", "VALID", ((1, 2), (0, 1)), ((-1, 0), (2, 0)), ((3, 3), (0, -1))]),
)
def test_gradients_of_any_convolution(groups, size, taps, stride, dilation, pad):
    """Forward and both gradients: bits of the law, JAX's numbers, an image alone as among others.

    No dimension is cropped at one end and padded at the other: there JAX's own backend for
    processors reads beside the image (0.10.2).
    """
    count, channels, out = groups
    x, w = numbers(3, *size, count * channels), numbers(*taps, channels, count * out, seed=1)
    fn = convolution(stride, pad, dilation, count)
    try:
        made = jax.eval_shape(fn, x, w)
    except (TypeError, ValueError):  # negative padding may leave less than nothing
        return
    expected = jax.tree.leaves(jax.jit(with_gradients(fn))(x, w))
    evaluated, native = ways(with_gradients(fn), x, w)
    for one, other, reference in zip(evaluated, native, expected, strict=True):
        assert one.tobytes() == other.tobytes()
        np.testing.assert_allclose(other, reference, 1e-3, 1e-3)
    if made.size:
        alone = np.asarray(tilewright.compile(fn, x[1:2], w)(x[1:2], w))
        assert alone.tobytes() == native[0][1:2].tobytes()


def test_groups_of_images_without_outputs():
    """What comes as a filter gradient may have no taps."""

    def fn(x, w):
        return lax.conv_general_dilated(
            x, w, (2, 3), ((2, -2), (3, 4)), rhs_dilation=(3, 1), batch_group_count=2,
            dimension_numbers=("CHWN", "IHWO", "NCHW"),
        )  # fmt: skip

    agree(with_gradients(fn), numbers(1, 1, 7, 6), numbers(1, 7, 3, 2, seed=1), relative=1e-4)


def total(fn):
    return lambda x, w: jnp.sum(fn(x, w) ** 2)


PROGRAMS = {
    "mapped over images": lambda x, w: jax.vmap(convolution(groups=2), (0, None))(x, w),
    "mapped over kernels": lambda x, w: jax.vmap(convolution(), (None, 0))(
        x[0], jnp.stack([w, w * 2, -w]).repeat(2, 3)
    ),
    "mapped over both": lambda x, w: jax.vmap(convolution(groups=2))(x, jnp.stack([w, w + 1])),
    "gradient of a map": lambda x, w: jax.grad(
        lambda x, w: jnp.sum(jax.vmap(convolution((2, 2), groups=2), (0, None))(x, w) ** 2), (0, 1)
    )(x, w),
    "mapped gradients": lambda x, w: jax.vmap(jax.grad(total(convolution(groups=2)), 1), (0, None))(
        x, w
    ),
    "grad of grad": lambda x, w: jax.grad(
        lambda w: jnp.sum(jax.grad(total(convolution((2, 1), groups=2)), (0))(x[0], w) ** 2)
    )(w),
    "product with a Hessian": lambda x, w: jax.jvp(
        jax.grad(total(convolution((2, 2), "SAME", groups=2)), (0, 1)), (x[0], w), (x[1], w * 0.5)
    )[1],
    "scanned": lambda x, w: lax.scan(
        lambda c, _: (convolution(groups=2)(c, w) * 0.1, c.sum()), x[0], None, length=3
    ),
    "transposed": lambda x, w: lax.conv_transpose(x[0], jnp.tile(w, (1, 1, 2, 1)), (2, 3), "SAME"),
    "gradients of a transposed one": lambda x, w: jax.grad(
        lambda x, w: jnp.sum(lax.conv_transpose(x, w, (2, 2), "VALID") ** 2), (0, 1)
    )(x[0], jnp.tile(w, (1, 1, 2, 1))),
    "image dilated and strided": lambda x, w: lax.conv_general_dilated(
        x[0], w, (2, 3), UNEVEN, (3, 2), dimension_numbers=IMAGES, feature_group_count=2
    ),
    "groups of images": lambda x, w: lax.conv_general_dilated(
        x[0].repeat(2, 3)[..., :2], w, (1, 1), "SAME", dimension_numbers=IMAGES, batch_group_count=2
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_transformations(name):
    x, w = numbers(2, 2, 6, 5, 4), numbers(3, 2, 2, 4, seed=1)
    agree(PROGRAMS[name], x, w, relative=1e-3, absolute=1e-3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int32"])
def test_dtypes(dtype):
    """16-bit floats are summed in float32 and rounded once."""
    wide = jnp.int32 if dtype == "int32" else jnp.float32

    def fn(x, w):
        plain = convolution(groups=2)(x, w)
        return plain, convolution(groups=2, preferred_element_type=wide)(x, w)

    x, w = 3 * numbers(1, 5, 6, 4), numbers(3, 3, 2, 6, seed=1)
    agree(fn, x.astype(dtype), w.astype(dtype), relative=0.02, absolute=0.1)


def test_float64_and_precision():
    with jax.enable_x64(True):
        x, w = numbers(1, 5, 6, 4, dtype=np.float64), numbers(3, 3, 4, 6, dtype=np.float64)
        agree(with_gradients(convolution()), x, w, relative=1e-10, absolute=1e-10)
    x, w = x.astype(np.float32), w.astype(np.float32)
    with jax.default_matmul_precision("bfloat16"):
        rough = tilewright.compile(convolution(), x, w)(x, w)
    exact = tilewright.compile(convolution(precision="highest"), x, w)(x, w)
    expected = jax.jit(convolution())(x, w)
    np.testing.assert_allclose(exact, expected, 1e-4, 1e-4)
    assert 1e-4 < np.max(np.abs(np.asarray(rough) - expected)) < 0.2


def test_three_dimensions_are_not_supported():
    x, w = numbers(1, 3, 3, 3, 2), numbers(2, 2, 2, 2, 4)
    fn = convolution((1, 1, 1), "SAME", (1, 1, 1), numbers=("NDHWC", "DHWIO", "NDHWC"))
    with pytest.raises(UnsupportedError, match="more than two spatial dimensions"):
        tilewright.compile(fn, x, w)


@pytest.mark.parametrize("name", ["dense", "one tap", "depthwise 5, strided", "groups of 4"])
def test_an_image_has_the_same_bits_alone_and_in_a_batch(name):
    options, x, w = TABLE[name]
    fn, images, kernel = convolution(**options), numbers(11, *x[1:]), numbers(*w, seed=1)
    together = np.asarray(tilewright.compile(fn, images, kernel)(images, kernel))
    for i in 0, 4, 10:
        image = images[i : i + 1]
        alone = np.asarray(tilewright.compile(fn, image, kernel)(image, kernel))
        assert alone.tobytes() == together[i : i + 1].tobytes()


def test_one_tap_has_the_bits_of_a_product():
    x, w = numbers(2, 3, 5, 300), numbers(1, 1, 300, 6, seed=1)
    ours = tilewright.compile(convolution(), x, w)(x, w)
    product = tilewright.compile(lambda x, w: x @ w[0, 0], x, w)(x, w)
    assert np.asarray(ours).tobytes() == np.asarray(product).tobytes()
    wider = tilewright.compile(convolution(pad=((0, 0), (0, 1))), x, w)(x, w)
    assert np.asarray(wider)[:, :, :5].tobytes() == np.asarray(product).tobytes()


def test_padding_takes_part_as_zeros_and_holes_do_not():
    """So an infinite weight shows where there is padding, and not where a hole is."""
    x, w = np.ones((1, 1, 3, 1), np.float32), np.array([[[[np.inf]], [[1.0]]]], np.float32)
    padded = tilewright.compile(convolution(pad=((0, 0), (1, 0))), x, w)(x, w)
    assert np.isnan(np.asarray(padded)[0, 0, 0, 0])
    spread = tilewright.compile(lambda x, w: lax.conv_transpose(x, w, (1, 2), "VALID"), x, w)(x, w)
    assert not np.isnan(np.asarray(spread)).any()

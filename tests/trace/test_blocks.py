"""Masks of blocks: JAX's transformations keep them, programs skip what they hide."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import tilewright
from tests.agree import agree
from tests.graph.test_blocks import array, skips
from tilewright.errors import ArgumentError

RANDOM = np.random.default_rng(3)


def case(k: int, n: int, tall: int, density: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """A mask of blocks, and which numbers it leaves."""
    mask = RANDOM.random((-(-k // tall), -(-n // 16))) < density
    return mask, np.repeat(np.repeat(mask, tall, 0), 16, 1)[:k, :n]


@pytest.mark.parametrize(("k", "n", "tall"), [(64, 48, 4), (50, 40, 16), (7, 16, 1)])
def test_value_tangent_and_gradient(k, n, tall):
    mask, left = case(k, n, tall, 0.4)
    w, x, t = array(k, n), array(3, k), array(k, n)

    def loss(w, mask=mask):
        return jnp.sum((x @ tilewright.blocks(w, mask)) ** 3)

    def plain(w):
        return jnp.sum((x @ jnp.where(left, w, 0)) ** 3)

    for ours, theirs in ((loss, plain), (jax.jit(loss), plain), (lambda w: loss(w, left), plain)):
        np.testing.assert_allclose(ours(w), theirs(w), 1e-5)
        np.testing.assert_allclose(jax.grad(ours)(w), jax.grad(theirs)(w), 1e-5, 1e-6)
        assert (np.asarray(jax.grad(ours)(w))[~left] == 0).all()
        for one, other in zip(jax.jvp(ours, (w,), (t,)), jax.jvp(theirs, (w,), (t,)), strict=True):
            np.testing.assert_allclose(one, other, 1e-6)
    stack = np.stack([w, 2 * w], 1)  # along another axis than the first
    found = jax.vmap(lambda w: tilewright.blocks(w, mask), in_axes=1, out_axes=1)(stack)
    np.testing.assert_array_equal(found, jnp.where(left[:, None], stack, 0))
    assert jax.linear_transpose(lambda w: tilewright.blocks(w, mask), w)(t)[0].shape == w.shape


@pytest.mark.parametrize(("k", "n", "tall"), [(64, 48, 4), (50, 40, 16)])
def test_on_all_ways_to_run(k, n, tall):
    mask, _ = case(k, n, tall)

    def gradient(w, x):
        return jax.value_and_grad(lambda w: jnp.sum((x @ tilewright.blocks(w, mask)) ** 2))(w)

    agree(gradient, array(k, n), array(5, k), absolute=1e-4, relative=1e-5)


def test_a_kernel_of_one_tap_and_a_stack():
    mask, left = case(32, 48, 4)
    kernel = array(1, 1, 32, 48)
    agree(lambda w: tilewright.blocks(w, mask) * 2, kernel)
    np.testing.assert_array_equal(tilewright.blocks(kernel, mask)[0, 0], kernel[0, 0] * left)


def test_what_is_bound_is_skipped():
    mask, left = case(128, 96, 4)
    w, x = array(128, 96), array(1, 128)
    program = tilewright.compile(lambda w, x: x @ tilewright.blocks(w, mask), w, x)
    bound = program.bind(w)
    assert skips(bound) == 1
    np.testing.assert_array_equal(
        bound(x), tilewright.compile(jnp.matmul, x, w * left)(x, w * left)
    )
    assert skips(tilewright.compile(lambda x: x @ tilewright.blocks(w, mask), x)) <= 1


@pytest.mark.parametrize("hole", [np.s_[15::16], np.s_[:, 5::16], np.s_[::64, ::32]])
def test_a_mask_with_holes_in_its_blocks(hole):
    """Blocks of 16 lines are skipped, and what the mask has not of a block that is left is zero."""
    _, left = case(128, 256, 16)
    left[hole] = False

    def program(w, x):
        return x @ tilewright.blocks(w, left)

    for rows in (1, 4, 32):
        w, x = array(128, 256), array(rows, 128)
        assert skips(tilewright.compile(program, w, x)) == 1
        agree(program, w, x, absolute=1e-5, simulated=rows == 4)


def test_training_stays_in_the_pattern():
    """A whole descent as one program: what is masked never moves, what is left learns."""
    mask, left = case(32, 32, 4, 0.5)
    x, truth = array(200, 32), array(32, 32) * left
    y, optimiser = x @ truth, optax.adam(0.02)

    def descend(w):
        def step(carry, _):
            w, state = carry

            def loss(w):
                return jnp.mean((x @ tilewright.blocks(w, mask) - y) ** 2)

            value, gradient = jax.value_and_grad(loss)(w)
            updates, state = optimiser.update(gradient, state)
            return (optax.apply_updates(w, updates), state), value

        (w, _), losses = lax.scan(step, (w, optimiser.init(w)), length=200)
        return w, losses

    start = array(32, 32)
    w, losses = tilewright.compile(descend, start)(start)
    np.testing.assert_array_equal(np.asarray(w)[~left], start[~left])
    assert losses[-1] < losses[0] / 100


@pytest.mark.parametrize(
    ("W", "mask", "message"),
    [
        (np.ones(5, np.float32), np.ones(5, bool), "needs a matrix of floats"),
        (np.ones((4, 5), np.int32), np.ones((4, 5), bool), "needs a matrix of floats"),
        (np.ones((8, 20), np.float32), np.ones((2, 2)), "mask of bools"),
        (np.ones((8, 20), np.float32), np.ones((3, 2), bool), r"not \(3, 2\)"),
        (np.ones((8, 20), np.float32), [[True], [True, False]], "rows that are equally long"),
        ("a matrix", np.ones((8, 20), bool), "needs a matrix of floats: "),
        ([[1.0], [2.0, 3.0]], np.ones((2, 2), bool), "needs a matrix of floats: "),
    ],
)
def test_bad_masks(W, mask, message):
    with pytest.raises(ArgumentError, match=message):
        tilewright.blocks(W, mask)


def test_a_mask_that_is_not_known():
    with pytest.raises(ArgumentError, match="known when the function is traced"):
        jax.jit(tilewright.blocks)(np.ones((8, 16), np.float32), np.ones((2, 1), bool))


def test_arguments_are_skipped_where_they_lie():
    """Not bound: in a product, in a loop that reads what was masked before, in a gradient."""
    mask, _ = case(128, 96, 4)
    w, x = array(128, 96), array(3, 128)
    agree(lambda w, x: jnp.tanh(x @ tilewright.blocks(w, mask)), w, x, exact=False, absolute=1e-5)
    program = tilewright.compile(lambda w, x: x @ tilewright.blocks(w, mask) + 1, w, x)
    assert skips(program) == 1
    assert "select" not in program.graph
    assert "in_place" in program.program
    turned = tilewright.compile(lambda w, x: tilewright.blocks(w, mask).T @ x.T, w, x)
    assert skips(turned) == 1
    np.testing.assert_array_equal(turned(w, x).T + 1, program(w, x))
    bound = program.bind(w)
    assert skips(bound) == 1
    assert "in_place" not in bound.program
    np.testing.assert_array_equal(bound(x), program(w, x))

    square, left = case(64, 64, 4)

    def run(w, x):
        w = tilewright.blocks(w, square)
        return lax.fori_loop(0, 4, lambda _, h: jnp.tanh(h @ w) + x, x)

    u, h = array(64, 64), array(40, 64)
    agree(run, u, h, exact=False, absolute=1e-4)
    assert skips(tilewright.compile(run, u, h)) == 1
    grad = jax.grad(lambda w, x: jnp.sum(run(w, x) ** 2))
    agree(grad, u, h, exact=False, absolute=3e-3)
    assert skips(tilewright.compile(grad, u, h)) >= 1
    whole = tilewright.compile(
        lambda w, x: lax.fori_loop(0, 4, lambda _, h: jnp.tanh(h @ w) + x, x), u, h
    )
    np.testing.assert_array_equal(tilewright.compile(run, u, h)(u, h), whole(u * left, h))


NHWC, OIHW, NCHW = (
    ("NHWC", "HWIO", "NHWC"),
    ("NHWC", "OIHW", "NHWC"),
    ("NCHW", "OIHW", "NCHW"),
)


@pytest.mark.parametrize(
    ("order", "stride", "kernel"),
    [
        (NHWC, 1, lambda w: w),
        (NHWC, 2, lambda w: w),
        (OIHW, 1, lambda w: jnp.transpose(w, (3, 2, 0, 1))),
        (NCHW, 1, lambda w: w[0, 0].T[..., None, None]),
    ],
)
def test_kernels_of_one_tap_are_skipped_where_they_lie(order, stride, kernel):
    """An argument, whatever order its dimensions and the image's have: the dense product's bits."""
    mask, left = case(96, 64, 4)
    w = array(1, 1, 96, 64)
    x = array(2, 6, 6, 96) if order[0] == "NHWC" else array(2, 96, 6, 6)

    def conv(w, x):
        w = kernel(w)
        return lax.conv_general_dilated(x, w, (stride, stride), "SAME", dimension_numbers=order) + 1

    def skipping(w, x):
        return conv(tilewright.blocks(w, mask), x)

    program = tilewright.compile(skipping, w, x)
    assert skips(program) == 1
    assert "select" not in program.graph
    np.testing.assert_array_equal(program(w, x), tilewright.compile(conv, w, x)(w * left, x))
    np.testing.assert_array_equal(program(w, x), program.bind(w)(x))
    agree(skipping, w, x)


def test_a_kernel_of_one_tap_that_a_loop_reads():
    mask, left = case(64, 64, 4)
    w, x = array(1, 1, 64, 64), array(2, 5, 5, 64)

    def conv(w, x):
        return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=NHWC)

    def run(w, x, mask=mask):
        w = tilewright.blocks(w, mask)
        return lax.fori_loop(0, 3, lambda _, h: jnp.maximum(conv(w, h), 0) + x, x)

    def whole(w, x):
        return lax.fori_loop(0, 3, lambda _, h: jnp.maximum(conv(w, h), 0) + x, x)

    program = tilewright.compile(run, w, x)
    assert skips(program) == 1
    np.testing.assert_array_equal(program(w, x), tilewright.compile(whole, w, x)(w * left, x))


@pytest.mark.parametrize(
    "other",
    [
        lambda w, x: x @ w[0, 0].T,  # a sum over what a block has beside it
        lambda w, x: x @ w[0, 0].reshape(32, 2, 64)[:, 1].repeat(2, 0),
        lambda w, x: x @ w.reshape(64, 64)[::-1],
        lambda w, x: x @ w.reshape(64, 16, 4).swapaxes(1, 2).reshape(64, 64),
    ],
)
def test_what_is_no_more_the_masked_matrix_is_multiplied_whole(other):
    mask, left = case(64, 64, 4)
    w, x = array(1, 1, 64, 64), array(3, 64)
    program = tilewright.compile(lambda w, x: other(tilewright.blocks(w, mask), x), w, x)
    assert skips(program) == 0
    np.testing.assert_array_equal(program(w, x), tilewright.compile(other, w, x)(w * left, x))


def test_dense_masks_are_multiplied_whole():
    w, x = array(128, 96), array(3, 128)
    for density, count in ((0.9, 0), (0.4, 1)):
        mask, _ = case(128, 96, 4, density)
        program = tilewright.compile(lambda w, x, m=mask: x @ tilewright.blocks(w, m), w, x)
        assert skips(program) == count

"""Matrices of 8-bit integers: what they stand for, their product, how much they err."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.agree import agree
from tilewright.models.quantised import MOST, Quantised, quantised


def array(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def by_hand(x: np.ndarray, W: Quantised) -> np.ndarray:
    """In NumPy: integers in 64 bits, chunks that fit 32 bits added in pairs, in float32."""
    most = MOST[W.rows]
    top = np.abs(x).max(-1, keepdims=True)
    if W.within is None:
        step = top * np.float32(1 / most)
        steps = np.float32(most) / np.where(top > 0, top, np.float32(1))
    else:
        step, steps = np.float32(W.within / most), np.float32(most / W.within)
    rounded = np.round(x * steps).astype(np.int64)
    size = 512 if W.rows == "int16" else 10**6
    sums = []
    for i in range(0, x.shape[-1], size):
        exact = rounded[:, i : i + size] @ np.asarray(W.values[i : i + size], np.int64)
        assert np.abs(exact).max(initial=0) < 2**31
        sums.append(exact.astype(np.float32))
    while len(sums) > 1:
        sums = [sum(sums[i : i + 2][1:], sums[i]) for i in range(0, len(sums), 2)]
    return sums[0] * step * W.scale


@pytest.mark.parametrize("k", [1, 40, 512, 513, 1000, 1100])
@pytest.mark.parametrize("rows", ["int16", "int8"])
@pytest.mark.parametrize("within", [None, 4.0])
def test_product(k, rows, within):
    x, W = np.clip(array(3, k), -4, 4), quantised(array(k, 40, seed=1), rows, within)
    found = tilewright.compile(lambda x, W: x @ W, x, W)(x, W)
    assert found.tobytes() == by_hand(x, W).tobytes()


@pytest.mark.parametrize("k", [512, 513, 1000])
@pytest.mark.parametrize("rows", ["int16", "int8"])
def test_largest_numbers(k, rows):
    """All operands at their limits, of either sign."""
    x = np.ones((2, k), np.float32)
    x[1] = -1
    W = quantised(np.ones((k, 64), np.float32), rows, 1.0)
    assert (np.asarray(W.values) == 127).all()
    found = tilewright.compile(lambda x, W: x @ W, x, W).bind(W=W)(x)
    assert found.tobytes() == by_hand(x, W).tobytes()
    np.testing.assert_allclose(found, [[k] * 64, [-k] * 64], rtol=1e-6)


def test_in_a_loop_on_all_ways_to_run():
    x, W = np.clip(array(2, 640), -1, 1), array(640, 640, seed=1) / 30

    def run(x, W, V):
        def turn(_, h):
            return jnp.clip(h @ W - h @ V, -1, 1)

        return jax.lax.fori_loop(0, 8, turn, x)

    agree(run, x, quantised(W, "int16", 1.0), quantised(W.T, "int8"), absolute=1e-3)


@pytest.mark.parametrize(("rows", "bar"), [("int16", 0.008), ("int8", 0.012)])
def test_error(rows, bar):
    """Uniform rounding of normal weights, and of rows: below one percent of the result."""
    x, W = array(50, 300), array(300, 70, seed=1)
    exact = x.astype(np.float64) @ W.astype(np.float64)
    error = np.asarray(x @ quantised(W, rows)) - exact
    assert 0 < np.sqrt(np.mean(error**2)) < bar * exact.std()


def test_what_it_stands_for():
    W = array(30, 20)
    W[:, 3] = 0
    found = quantised(W)
    assert found.shape == W.shape
    assert np.abs(found.matrix() - W).max() <= np.abs(W).max() / 127 / 2 * 1.0001
    assert (found.matrix()[:, 3] == 0).all()
    part = found[:, 5:9]
    assert (part.matrix() == found.matrix()[:, 5:9]).all()


def test_rows_of_zeros_and_of_no_number():
    x, W = np.zeros((3, 20), np.float32), quantised(array(20, 10))
    x[1, 4], x[2, 5] = np.nan, np.inf
    found = np.asarray(tilewright.compile(lambda x, W: x @ W, x, W)(x, W))
    assert (found[0] == 0).all()
    assert not np.isfinite(found[1:]).any()

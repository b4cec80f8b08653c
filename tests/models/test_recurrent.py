"""Cells against their formulas in NumPy, windows against ticks, counts against the talk's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tilewright.models import recurrent
from tilewright.models.recurrent import Dense, Layer, Recurrent

RANDOM = np.random.default_rng(0)
TALK = Recurrent((Layer("lstm", 16, 256), Layer("lstm", 256, 256)), (Dense(256, 1),))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(layer, cell, xs):
    """h after each row of xs, in float64."""
    W, U, b = (np.asarray(array, np.float64) for array in cell[:3])
    h, c, found, n = np.zeros(layer.hidden), np.zeros(layer.hidden), [], layer.hidden
    for x in np.asarray(xs, np.float64):
        if layer.kind == "lstm":
            i, f, g, o = np.split(x @ W + h @ U + b, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            seen = x @ W + b
            r, z = np.split(sigmoid(seen[: 2 * n] + (h @ U)[: 2 * n]), 2)
            if layer.reset == "after":
                inner = r * ((h @ U)[2 * n :] + np.asarray(cell.d))
            else:
                inner = (r * h) @ U[:, 2 * n :]
            h = (1 - z) * np.tanh(seen[2 * n :] + inner) + z * h
        found.append(h)
    return np.array(found)


def made(net, seed=0):
    """Weights with biases that are not zero."""
    weights = recurrent.initial(net, jax.random.key(seed))
    return jax.tree.map(lambda w: w + 0.1 * RANDOM.normal(size=w.shape).astype(np.float32), weights)


CELLS = [Layer("lstm", 3, 5), Layer("gru", 3, 5), Layer("gru", 3, 5, reset="before")]


@pytest.mark.parametrize("layer", CELLS)
@pytest.mark.parametrize("way", ["forward", "backward"])
def test_a_layer_is_its_formula(layer, way):
    layer = Layer(layer.kind, 3, 5, way, layer.reset)
    net = Recurrent((layer,), reads="every step")
    weights = made(net)
    xs = RANDOM.normal(size=(2, 7, 3)).astype(np.float32)
    for x, found in zip(xs, recurrent.window(net, weights, xs), strict=True):
        turn = slice(None, None, -1 if way == "backward" else 1)
        wanted = by_hand(layer, weights.layers[0][0], x[turn])[turn]
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("layer", CELLS, ids=lambda cell: f"{cell.kind} {cell.reset}")
def test_gradients_are_differences_in_float64(layer):
    """Of a compiled gradient, along five directions, against the formula's central differences."""
    net = Recurrent((layer,), reads="every step")
    weights, xs = made(net), RANDOM.normal(size=(2, 12, 3)).astype(np.float32)
    aims = RANDOM.normal(size=(2, 12, 5)).astype(np.float32)

    def loss(weights):
        return jnp.sum((recurrent.window(net, weights, xs) - aims) ** 2)

    def exact(moved):
        cell = moved.layers[0][0]
        found = np.stack([by_hand(layer, cell, x) for x in xs])
        return np.sum((found - np.asarray(aims, np.float64)) ** 2)

    gradient = jax.tree.leaves(tilewright.compile(jax.grad(loss), weights)(weights))
    leaves, form = jax.tree.flatten(weights)
    for _ in range(5):
        ways = [RANDOM.normal(size=leaf.shape) for leaf in leaves]
        ahead, back = (
            exact(
                form.unflatten([np.float64(w) + e * d for w, d in zip(leaves, ways, strict=True)])
            )
            for e in (1e-5, -1e-5)
        )
        slope = sum(np.sum(np.float64(g) * d) for g, d in zip(gradient, ways, strict=True))
        size = sum(np.sum(np.abs(np.float64(g) * d)) for g, d in zip(gradient, ways, strict=True))
        assert abs(slope - (ahead - back) / 2e-5) < 2e-6 * size


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_ticks_are_the_window(kind):
    net = Recurrent(
        (Layer(kind, 4, 6), Layer(kind, 6, 5)), (Dense(5, 3, "relu"), Dense(3, 2)), "every step"
    )
    weights = made(net)
    xs = RANDOM.normal(size=(3, 9, 4)).astype(np.float32)
    state, answers = recurrent.zero_state(net, (3,)), []
    for x in np.swapaxes(xs, 0, 1):
        state, answer = recurrent.step(net, weights, state, x)
        answers.append(answer)
    window = recurrent.window(net, weights, xs)
    np.testing.assert_allclose(np.stack(answers, 1), window, atol=1e-6)
    last = recurrent.window(Recurrent(net.layers, net.head), weights, xs)
    np.testing.assert_allclose(last, window[:, -1], atol=1e-6)


def test_both_directions_lie_side_by_side_and_end_apart():
    both = Layer("lstm", 3, 4, "both")
    xs = RANDOM.normal(size=(2, 6, 3)).astype(np.float32)
    weights = made(Recurrent((both,)))
    every = recurrent.window(Recurrent((both,), reads="every step"), weights, xs)
    step = recurrent.window(Recurrent((both,), reads="last step"), weights, xs)
    state = recurrent.window(Recurrent((both,), reads="last state"), weights, xs)
    np.testing.assert_array_equal(step, every[:, -1])
    np.testing.assert_array_equal(state[:, :4], every[:, -1, :4])
    np.testing.assert_array_equal(state[:, 4:], every[:, 0, 4:])
    assert not np.allclose(step, state)


def test_the_talks_net_has_the_talks_size():
    assert TALK.parameters - 257 == 804_864
    assert round(TALK.macs(200) / 1e6, 1) == 160.6
    for layer in (*CELLS, Layer("gru", 3, 5, "both")):
        net = Recurrent((layer,), (Dense(layer.outputs, 2),))
        leaves = jax.tree.leaves(recurrent.initial(net, jax.random.key(0)))
        assert net.parameters == sum(leaf.size for leaf in leaves)

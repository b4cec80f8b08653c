"""Truncated back-propagation: each turn's gradient, with the state that was carried into it."""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

from tilewright.models import forecaster, recurrent
from tilewright.models.forecaster import Forecaster
from tilewright.models.recurrent import Layer, Recurrent
from tilewright.sequence import LSTMRegressor, Panel, fitting, pieces
from tilewright.sequence.fitting import Task
from tilewright.sequence.training import Hyper, Recipe, Rows

SEQUENCES, LONG, BACK, TURNS = 4, 24, 8, 3
RANDOM = np.random.default_rng(0)
BEGIN = np.arange(SEQUENCES) * LONG
X = RANDOM.normal(size=(SEQUENCES * LONG, 3)).astype(np.float32)
Y = (X[:, :1] + 0.3 * RANDOM.normal(size=(len(X), 1))).astype(np.float32)
RATE = 0.5
STEP = 1e-5


def after(form, steps, initial):
    """Parameters after so many steps of plain gradient descent, all sequences in each."""
    recipe = Recipe(form, SEQUENCES, BACK, 8, optax.sgd(RATE))
    numbers = map(np.float32, (0.0, 0.0, 1.0, 0.0))
    hyper = Hyper(*numbers, *map(np.int32, (9, 1, steps)))
    learned = pieces.whole(BEGIN, BEGIN + LONG, BEGIN, BACK)
    none = pieces.whole(BEGIN, BEGIN, BEGIN, BACK)
    rows = Rows(X, Y, np.ones((len(X), 1), np.float32))
    keys = jax.vmap(jax.random.key)(np.arange(1))
    stacked = jax.tree.map(lambda leaf: np.asarray(leaf)[None], initial)
    fit = fitting.fitted(recipe, Task(keys, hyper, rows, learned, none, stacked), "native")
    assert int(fit.step[0]) == steps
    return jax.tree.map(lambda leaf: np.asarray(leaf[0]), fit.now)


def read(form, parameters, state, x):
    """Step after step, no scan: the state after x (steps, batch, inputs), and z."""
    said = []
    for row in x:
        state, h = recurrent.step(form.net, parameters.net, state, row)
        said.append(row @ parameters.skip + h @ parameters.out.W + parameters.out.b)
    return state, jnp.stack(said)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gradients_through_chunks_are_differences_in_float64(cell):
    """Of the mean loss of each turn, the carried state held fast; along four directions."""
    form = Forecaster(Recurrent((Layer(cell, 3, 6),), reads="every step"))
    initial = jax.tree.map(
        lambda leaf: np.float32(leaf + 0.2 * RANDOM.normal(size=leaf.shape)),
        forecaster.initial(form, jax.random.key(1)),
    )
    path = [initial, *(after(form, n, initial) for n in range(1, TURNS + 1))]
    x, y = (np.swapaxes(a.reshape(SEQUENCES, LONG, -1), 0, 1).astype(np.float64) for a in (X, Y))
    with jax.enable_x64(True):
        state = jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, jnp.float64),
            recurrent.zero_state(form.net, (SEQUENCES,)),
        )

        @jax.jit
        def loss(parameters, state, x, y):
            state, z = read(form, parameters, state, x)
            return jnp.mean(forecaster.loss(form, parameters, z, y)), state

        for turn, (before, now) in enumerate(pairwise(path)):
            mine = slice(turn * BACK, (turn + 1) * BACK)
            leaves, pattern = jax.tree.flatten(jax.tree.map(np.float64, before))
            found = [(a - b) / RATE for a, b in zip(leaves, jax.tree.leaves(now), strict=True)]
            for _ in range(4):
                ways = [RANDOM.normal(size=leaf.shape) for leaf in leaves]
                ahead, back = (
                    float(loss(
                        pattern.unflatten([w + e * d for w, d in zip(leaves, ways, strict=True)]),
                        state, x[mine], y[mine],
                    )[0])
                    for e in (STEP, -STEP)
                )  # fmt: skip
                slope = sum(np.sum(g * d) for g, d in zip(found, ways, strict=True))
                size = sum(np.sum(np.abs(g * d)) for g, d in zip(found, ways, strict=True))
                assert abs(slope - (ahead - back) / (2 * STEP)) < 1e-5 * size, turn
            state = loss(pattern.unflatten(leaves), state, x[mine], y[mine])[1]


def test_chunks_as_long_as_the_sequence_are_whole_back_propagation():
    """Of the estimator: a state that is carried, or none and no rows before, are equal bits."""
    time, group = np.tile(np.arange(LONG), SEQUENCES), np.repeat(list("abcd"), LONG)
    table = {"time": time, "group": group, "y": Y[:, 0], **dict(zip("uvw", X.T, strict=True))}
    panel = Panel(pd.DataFrame(table), list("uvw"), "y")
    settings: dict[str, Any] = dict(hidden=6, epochs=5, batch_size=2, validation=0.0)
    carried = LSTMRegressor(**settings, steps_back=LONG, carry=True).fit(panel)
    whole = LSTMRegressor(**settings, steps_back=LONG, warm_up=0).fit(panel)
    jax.tree.map(np.testing.assert_array_equal, carried.nets_, whole.nets_)
    cut = LSTMRegressor(**settings, steps_back=BACK, carry=True).fit(panel)
    assert not np.array_equal(cut.nets_.skip, whole.nets_.skip)

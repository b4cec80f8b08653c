"""Cells of libraries, as they are: the numbers of `jax.jit`, the products of our own spelling."""

import jax
import numpy as np
import pytest

import tilewright
from tests.bench.test_spellings import HIDDEN, INPUTS, inside
from tilewright.bench import cells
from tilewright.bench.spellings import program, weights


def given(batch):
    return np.random.default_rng(1).normal(size=(9, batch, INPUTS)).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 20])
def test_equinoxs_cell_gives_the_bits_of_ours(batch):
    pytest.importorskip("equinox")
    ours, xs = weights("lstm", INPUTS, HIDDEN), given(batch)
    held, run = cells.programs("lstm", ours)["equinox's LSTMCell"]
    theirs = tilewright.compile(run, held, xs)
    assert not {"copy", "pack", "transpose"} & set(inside(theirs))
    held_by_us, of_us = program("lstm", "h @ U", ours)
    expected = np.asarray(tilewright.compile(of_us, held_by_us, xs)(held_by_us, xs))
    assert np.asarray(theirs(held, xs)).tobytes() == expected.tobytes()


FLAX = [(kind, name) for kind, names in cells.FLAX.items() for name in names]


@pytest.mark.peers
@pytest.mark.parametrize(("kind", "name"), FLAX)
@pytest.mark.parametrize("batch", [1, 20])
def test_flaxs_cells_under_its_rnn(kind, name, batch):
    pytest.importorskip("flax")
    ours, xs = weights(kind, INPUTS, HIDDEN), given(batch)
    held, run = cells.of_flax(name, ours)
    theirs = tilewright.compile(run, held, xs)
    assert not {"copy", "pack", "transpose"} & set(inside(theirs))
    state = np.asarray(theirs(held, xs))
    np.testing.assert_allclose(state, jax.jit(run)(held, xs), 1e-4, 1e-6)
    held_by_us, of_us = program(kind, "a product a gate", ours)
    expected = tilewright.compile(of_us, held_by_us, xs)(held_by_us, xs)
    np.testing.assert_allclose(state, expected, 1e-4, 1e-6)


@pytest.mark.peers
def test_flax_as_a_user_calls_it():
    """All states of sequences, (batch, steps, inputs) -> (batch, steps, hidden)."""
    nn = pytest.importorskip("flax.linen")
    xs = np.random.default_rng(2).normal(size=(3, 9, INPUTS)).astype(np.float32)
    rnn = nn.RNN(nn.OptimizedLSTMCell(features=HIDDEN))
    variables = rnn.init(jax.random.key(0), xs)
    answers = tilewright.compile(rnn.apply, variables, xs)(variables, xs)
    assert answers.shape == (3, 9, HIDDEN)
    np.testing.assert_allclose(answers, jax.jit(rnn.apply)(variables, xs), 1e-4, 1e-6)

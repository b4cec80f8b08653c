"""Answers of the short way are those of the long one, each in memory of its own."""

import numpy as np
import pytest

import tilewright
from tilewright.errors import ArgumentError
from tilewright.runtime import signals
from tilewright.runtime.stateful import Stateful

W = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


def step(w, state, x):
    state = 0.5 * state + x @ w
    return state, state.sum(-1)


@pytest.fixture(scope="module")
def program() -> Stateful:
    state, x = np.zeros((2, 4), np.float32), np.zeros((2, 3), np.float32)
    made = tilewright.compile(step, W, state, x, state="state", tiles=1)
    assert isinstance(made, Stateful)
    return made.bind(W)


def test_answers_stay_as_they_were(program):
    xs = np.random.default_rng(0).normal(size=(6, 2, 3)).astype(np.float32)
    short, long = program.fork(), program.fork()
    found = [short.answer(x) for x in xs]
    wanted = [long(x) for x in xs]
    assert np.stack(found).tobytes() == np.stack(wanted).tobytes()
    assert len({y.ctypes.data for y in found}) == len(found)
    assert all(y.flags.owndata and y.flags.writeable for y in found)


def test_what_is_not_as_usual_goes_the_long_way(program):
    x = np.ones((2, 3), np.float32)
    wanted = program.fork()(x).tobytes()
    assert program.fork().answer(x.astype(np.float64)).tobytes() == wanted
    assert program.fork().answer(x=x).tobytes() == wanted
    assert program.fork().answer(np.asfortranarray(x)).tobytes() == wanted
    asleep = program.fork()
    signals.watcher.awake = False
    assert asleep.answer(x).tobytes() == wanted
    assert signals.watcher.awake


def test_a_refused_tick_changes_nothing(program):
    mine = program.fork()
    mine.answer(np.ones((2, 3), np.float32))
    before, calls = mine.state.tobytes(), mine.calls
    for bad in (np.ones((2, 2), np.float32), np.ones((2, 3), np.int32)):
        with pytest.raises(ArgumentError, match="x has"):
            mine.answer(bad)
    assert (mine.state.tobytes(), mine.calls) == (before, calls)

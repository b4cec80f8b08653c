"""Answers of the short way are those of the long one, each in memory of its own."""

import threading
from types import SimpleNamespace

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


def test_a_ticker_answers_what_is_prepared(program):
    xs = np.random.default_rng(1).normal(size=(6, 2, 3)).astype(np.float32)
    short, long = program.fork(), program.fork()
    short.answer(xs[0])
    tick, wanted = short.ticker(), [long(x) for x in xs][1:]
    found = []
    for x in xs[1:]:
        short.prepare()
        found.append(tick(x))
    assert np.stack(found).tobytes() == np.stack(wanted).tobytes()
    assert all(y.flags.owndata and y.flags.writeable for y in found)
    assert (short.calls, short.late) == (6, 1)
    assert short.state.tobytes() == long.state.tobytes()


@pytest.mark.parametrize("shape", [(), (5,), (3, 7)])
def test_a_ticker_answers_into_an_array_that_was_made_before(shape):
    """Of which earlier ones know nothing, wherever their data begin."""
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    made = tilewright.compile(lambda state, x: (state + x, state - x), x, x, state="state", tiles=1)
    assert isinstance(made, Stateful)
    made.answer(x)
    tick, found, wanted = made.ticker(), [], []
    for _ in range(20):
        made.prepare()
        assert made._split is not None
        (memory,) = made._split.next
        wanted.append(made.state - x)
        found.append(tick(x))
        assert found[-1] is memory
    assert np.stack(found).tobytes() == np.stack(wanted).tobytes()
    assert len({id(y) for y in found}) == len(found)


def test_a_ticker_is_made_while_no_other_thread_answers(program, monkeypatch):
    """Else what an answer has left to be settled would be lost with the parts that it ran."""
    mine, made, taken = program.fork(), Stateful._made_split, []

    def try_to_take():
        taken.append(mine.lock.acquire(blocking=False))
        if taken[-1]:
            mine.lock.release()

    def watched(self):
        other = threading.Thread(target=try_to_take)
        other.start()
        other.join()
        return made(self)

    monkeypatch.setattr(Stateful, "_made_split", watched)
    mine.ticker()
    assert taken == [False]


def test_a_ticker_does_nothing_of_what_is_not_as_usual(program):
    x = np.ones((2, 3), np.float32)
    mine = program.refusing_gaps()
    tick = mine.ticker()
    assert tick(x) is None, "nothing is prepared, and the thread for signals may be asleep"
    mine.answer(x)
    assert tick(x) is None, "nobody has prepared since"
    before, calls = mine.state.tobytes(), mine.calls
    mine.prepare()
    bad = [x[:1], x[0], x.astype(np.float64), x.tolist(), None, x * np.nan, np.asfortranarray(x)]
    assert all(tick(value) is None for value in bad)
    signals.watcher.awake = False
    assert tick(x) is None
    assert (mine.state.tobytes(), mine.calls) == (before, calls)
    assert mine.answer(x).shape == (2,), "and the long way goes on from there"


def test_a_ticker_of_several_results_does_nothing():
    def two(state, x):
        return state + x, x, 2 * x

    x = np.ones((2, 3), np.float32)
    made = tilewright.compile(two, x, x, state="state", tiles=1)
    assert isinstance(made, Stateful)
    made.prepare()
    assert made.ticker()(x) is None
    assert [y.tolist() for y in made.answer(x)] == [x.tolist(), (2 * x).tolist()]


def test_tickers_of_threads_wait_for_each_other(program):
    x, mine = np.ones((2, 3), np.float32), program.fork()
    mine.answer(x)
    tick, found = mine.ticker(), []

    def work():
        for _ in range(200):
            mine.prepare()
            found.append(tick(x))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mine.calls == 1 + sum(y is not None for y in found)
    alone = program.fork()
    for _ in range(mine.calls):
        alone(x)
    assert mine.state.tobytes() == alone.state.tobytes()


def test_a_ticker_that_is_interrupted_leaves_a_state_that_is_refused(program, monkeypatch):
    """As a signal's handler that raises does."""
    x, mine = np.ones((2, 3), np.float32), program.fork()
    mine.answer(x)
    mine.prepare()
    _, fresh = mine._split.way

    def raising(leaves, memory):
        raise KeyboardInterrupt

    monkeypatch.setattr(mine._split, "way", (SimpleNamespace(apply=raising), fresh))
    with pytest.raises(KeyboardInterrupt):
        mine.ticker()(x)
    with pytest.raises(RuntimeError, match="neither old nor new"):
        mine.answer(x)
    mine.reset()
    assert mine.answer(x).shape == (2,)

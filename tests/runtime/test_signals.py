"""Signals while a program runs: handlers run in the middle of it, and one that raises ends it."""

import signal
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.agree import on_tiles
from tests.runtime.programs import add, endless, squares
from tilewright.runtime import signals

X = np.arange(4, dtype=np.float32)


@pytest.fixture
def alarm():
    """A timer's signal in 20 ms; gives a function that sets its handler."""
    before = signal.getsignal(signal.SIGALRM)

    def handle(handler):
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.02)

    yield handle
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("workers", [1, 2])
def test_handlers_run_while_the_program_does(alarm, workers):
    """It goes on when a handler returns, which may call programs, and ends when one raises."""
    call, other, rows, seen = endless(workers), add(), squares(3), []
    rows(X.repeat(3).reshape(3, 4))

    def handler(number, frame):
        seen.append(float(other(X, X)[1]))
        seen.append(float(rows(X.repeat(3).reshape(3, 4))[0, 0]))
        if len(seen) == 6:
            raise TimeoutError("enough")
        signal.setitimer(signal.ITIMER_REAL, 0.02)

    alarm(handler)
    with pytest.raises(TimeoutError, match="enough"):
        call()
    assert seen == [2.0, 0.0] * 3
    np.testing.assert_array_equal(other(X, X), 2 * X)


def test_handlers_compute_as_python_does(alarm):
    """Programs flush denormals; a handler in the middle of one must not."""
    tiny = np.finfo(np.float32).tiny
    seen = []

    def handler(number, frame):
        seen.append(float(tiny / np.float32(2)))
        raise TimeoutError

    alarm(handler)
    with pytest.raises(TimeoutError):
        endless(1)()
    assert seen[0] > 0


def loops(x):
    """Loops of every kind: some with steps of their own, some whole in one function."""

    def search(x):
        return lax.while_loop(
            lambda c: c[0] < 3e4, lambda c: (c[0] + 1, c[1] * 0.999 + x), (0.0, x)
        )

    def turn(carry, _):
        carry = carry + jnp.stack([search(c)[1] for c in (carry[0], carry[1])]).sum()
        return jnp.tanh(carry @ jnp.ones((x.size, x.size))), carry[0]

    return lax.scan(turn, x, None, length=20), lax.map(lambda r: search(r)[1], x)


@pytest.mark.parametrize("tiles", [1, 3])
def test_looking_for_signals_changes_nothing(monkeypatch, tiles):
    x = np.linspace(0, 1, 8, dtype=np.float32)
    program = on_tiles(tiles, loops, x)
    expected = jax.tree.leaves(program(x))
    monkeypatch.setattr(signals, "PERIOD", 1e-5)
    signals.watcher.wake()
    time.sleep(2 * 0.03)
    for _ in range(3):
        for ours, theirs in zip(jax.tree.leaves(program(x)), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_the_watcher_sleeps_when_nothing_runs_and_is_woken(monkeypatch):
    monkeypatch.setattr(signals, "PERIOD", 0.001)
    call = add()
    call(X, X)
    deadline = time.monotonic() + 5
    while signals.watcher.awake and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not signals.watcher.awake
    timer = threading.Timer(0.2, signal.pthread_kill, [threading.get_ident(), signal.SIGINT])
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        endless(1)()
    assert time.monotonic() - start < 1.0


def test_calls_of_other_threads_do_not_handle_signals(alarm):
    """Python's handlers belong to the main thread, which is free meanwhile."""
    handled = []
    alarm(lambda number, frame: handled.append(threading.current_thread()))
    with endless(2).start():
        time.sleep(0.2)
    assert set(handled) == {threading.main_thread()}


@pytest.mark.parametrize("workers", [1, 2])
def test_at_the_end_of_a_process_what_runs_is_stopped_and_has_ended(monkeypatch, workers):
    """Memory is taken away after that."""
    monkeypatch.setattr(signals, "END", 20.0)
    run = endless(workers).start()
    while not run._frame.job.running:
        time.sleep(0.001)
    start = time.monotonic()
    signals.stop_all()
    assert time.monotonic() - start < 10
    assert not run._frame.job.running
    assert run.cancelled
    run.cancel_and_wait()

"""Runs in the background: progress, instances, streaming, cancelling."""

import gc
import signal
import threading
import time

import jax
import numpy as np
import pytest

from tests.runtime.programs import (
    add,
    barriers,
    endless,
    executable,
    field,
    pointers,
    program,
    squares,
)
from tilewright.graph.ir import Type
from tilewright.runtime.run import CancelledError
from tilewright.tree import tree_of

X = np.arange(4000, dtype=np.float32).reshape(1000, 4)


def test_result_and_progress():
    run = squares(1000).start(X)
    np.testing.assert_array_equal(run.result(10), X * X)
    assert run.done
    assert run.progress().completed == run.progress().total == 1000


def test_trips_are_summed_over_workers():
    run = barriers(40, 2).start(np.ones((2, 8), np.int64))
    run.wait()
    assert run.progress().trips == {"rounds": 80}


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_finished_gives_every_instance_once(ordered, stream):
    run = squares(1000, spin=100).start(X, stream=stream, slots=7 if stream else None)
    got = list(run.finished(10, ordered=ordered))
    indices = [index for index, _ in got]
    assert sorted(indices) == list(range(1000))
    assert not ordered or indices == sorted(indices)
    for index, row in got:
        np.testing.assert_array_equal(row, X[index] ** 2)


def settle(run, completed):
    """The run gets as far as that, and no further."""
    deadline = time.monotonic() + 10
    while run.progress().completed < completed and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert run.progress().completed == completed


def test_streaming_is_bounded():
    """Without a reader, no more than the ring is worked on, and the ring is all there is."""
    run = squares(1000).start(X, stream=True, slots=8)
    settle(run, 8)
    assert run._stream._outputs[0].shape == run._stream._inputs[0].shape == (8, 4)
    taken = run.finished(10)
    for _ in range(3):
        next(taken)
    settle(run, 11)
    run.cancel_and_wait()


def test_streaming_result():
    call = squares(1000)
    np.testing.assert_array_equal(call.start(X, stream=True, slots=8).result(10), X * X)
    run = call.start(X, stream=True, slots=8)
    next(run.finished(10))
    with pytest.raises(RuntimeError, match="no instance was taken"):
        run.result()
    run.cancel_and_wait()


def test_finished_has_the_tree_of_the_result():
    tree = tree_of(jax.tree_util.tree_structure({"square": 0}))
    run = squares(5, out_tree=tree).start(X[:5])
    for index, result in run.finished(10):
        np.testing.assert_array_equal(result["square"], X[index] ** 2)


def test_nothing_to_stream():
    x = np.zeros(4, np.float32)
    with pytest.raises(ValueError, match="no map"):
        add().start(x, x, stream=True)
    run = add().start(x, x)
    with pytest.raises(ValueError, match="no map"):
        run.finished()


def test_it_shows_how_far_it_is():
    run = squares(1000, name="square").start(X)
    run.wait()
    assert repr(run) == "<Run square: 1,000 of 1,000 instances, done>"
    with endless(1).start() as run:
        assert repr(run) == "<Run program: running>"
    assert repr(run) == "<Run program: cancelled>"


def seconds_to_cancel(workers):
    run = endless(workers).start()
    time.sleep(0.05)
    assert not run.done
    start = time.monotonic()
    run.cancel()
    assert run.wait(5)
    seconds = time.monotonic() - start
    with pytest.raises(CancelledError):
        run.result()
    return seconds


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_cancel_takes_less_than_a_fifth_of_a_second(workers, monkeypatch):
    """The best of a few: other processes may have the CPUs for a while."""
    monkeypatch.setattr("tilewright.runtime.executable.default_workers", lambda: workers)
    assert min(seconds_to_cancel(workers) for _ in range(3)) < 0.2


def test_a_cancelled_stream_raises():
    run = squares(1000).start(X, stream=True, slots=4)
    taken = run.finished(10)
    next(taken)
    run.cancel_and_wait()
    with pytest.raises(CancelledError):
        list(taken)


def test_a_program_runs_again_after_a_cancelled_one():
    with endless(2).start():
        time.sleep(0.02)
    call = barriers(100, 2)
    start = np.ones((2, 8), np.int64)
    np.testing.assert_array_equal(call(start)[:, 0], call(start)[:, 0])


def test_timeouts():
    with endless(2).start() as run:
        assert not run.wait(0.02)
        with pytest.raises(TimeoutError):
            run.result(0.02)
    stuck = squares(3, spin=10**9).start(X[:3])
    with stuck, pytest.raises(TimeoutError):
        next(stuck.finished(0.02))


def test_a_forgotten_run_is_cancelled():
    run = endless(2).start()
    job = run._job
    del run
    gc.collect()
    assert job.ended.wait(1)


def test_calls_inside_the_loop_over_a_stream():
    """The gang is busy with a stream that waits for us: others run alone, and nothing deadlocks."""
    call, other = squares(1000), squares(20)
    with call.start(X, stream=True, slots=4) as outer:
        for count, (_, _) in enumerate(outer.finished(10)):
            np.testing.assert_array_equal(other(X[:20]), X[:20] ** 2)
            if count == 10:
                inner = call.start(X, stream=True, slots=4)
                assert len(list(inner.finished(10))) == 1000
                break


def test_a_frame_that_ran_alone_has_all_its_workers_again():
    """Who comes while a stream has the gang runs on one thread, and on all of them afterwards."""
    body = f"""{pointers(0, 1)}{field("workers", "i64")}
  store i64 %workers, ptr %out0, align 8
  %meet = call i32 @tw_barrier(ptr %context, i64 %worker)
  ret i32 %meet"""
    outputs = (Type("int64", ()),)
    call = executable(program(body), inputs=(), outputs=outputs, shared_work=True, tiles=2)
    assert call.workers == 2
    assert call() == 2
    with squares(1000).start(X, stream=True, slots=4) as stream:
        next(stream.finished(10))
        assert call() == 1
    for _ in range(10):  # the stream lets go of the gang when it has ended
        if (workers := call()) == 2:
            break
        time.sleep(0.05)
    assert workers == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_interrupt_ends_a_call(workers):
    call = endless(workers)
    main = threading.get_ident()
    timer = threading.Timer(0.2, signal.pthread_kill, [main, signal.SIGINT])
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        call()
    assert time.monotonic() - start < 1.0
    run = barriers(10, 2).start(np.ones((2, 8), np.int64))
    assert run.wait(5)


def test_two_signals_at_once_end_a_call(monkeypatch):
    """The second one's exception may come while the first one's is handled."""

    def terminate(number, frame):
        raise SystemExit(number)

    before = signal.signal(signal.SIGTERM, terminate)
    call, main = endless(2), threading.get_ident()

    def both():
        signal.pthread_kill(main, signal.SIGINT)
        signal.pthread_kill(main, signal.SIGTERM)

    try:
        for _ in range(5):
            threading.Timer(0.1, both).start()
            with pytest.raises((KeyboardInterrupt, SystemExit)):
                call()
            stopped = squares(100)  # the gang is free, and nothing runs any more
            np.testing.assert_array_equal(stopped(X[:100]), X[:100] ** 2)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_several_threads_take_from_one_stream():
    """No slot is given back to the program before its row has been copied."""
    run = squares(1000).start(X, stream=True, slots=3)
    rows: list[tuple[int, np.ndarray]] = []
    readers = [threading.Thread(target=lambda: rows.extend(run.finished(10))) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(30)
    assert sorted(index for index, _ in rows) == list(range(1000))
    for index, row in rows:
        np.testing.assert_array_equal(row, X[index] ** 2)


def test_reading_many_instances_takes_time_in_proportion():
    many = np.ones((30_000, 4), np.float32)
    start = time.monotonic()
    assert len(list(squares(len(many)).start(many).finished(10))) == len(many)
    assert time.monotonic() - start < 10


def test_a_run_that_waits_for_its_turn_can_be_cancelled():
    with endless(2).start(), squares(1000).start(X) as waiting:
        start = time.monotonic()
        waiting.cancel_and_wait()
        assert time.monotonic() - start < 0.2
        with pytest.raises(CancelledError):
            waiting.result()

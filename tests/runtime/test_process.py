"""Fork, exit and Ctrl-C, each in a process of its own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = """
import numpy as np, os, sys, threading, time
from tests.runtime.programs import add, barriers, endless, squares
x = np.arange(4, dtype=np.float32)
rows = np.arange(400, dtype=np.float32).reshape(100, 4)
"""


def run(text: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", HEAD + text],
        capture_output=True,
        text=True,
        timeout=20,
        cwd=ROOT,
        check=False,
        **options,
    )


def check(text: str) -> str:
    done = run(text)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


FORK = """
call, mapped = add(), squares(100)
assert (mapped(rows) == rows * rows).all()
{before}
child = os.fork()
if child == 0:
    good = (mapped(rows) == rows * rows).all() and (call(x, x) == 2 * x).all()
    sys.exit(0 if good else 3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert (mapped(rows) == rows * rows).all()
"""


def test_a_child_has_a_gang_of_its_own():
    check(FORK.format(before=""))


def test_a_fork_while_the_gang_is_busy():
    check(FORK.format(before="run = mapped.start(rows, stream=True, slots=2)"))


def test_a_fork_inside_of_a_run():
    """The child leaves the run behind, and has threads of its own."""
    check("""
from tilewright.runtime.run import CancelledError
mapped = squares(100)
with endless(2).start() as run:
    child = os.fork()
    if child == 0:
        assert run.done
        try:
            run.result(timeout=5)
            os._exit(4)
        except CancelledError as error:
            assert "forked" in str(error)
        run.cancel_and_wait()
        assert (mapped(rows) == rows * rows).all()
        os._exit(0)
    assert not run.done
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
""")


def test_threads_that_cannot_be_pinned_work_all_the_same():
    check("""
def refuse(*_):
    raise OSError(22, "Invalid argument")
os.sched_setaffinity = refuse
assert (squares(100)(rows) == rows * rows).all()
""")


def test_exit_while_nothing_runs():
    check("assert (squares(100)(rows) == rows * rows).all()")


def test_exit_while_a_run_is_under_way():
    start = time.monotonic()
    check("run = endless(2).start(); time.sleep(0.1)")
    assert time.monotonic() - start < 5


def test_exit_while_another_thread_is_in_a_long_call():
    start = time.monotonic()
    check("threading.Thread(target=endless(2), daemon=True).start(); time.sleep(0.2)")
    assert time.monotonic() - start < 5


def test_exit_while_a_stream_waits_for_its_reader():
    check("run = squares(100).start(rows, stream=True, slots=2); time.sleep(0.1)")


def test_exit_while_other_threads_call():
    check("""
call = squares(100)
def work():
    while True:
        call(rows)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
""")


def test_first_use_in_a_thread():
    check("""
def work():
    assert (squares(100)(rows) == rows * rows).all()
    print("fine")
thread = threading.Thread(target=work)
thread.start()
thread.join()
""")


def test_interrupt_from_the_keyboard():
    text = HEAD + "print('ready', flush=True)\nendless(2)()\n"
    child = subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(0.5)
    assert child.poll() is None
    start = time.monotonic()
    child.send_signal(signal.SIGINT)
    try:
        _, errors = child.communicate(timeout=10)
    finally:
        child.kill()
    assert time.monotonic() - start < 1.0
    assert b"KeyboardInterrupt" in errors


def test_threads_stay_within_the_allowed_cpus():
    out = check("""
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
assert (squares(100)(rows) == rows * rows).all()
from tilewright.runtime.gang import default_workers, gang
allowed = os.sched_getaffinity(0)
assert all(os.sched_getaffinity(t.native_id) <= allowed for t in gang()._threads)
print(default_workers(), len(gang()._threads))
""")
    assert out.split() == ["1", "1"]

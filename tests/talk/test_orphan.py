"""A process that would outlast the one that started it does not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHILD = """
import sys, time
from tilewright.talk.orphan import end_with_parent
end_with_parent(int(sys.argv[1]))
print("begun", flush=True)
time.sleep(600)
"""
PARENT = f"""
import os, subprocess, sys
command = [sys.executable, "-c", {CHILD!r}, str(os.getpid())]
child = subprocess.Popen(command, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_step_ends_with_whoever_asked_for_it():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout as said:
        child = int(said.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 30
    while alive(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(child)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_step_whose_asker_is_gone_already_ends_at_once():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    late = [sys.executable, "-c", CHILD, str(gone.pid)]
    said = subprocess.run(late, capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stdout) == (1, "")
    assert "whoever asked for this step is gone" in said.stderr


def alive(pid: int) -> bool:
    """Neither gone nor a zombie that waits for somebody to look."""
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False

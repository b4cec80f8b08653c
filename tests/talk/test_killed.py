"""`tilewright talk` killed with SIGKILL between two steps and called again: what is done stays."""

import os
import signal
import subprocess
import sys
import time
from html import escape
from pathlib import Path

import pytest

from tilewright.talk.argument import SWITCHES
from tilewright.talk.record import load

pytestmark = pytest.mark.slow
CODE = "from tilewright.cli import main; main()"


def called(folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", CODE, "talk", "--only", "argument", "--out", folder]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)


def test_it_goes_on(tmp_path):
    process, path = called(tmp_path), tmp_path / "talk.json"
    while not path.exists() or len(load(path).outcomes) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "talk.html").exists()
    before = dict(load(path).outcomes)
    assert called(tmp_path).wait() == 0
    after = load(path).outcomes
    kept = {n: o for n, o in after.items() if n in before and not o.conditions.get("repeated")}
    assert kept == {name: before[name] for name in kept}  # what others disturbed is done again
    assert list(after) == [f"argument: {name}" for name in SWITCHES]
    page = (tmp_path / "talk.html").read_text()
    assert [name for name in SWITCHES if escape(name) not in page] == []

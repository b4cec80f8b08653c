"""Ten thousand windows need hardly more memory than a hundred, and are found again at once."""

import gc
import subprocess
import sys
import time
import tracemalloc
from copy import deepcopy
from typing import Any

import pytest

from tests.alpha.scale.many_windows import SETTINGS, Copies, table_of
from tests.alpha.scale.small import Listener
from tilewright.alpha.scale import walk as module
from tilewright.alpha.scale.material import Task
from tilewright.cli import NOTHING_TO_READ

FEW, MORE = 50, 150
RESUMED = 5
"""Seconds at most, of all that there is to do where all is done; from a shell, with its start."""
GROWTH = 2000
"""Bytes a finished window may leave behind, with what JAX keeps of its first ones: no arrays."""


class Fresh(Copies):
    """Each window has arrays of its own."""

    def given(self, task: Task) -> Any:
        return deepcopy(super().given(task))


class Scales(Listener):
    """How many bytes of Python's objects came after some windows, and stay."""

    left = 0

    def window(self, found, done: int, wanted: int) -> None:
        super().window(None, done, wanted)
        if done == FEW:
            tracemalloc.start()
        if done == MORE:
            gc.collect()
            self.left = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()


def test_finished_windows_leave_nothing_in_memory_and_are_not_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_crew", lambda cluster, level: Fresh())
    table, scales = table_of(MORE), Scales()
    module.walk(table, SETTINGS, tmp_path / "job", scales)
    assert 0 < scales.left < GROWTH * (MORE - FEW)
    again = Listener()
    found = module.walk(table, SETTINGS, tmp_path / "job", again)
    assert not again.done
    assert sum(1 for _ in found.scored()) == MORE


def ran(folder, count: int) -> tuple[float, float, int]:
    """Peak bytes, seconds of the walk, whole windows."""
    command = [sys.executable, "-m", "tests.alpha.scale.many_windows", str(folder), str(count)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, seconds, windows = found.stdout.split()
    return float(peak), float(seconds), int(windows)


@pytest.mark.slow
def test_memory_and_resuming(tmp_path):
    few, _, windows = ran(tmp_path / "few", 100)
    assert windows == 100
    many, _, windows = ran(tmp_path / "many", 10_000)
    assert windows == 10_000
    assert many <= 1.2 * few
    again, seconds, _ = ran(tmp_path / "many", 10_000)
    assert again <= 1.2 * few
    assert seconds <= RESUMED
    reported(tmp_path / "many")
    began = time.monotonic()
    reported(tmp_path / "many")
    assert time.monotonic() - began <= RESUMED


def reported(folder) -> None:
    """Go on with a job from a shell, to its report; none of these windows can be read."""
    command = [sys.executable, "-c", "from tilewright.cli import main; main()", "alpha", "resume"]
    found = subprocess.run([*command, str(folder)], capture_output=True, text=True)
    assert found.returncode == NOTHING_TO_READ, found.stderr

"""Ten thousand windows need hardly more memory than a hundred, and are found again at once."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def ran(folder, count: int) -> tuple[float, float, int]:
    """Peak bytes, seconds of the walk, whole windows."""
    command = [sys.executable, "-m", "tests.alpha.scale.many_windows", str(folder), str(count)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, seconds, windows = found.stdout.split()
    return float(peak), float(seconds), int(windows)


def test_memory_and_resuming(tmp_path):
    few, _, windows = ran(tmp_path / "few", 100)
    assert windows == 100
    many, _, windows = ran(tmp_path / "many", 10_000)
    assert windows == 10_000
    assert many <= 1.2 * few
    again, seconds, _ = ran(tmp_path / "many", 10_000)
    assert again <= 1.2 * few
    assert seconds <= 5

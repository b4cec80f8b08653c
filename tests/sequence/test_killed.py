"""Fits killed with SIGKILL at random moments, each gone on with: the bits of one never killed."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tilewright.sequence import LSTMRegressor

pytestmark = pytest.mark.slow
KILLS = 100
CODE = """
import sys
from tests.sequence.test_killed import data, model

print("begun", flush=True)
model(sys.argv[1]).fit(*data()).save(sys.argv[2])
"""


def data() -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(600, 12, 3))
    return X, X[:, -1, 0] * X[:, 3, 1]


def model(checkpoint: str) -> LSTMRegressor:
    """Whose checkpoint is written as often as can be."""
    return LSTMRegressor(
        hidden=16, epochs=300, patience=300, refit="steps", checkpoint=checkpoint,
        checkpoint_seconds=1e-3,
    )  # fmt: skip


def begun(folder: Path) -> subprocess.Popen:
    """A process that has just begun to fit."""
    command = [sys.executable, "-c", CODE, str(folder / "fit"), str(folder / "saved")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == b"begun\n"
    return process


def ended(folder: Path) -> bytes:
    """What the fit is in the end; its files are taken away."""
    found = (folder / "saved").read_bytes()
    for path in folder.iterdir():
        path.unlink()
    return found


def test_killed_at_random_moments(tmp_path):
    start = time.monotonic()
    assert begun(tmp_path).wait() == 0
    usual, wanted = time.monotonic() - start, ended(tmp_path)
    rng, kills, ends = random.Random(0), 0, 0
    while kills < KILLS:
        process = begun(tmp_path)
        time.sleep(rng.uniform(0, usual))
        process.send_signal(signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            kills += 1
        else:
            ends += 1
            assert ended(tmp_path) == wanted
    assert begun(tmp_path).wait() == 0
    assert ended(tmp_path) == wanted
    assert ends > 0

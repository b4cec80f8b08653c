"""A run that is killed outright, at moments that nobody chose, goes on to the same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import sys
from pathlib import Path
from tests.vision.test_training import trainer
from tilewright.vision import save
from tilewright.vision.checkpoint import Checkpoint

folder = Path(sys.argv[1])
run = trainer(stage="blocks", blocks=1, epochs=12, ema=0.5, train_size=24)
file = Checkpoint(folder / "run.npz", run.identity(["x"]), seconds=0.0)
save(run.run(file), folder / "model.safetensors")
print(run.losses)
"""


def begun(folder):
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder)], stdout=subprocess.PIPE, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def killed(folder, seconds):
    """So long after it has left a state, which it does at every step."""
    process, path = begun(folder), folder / "run.npz"
    before = path.stat().st_mtime_ns if path.exists() else 0
    while process.poll() is None and not (path.exists() and path.stat().st_mtime_ns > before):
        time.sleep(0.001)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path):
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    losses, _ = begun(whole).communicate()
    moments = np.random.default_rng().uniform(0, 0.1, 4)
    kills = [killed(torn, seconds) for seconds in moments]
    assert any(kills), moments
    found, _ = begun(torn).communicate()
    assert found == losses, moments
    name = "model.safetensors"
    assert (torn / name).read_bytes() == (whole / name).read_bytes(), moments

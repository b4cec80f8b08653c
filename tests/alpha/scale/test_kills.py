"""Processes killed with SIGKILL at random instants end, run again, with the same bits."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.alpha.scale.small import PRICES, SMALL
from tilewright.alpha.scale.walk import walk

pytestmark = pytest.mark.slow
KILLS = 12
CODE = """
import sys
from tests.alpha.scale.small import PRICES, SMALL
from tilewright.alpha.scale.walk import walk

walk(PRICES, SMALL, sys.argv[1])
"""


def files(folder: Path) -> dict[str, bytes]:
    return {
        p.name: p.read_bytes() for kind in ("scored", "fits") for p in (folder / kind).iterdir()
    }


def test_killed_at_random_instants(tmp_path):
    """Each is started anew in the same folder; the last may end."""
    walk(PRICES, SMALL, tmp_path / "whole")
    command = [sys.executable, "-c", CODE, str(tmp_path / "job")]
    began = time.monotonic()
    subprocess.run([*command[:-1], str(tmp_path / "timed")], check=True)
    usual, rng = time.monotonic() - began, random.Random(0)
    for _ in range(KILLS):
        process = subprocess.Popen(command)
        time.sleep(rng.uniform(0.3, 1.1) * usual)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True)
    assert files(tmp_path / "job") == files(tmp_path / "whole") == files(tmp_path / "timed")

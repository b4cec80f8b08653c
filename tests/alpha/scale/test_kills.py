"""Processes killed with SIGKILL at random instants end, run again, with the same bits.

A dozen that are started anew, and a thousand that are forked from one that has everything loaded.
"""

import random
import signal
import subprocess
import sys
import time

import pytest

from tests.alpha.scale.killer import files
from tests.alpha.scale.small import PRICES, SMALL
from tilewright.alpha.scale.walk import walk

pytestmark = pytest.mark.slow
KILLS, FORKED = 12, 1000
CODE = """
import sys
from tests.alpha.scale.small import PRICES, SMALL
from tilewright.alpha.scale.walk import walk

walk(PRICES, SMALL, sys.argv[1])
"""


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


def test_a_thousand_kills(tmp_path):
    """Each child is killed before it has done what a whole job takes, most before it ends."""
    command = [sys.executable, "-m", "tests.alpha.scale.killer", str(tmp_path), str(FORKED)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    kills, jobs = map(int, found[:2])
    assert kills == FORKED
    assert jobs > FORKED / 100

"""A job on a cluster, in a process that can be killed: `python -m ... FOLDER [CLUSTER [LEVEL]]`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tests.alpha.market import prices
from tests.alpha.scale.processes import at_work, of_parent
from tests.alpha.scale.small import SMALL
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.folder import ScaleFolder
from tilewright.alpha.scale.walk import walk
from tilewright.alpha.tables import Prices

_MADE = prices(days=550)
TABLE = Prices(_MADE.days, _MADE.names, _MADE.values.round(6), _MADE.source)
"""Rounded: last bits of NumPy's exponentials are those of a level of the instruction set."""
SETTINGS = replace(SMALL, sequence=2)
"""Six sequences of two windows."""
MEMORY = 100 << 20
"""Bytes of a node's object store."""


def started(*arguments: str, **variables: str) -> subprocess.Popen:
    """This file, in a process of its own."""
    return _process("-m", "tests.alpha.scale.cluster_driver", *arguments, **variables)


def resumed(folder: Path, cluster: str) -> subprocess.Popen:
    """`tilewright alpha resume` in a folder with the job, of which nothing is finished yet."""
    ScaleFolder(folder, TABLE, SETTINGS).save_prices()
    command = ["alpha", "resume", str(folder), "--cluster", cluster]
    return _process("-c", "from tilewright.cli import main; main()", *command)


def _process(*arguments: str, **variables: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    """All that a job has come to."""
    kinds = ("scored", "fits")
    return {path.name: path.read_bytes() for kind in kinds for path in (folder / kind).iterdir()}


def wait_for(folder: Path, count: int, driver: subprocess.Popen) -> None:
    """Until so many windows are scored."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        if len(list(folder.glob("scored/*.npz"))) >= count:
            return
        if driver.poll():
            raise AssertionError(driver.communicate()[1])
        time.sleep(0.02)
    raise TimeoutError(f"{folder} has not come to {count} windows.")


def killed_workers(driver: subprocess.Popen, count: int, rng: random.Random, most: float) -> int:
    """Workers killed while they have a task, one after up to `most` seconds, until the job ends."""
    done = 0
    while done < count and driver.poll() is None:
        time.sleep(rng.uniform(0, most))
        victims = at_work(of_parent(driver.pid))
        if victims:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(rng.choice(victims), signal.SIGKILL)
                done += 1
    return done


def main() -> None:
    folder, cluster, level, *_ = [*sys.argv[1:], None, None]
    assert folder is not None
    try:
        walk(TABLE, SETTINGS, folder, cluster=cluster, level=level)
    except AlphaError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

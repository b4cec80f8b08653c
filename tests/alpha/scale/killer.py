"""Many kills at little cost: `python -m tests.alpha.scale.killer FOLDER KILLS`.

A process that has everything loaded and compiled forks children, which go on with a job and are
killed at random instants; when one ends, its job is compared with one that nobody killed, and
another is begun. Prints how many were killed while they worked, how many jobs ended, how many
kills found a file being written, and the seconds of a whole job.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

from tests.alpha.scale.small import PRICES, SMALL
from tilewright.alpha.scale.walk import walk


def files(folder: Path) -> dict[str, bytes]:
    """What a job has come to: models and scores."""
    return {
        path.name: path.read_bytes()
        for kind in ("scored", "fits")
        for path in (folder / kind).glob("*.npz")
    }


def went_on(folder: Path, seconds: float) -> bool:
    """Whether a child that goes on with the job ends in so many seconds, before it is killed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX's threads are not in the child, which starts its own
        child = os.fork()
    if child == 0:
        try:
            walk(PRICES, SMALL, folder)
        finally:
            os._exit(0)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    return not os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main() -> None:
    folder, kills = Path(sys.argv[1]), int(sys.argv[2])
    for name, keep in (("whole", SMALL.keep), ("every", 0)):
        walk(PRICES, replace(SMALL, keep=keep), folder / name)
    whole, every = files(folder / "whole"), files(folder / "every")
    rng = random.Random(0)
    began = time.monotonic()
    assert went_on(folder / "timed", 600)
    usual = time.monotonic() - began
    done = jobs = torn = 0
    while done < kills:
        job = folder / f"job{jobs}"
        if went_on(job, rng.uniform(0, 0.8) * usual):
            assert files(job) == whole, job
            jobs += 1
            continue
        done += 1
        torn += any(job.rglob("*.partial"))
        assert files(job).items() <= every.items(), job
    print(done, jobs, torn, f"{usual:.3f}")


if __name__ == "__main__":
    main()

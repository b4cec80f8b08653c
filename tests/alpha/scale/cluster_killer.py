"""Drivers, workers and nodes killed in random order: `python -m ... FOLDER KILLS`.

A head and two nodes of one CPU work at a job. At random instants the driver, a worker with a task
or a node is killed, and started again or replaced. When a job ends, it is compared with one that
nobody killed, and another is begun. After each job prints how many of each were killed and how many
jobs have ended so far.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.alpha.scale.cluster_driver import MEMORY, SETTINGS, TABLE, files
from tests.alpha.scale.processes import at_work, of_parent
from tilewright.alpha.scale.walk import walk

DRIVER, WORKER, NODE = "driver", "worker", "node"
KINDS, WEIGHTS = (DRIVER, WORKER, NODE), (1, 6, 2)
"""A driver costs its start, all else goes on meanwhile."""
NODES, SHARE = 2, 0.15
"""Nodes besides the head; between kills at most, of what a job takes that nobody kills: a worker's
start takes far longer than a task, so that more would let none end."""


def made() -> Any:
    """The cluster, whose processes are ours."""
    from ray.cluster_utils import Cluster

    head = dict(num_cpus=1, include_dashboard=False, object_store_memory=MEMORY)
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(NODES):
        _add(cluster)
    return cluster


def _add(cluster: Any) -> None:
    cluster.add_node(num_cpus=1, object_store_memory=MEMORY)


def killed(cluster: Any, driver: Any, kind: str, rng: random.Random) -> bool:
    """Whether there was one to kill."""
    if kind == DRIVER:
        driver.kill()
        driver.wait()
        return True
    if kind == NODE:
        nodes = sorted(cluster.worker_nodes, key=lambda node: node.node_id)
        cluster.remove_node(rng.choice(nodes), allow_graceful=False)
        _add(cluster)
        return True
    with suppress(ProcessLookupError, IndexError):  # none is at work, or it has just ended
        os.kill(rng.choice(at_work(of_parent(os.getpid()))), signal.SIGKILL)
        return True
    return False


def job(cluster: Any, folder: Path, kills: int, rng: random.Random, most: float) -> Counter[str]:
    """Go on with a job until it ends: so many kills at most, by kind, one after up to `most` s."""
    done: Counter[str] = Counter()
    driver = _started(folder, cluster)
    while driver.poll() is None and done.total() < kills:
        time.sleep(rng.uniform(0, most))
        kind = rng.choices(KINDS, WEIGHTS)[0]
        if driver.poll() is None and killed(cluster, driver, kind, rng):
            done[kind] += 1
        if driver.returncode == -signal.SIGKILL:
            driver = _started(folder, cluster)
    assert driver.wait() == 0, _said(folder).read_text()
    return done


def _said(folder: Path) -> Path:
    return folder.with_suffix(".log")


def _started(folder: Path, cluster: Any) -> subprocess.Popen[bytes]:
    """Ray says more of its losses than a pipe that nobody reads can hold."""
    command = ["-m", "tests.alpha.scale.cluster_driver", str(folder), cluster.address]
    with _said(folder).open("ab") as log:
        return subprocess.Popen([sys.executable, *command], stdout=log, stderr=log)


def main(folder: Path, kills: int, seed: int = 0) -> Counter[str]:
    """By kind; raises AssertionError for a job that ends with other bits."""
    walk(TABLE, SETTINGS, folder / "whole")
    cluster, rng, jobs = made(), random.Random(seed), 0
    done: Counter[str] = Counter()
    try:
        began = time.monotonic()
        job(cluster, folder / "timed", 0, rng, 0)
        most = SHARE * (time.monotonic() - began)
        while done.total() < kills:
            place, jobs = folder / f"job{jobs}", jobs + 1
            done += job(cluster, place, kills - done.total(), rng, most)
            assert files(place) == files(folder / "whole"), place
            print(*(f"{kind} {done[kind]}" for kind in KINDS), f"jobs {jobs}", flush=True)
    finally:
        cluster.shutdown()
    return done


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:]))

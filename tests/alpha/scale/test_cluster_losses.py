"""On Ray, at length: lost nodes and workers, and nodes of two levels of the instruction set."""

import random
import subprocess
import sys
import time

import pytest

from tests.alpha.scale.cluster_driver import (
    MEMORY,
    SETTINGS,
    TABLE,
    files,
    killed_workers,
    started,
    wait_for,
)
from tilewright.alpha.scale.level import AVX2, here, kept_to
from tilewright.alpha.scale.walk import walk

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:os.fork")]
LOSSES, WORKERS, MIXED = 20, 40, 30


@pytest.fixture
def nodes():
    pytest.importorskip("ray", reason="ray is not installed (the extra ray has it)")
    from ray.cluster_utils import Cluster

    head = dict(num_cpus=1, include_dashboard=False, object_store_memory=MEMORY)
    made = Cluster(initialize_head=True, head_node_args=head)
    yield made
    made.shutdown()


def test_twenty_nodes_are_lost_at_random_instants(nodes, tmp_path):
    """One or two at work besides the head; jobs are begun until all twenty are lost."""
    walk(TABLE, SETTINGS, tmp_path / "whole")
    rng, lost, jobs = random.Random(1), 0, 0
    nodes.add_node(num_cpus=1, object_store_memory=MEMORY)
    while lost < LOSSES:
        folder, jobs = tmp_path / f"job{jobs}", jobs + 1
        driver = started(str(folder), nodes.address)
        wait_for(folder, 1, driver)
        while driver.poll() is None and lost < LOSSES:
            nodes.add_node(num_cpus=1, object_store_memory=MEMORY)
            time.sleep(rng.uniform(0, 6))
            victim = rng.choice(sorted(nodes.worker_nodes, key=lambda node: node.node_id))
            nodes.remove_node(victim, allow_graceful=False)
            lost += 1
        _, said = driver.communicate()
        assert driver.returncode == 0, said
        assert files(folder) == files(tmp_path / "whole")


def test_forty_workers_are_killed_at_random_instants(tmp_path):
    """Of two at work; jobs are begun until all forty are."""
    pytest.importorskip("ray", reason="ray is not installed (the extra ray has it)")
    walk(TABLE, SETTINGS, tmp_path / "whole")
    rng, killed, jobs = random.Random(3), 0, 0
    while killed < WORKERS:
        folder, jobs = tmp_path / f"job{jobs}", jobs + 1
        driver = started(str(folder), "local:2")
        killed += killed_workers(driver, WORKERS - killed, rng, 4.0)
        _, said = driver.communicate()
        assert driver.returncode == 0, said
        assert files(folder) == files(tmp_path / "whole")


def test_drivers_workers_and_nodes_are_lost_in_random_order(tmp_path):
    """As many as `cluster_killer` is asked for: here a few."""
    pytest.importorskip("ray", reason="ray is not installed (the extra ray has it)")
    command = [sys.executable, "-m", "tests.alpha.scale.cluster_killer", str(tmp_path)]
    found = subprocess.run([*command, str(MIXED)], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    *counts, _, jobs = found.stdout.splitlines()[-1].split()
    assert sum(map(int, counts[1::2])) == MIXED
    assert int(jobs) > 0


@pytest.mark.skipif(here() != "avx512", reason="needs AVX-512")
def test_a_mixed_cluster_is_refused_or_kept_to_the_lower_level(nodes, tmp_path):
    """Kept to AVX2, it gives the bytes of a machine that has no more."""
    lower = kept_to(AVX2)
    nodes.add_node(num_cpus=1, object_store_memory=MEMORY, env_vars=lower)
    refused = started(str(tmp_path / "job"), nodes.address)
    _, said = refused.communicate()
    assert refused.returncode == 1
    assert "is mixed: node" in said
    assert "level='avx2' keeps all to AVX2" in said
    kept = started(str(tmp_path / "job"), nodes.address, AVX2)
    alone = started(str(tmp_path / "alone"), **lower)
    for driver in (kept, alone):
        _, said = driver.communicate()
        assert driver.returncode == 0, said
    assert files(tmp_path / "job") == files(tmp_path / "alone")

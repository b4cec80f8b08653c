"""What a cluster does once: a program is compiled once a node, the panel is put where all find it.

Programs are compiled here by processes without Ray, which share a cache as those of a node do.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.alpha.scale.cluster_driver import MEMORY, SETTINGS, TABLE
from tilewright.alpha.scale.cluster import Cluster
from tilewright.alpha.scale.material import Material

ray = pytest.importorskip("ray", reason="ray is not installed (the extra ray has it)")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:os.fork")]
PROCESSES, ROWS = 3, 180
COMPILES = f"""
import sys
from tests.alpha.scale.cluster_driver import SETTINGS
from tilewright.alpha.scale import cluster
from tilewright.codegen import cache

before = cache._compile
def counted(*arguments):
    print("compiled")
    return before(*arguments)
cache._compile = counted

print("ready", flush=True)
sys.stdin.readline()
for _ in range(2):
    cluster._compile(SETTINGS, {ROWS})
"""


def test_one_process_of_a_node_compiles(tmp_path):
    """All ask at the same time, with an empty cache."""
    variables = {**os.environ, "TILEWRIGHT_CACHE": str(tmp_path), "TILEWRIGHT_PROCESSES": "1"}
    processes = [
        subprocess.Popen([sys.executable, "-c", COMPILES], env=variables, text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(PROCESSES)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    counts = [process.communicate()[0].count("compiled") for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert sorted(counts) == [0] * (PROCESSES - 1) + [max(counts)]
    assert max(counts) > 0


def _seen(shared: tuple[str, Material]) -> tuple[str, bool, bool]:
    """On a node: its name, and whether the panel's features are a copy, or can be written to."""
    features = shared[1].panel.features
    node = ray.get_runtime_context().get_node_id()
    whole = features if features.base is None else features.base
    assert np.isfinite(features).all()
    return node, isinstance(whole, np.ndarray) and whole.flags.owndata, features.flags.writeable


def test_the_panel_is_put_once_and_read_where_it_lies(monkeypatch):
    """On three nodes, twice on each; and tasks carry a reference to it."""
    from ray.cluster_utils import Cluster as Nodes

    head = dict(num_cpus=1, include_dashboard=False, object_store_memory=MEMORY)
    nodes = Nodes(initialize_head=True, head_node_args=head)
    for _ in range(2):
        nodes.add_node(num_cpus=1, object_store_memory=MEMORY)
    put, puts = ray.put, []
    monkeypatch.setattr(ray, "put", lambda value: puts.append(value) or put(value))
    try:
        crew = Cluster(str(nodes.address))
        material = crew.prepare(SETTINGS, TABLE)
        assert [value[1] for value in puts] == [material]
        assert isinstance(crew._shared, ray.ObjectRef)
        affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        places = [affinity(node["NodeID"], soft=False) for node in ray.nodes()] * 2
        asked = [
            ray.remote(_seen).options(num_cpus=1, scheduling_strategy=place).remote(crew._shared)
            for place in places
        ]
        found = ray.get(asked)
        crew.close()
    finally:
        nodes.shutdown()
    assert len({node for node, *_ in found}) == 3
    assert {(copied, writable) for _, copied, writable in found} == {(False, False)}

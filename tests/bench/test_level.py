"""A level below the host's own has its own bars, peers and record."""

import os
import subprocess
import sys

CODE = """
from tilewright.bench import peer
from tilewright.bench.__main__ import default_path
from tilewright.bench.level import bar, keep_jax_to_it, level
import os
keep_jax_to_it()
print(level(), bar(1.0, 2.0), default_path().stem.endswith("-avx2"))
print(os.environ["XLA_FLAGS"], "|", peer.FLAGS)
"""


def run(**variables):
    environment = {k: v for k, v in os.environ.items() if k != "TILEWRIGHT_FEATURES"} | variables
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_avx2_is_a_level_of_its_own():
    where, flags = run(TILEWRIGHT_FEATURES="avx2")
    assert where == "avx2 1.0 True"
    assert all("--xla_cpu_max_isa=AVX2" in part for part in flags.split("|"))


def test_the_hosts_own_level_leaves_jax_alone():
    where, flags = run(XLA_FLAGS="--xla_cpu_enable_fast_math=false")
    assert where.endswith("False")
    assert flags.startswith("--xla_cpu_enable_fast_math=false |")
    assert "max_isa" not in flags

"""Ctrl-C is heard in tests and in the processes they start, however the tests were started.

A shell starts background jobs deaf to it, and Python then leaves it ignored. And tests compile for
one machine, whatever the host's memories and however many its CPUs, with the figures stated for its
level, whatever was measured on it: plans are what they look at. Its barriers are slow ones: what is
small is then for one tile, and compiles fast. Processes that tests start see the host.

Solvers that check for errors at run time give NaN: compiled code cannot raise them.

What ours is compared with XLA compiles quickly, not well, and each program by one thread: at its
defaults it took half of the suite's time. Its context takes 3 ms to make, so that many
programs share one. Objects that modules leave for good are not looked through for garbage again,
and what tests leave is when there is much of it.

Files of `peers` or `slow` alone are not even imported where those are left out: the libraries of
the ones are heavy, and so is what the others prepare.
"""

import gc
import itertools
import os
import re
import signal
import threading

import pytest

from tilewright.machine import host, levels

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

CACHES = {1: 32 << 10, 2: 1 << 20, 3: 32 << 20}
host.read = lambda folder, names: None
host.cache_bytes = lambda level, cpu: CACHES[level]
host.cache_sharers = lambda level, cpu: 0
host.memory_bytes = lambda: 16 << 30
host.cpu_count = host.cpu_limit = lambda: 2
levels.MESSAGE = 3000

os.environ.setdefault("EQX_ON_ERROR", "nan")
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
    " --xla_cpu_parallel_codegen_split_count=1",
)

OF_ONE_KIND = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.(peers|slow)\b", re.MULTILINE)


def pytest_ignore_collect(collection_path, config):
    if collection_path.suffix != ".py":
        return None
    found = OF_ONE_KIND.search(collection_path.read_text())
    return True if found and f"not {found[1]}" in config.option.markexpr else None


LOWERED_TOGETHER = 50
"""Programs that share one of XLA's contexts, which forgets no constant that it has seen."""


def share_contexts():
    from jax._src.interpreters import mlir  # after XLA_FLAGS are set

    make, count = mlir.make_ir_context, itertools.count(1)
    kept = [make()]

    def shared():
        if next(count) % LOWERED_TOGETHER == 0:
            kept[0] = make()
        return kept[0]

    mlir.make_ir_context = shared


def pytest_collection_finish():
    share_contexts()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(scope="module")
def cheap_collections():
    """What asks for a collection before it measures looks through little.

    All that earlier tests left, XLA's programs above all, takes 0.3 s and more each time.
    """
    gc.collect()
    gc.freeze()

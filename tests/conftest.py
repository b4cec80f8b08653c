"""Ctrl-C is heard in tests and in the processes they start, however the tests were started.

A shell starts background jobs deaf to it, and Python then leaves it ignored. And tests compile for
one machine, with the figures stated for its level, whatever was measured on it.

Solvers that check for errors at run time give NaN: compiled code cannot raise them.

What ours is compared with XLA compiles quickly, not well: at its default level it took half of the
suite's time. And objects that modules leave for good are not looked through for garbage again.

Files of `peers` alone are not even imported where those are left out: their libraries are heavy.
"""

import gc
import os
import re
import signal
import threading

from tilewright.machine import host

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

host.read = lambda folder, names: None

os.environ.setdefault("EQX_ON_ERROR", "nan")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)

OF_PEERS = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.peers\b", re.MULTILINE)


def pytest_ignore_collect(collection_path, config):
    left_out = "not peers" in config.option.markexpr and collection_path.suffix == ".py"
    return True if left_out and OF_PEERS.search(collection_path.read_text()) else None


def pytest_collection_finish():
    gc.collect()
    gc.freeze()

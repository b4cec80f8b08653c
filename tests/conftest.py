"""Ctrl-C is heard in tests and in the processes they start, however the tests were started.

A shell starts background jobs deaf to it, and Python then leaves it ignored. And tests compile for
one machine, with the figures stated for its level, whatever was measured on it.

Solvers that check for errors at run time give NaN: compiled code cannot raise them.

What ours is compared with XLA compiles quickly, not well: at its default level it took half of the
suite's time. And objects that modules leave for good are not looked through for garbage again.

Files of `peers` or `slow` alone are not even imported where those are left out: the libraries of
the ones are heavy, and so is what the others prepare.
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

OF_ONE_KIND = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.(peers|slow)\b", re.MULTILINE)


def pytest_ignore_collect(collection_path, config):
    if collection_path.suffix != ".py":
        return None
    found = OF_ONE_KIND.search(collection_path.read_text())
    return True if found and f"not {found[1]}" in config.option.markexpr else None


def pytest_collection_finish():
    gc.collect()
    gc.freeze()

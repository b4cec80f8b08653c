"""A case of its own process."""

import os

from tilewright.bench.apart import pinned
from tilewright.machine.cpu import allowed_cpus


def test_one_core_is_seen_there_and_all_of_them_here():
    before = os.sched_getaffinity(0)
    (cpu,) = pinned(os.sched_getaffinity, 0)  # type: ignore[arg-type]
    assert cpu in allowed_cpus()
    assert os.sched_getaffinity(0) == before

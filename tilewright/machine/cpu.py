"""What the system says of this host, as far as this process may use it.

CPUs come from the scheduler's affinity mask and the cgroup's quota (versions 1 and 2), caches from
/sys. Where the system does not say, the answer is a modest guess.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_ROOT = Path("/")
_GUESS = {1: 32 << 10, 2: 1 << 20, 3: 8 << 20}


@cache
def allowed_cpus() -> frozenset[int]:
    """CPUs that this process may run on, when first asked."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


@cache
def cpu_limit() -> int:
    """How many threads can run at once: allowed CPUs, or fewer under a cgroup quota."""
    quota = cgroup_quota(_ROOT)
    count = len(allowed_cpus())
    return count if quota is None else max(1, min(count, math.ceil(quota)))


def cgroup_quota(root: Path) -> float | None:
    """CPUs' worth of time that this process's control groups grant it; None without a limit."""
    limits = [*_quotas_v2(root), *_quotas_v1(root)]
    return min(limits, default=None)


def _quotas_v2(root: Path) -> Iterable[float]:
    for folder in _groups(root, "0::", "sys/fs/cgroup"):
        words = _read(folder / "cpu.max").split()
        if len(words) == 2 and words[0].isdecimal():
            yield int(words[0]) / int(words[1])


def _quotas_v1(root: Path) -> Iterable[float]:
    for mount in ("cpu", "cpu,cpuacct"):
        for folder in _groups(root, "cpu", f"sys/fs/cgroup/{mount}"):
            quota = _read(folder / "cpu.cfs_quota_us").strip()
            period = _read(folder / "cpu.cfs_period_us").strip()
            if quota.isdecimal() and period.isdecimal() and int(period):
                yield int(quota) / int(period)


def _groups(root: Path, controller: str, mount: str) -> Iterable[Path]:
    """This process's group and those above it, in the hierarchy with that controller.

    Lines of /proc/self/cgroup read `4:cpu,cpuacct:/path`, or `0::/path` in version 2.
    """
    top = root / mount
    yield top
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if controller == f"{number}:{names}:" or controller in names.split(","):
            parts = [part for part in path.split("/") if part not in ("", "..")]
            for depth in range(len(parts)):
                yield top.joinpath(*parts[: depth + 1])


def cache_bytes(level: int, cpu: int = 0, root: Path = _ROOT) -> int:
    """Size of the data cache of a level (1, 2, 3) that `cpu` uses."""
    for folder in sorted((root / f"sys/devices/system/cpu/cpu{cpu}/cache").glob("index*")):
        size = _read(folder / "size").strip()
        is_data = _read(folder / "type").strip() != "Instruction"
        if is_data and _read(folder / "level").strip() == str(level) and size:
            return _size(size)
    return _GUESS[level]


def cache_sharers(level: int, cpu: int = 0, root: Path = _ROOT) -> int:
    """How many CPUs use the same cache of a level as `cpu`; 0 where the system does not say."""
    for folder in sorted((root / f"sys/devices/system/cpu/cpu{cpu}/cache").glob("index*")):
        if _read(folder / "level").strip() == str(level):
            parts = [part.split("-") for part in _read(folder / "shared_cpu_list").split(",")]
            if all(end.strip().isdecimal() for part in parts for end in part):
                return sum(int(part[-1]) - int(part[0]) + 1 for part in parts)
    return 0


def _size(text: str) -> int:
    """`48K` or `2M` in bytes."""
    unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1], 1)
    return int(text.rstrip("KMG")) * unit


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


@cache
def instructions(root: Path = _ROOT) -> frozenset[str]:
    """Extensions of the instruction set, by the names of /proc/cpuinfo."""
    return frozenset((_cpuinfo("flags", root) or _cpuinfo("Features", root)).split())


def model_name(root: Path = _ROOT) -> str:
    """What the processor calls itself."""
    return _cpuinfo("model name", root) or platform.machine()


_PROCESSOR = (
    *("vendor_id", "cpu family", "model", "stepping", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"),
)
"""What names a processor in /proc/cpuinfo, on x86 and on ARM."""


def processor(root: Path = _ROOT) -> tuple[str, ...]:
    """Which processor it is, and all of its extensions; nothing if the system does not say."""
    found = [_cpuinfo(name, root) for name in _PROCESSOR]
    return tuple(found) if any(found) else ()


def memory_bytes() -> int:
    """Main memory, in whole GiB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30 << 30


def _cpuinfo(name: str, root: Path) -> str:
    """The first value of that name in /proc/cpuinfo."""
    for line in _read(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""

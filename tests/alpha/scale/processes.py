"""Processes as the system lists them: whose children they are, what they call themselves."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

AT_WORK = "ray::_work"
"""What a worker of Ray's calls itself while it has one of our tasks."""


def of_parent(pid: int) -> list[int]:
    """All processes that descend from one."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found, parents = [], {pid}
    while parents:
        parents = {child for child, parent in pairs if parent in parents}
        found += parents
    return found


def alive(pid: int) -> bool:
    """Zombies are not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def at_work(processes: Iterable[int]) -> list[int]:
    """Those of them that have a task."""
    return [pid for pid in processes if _read(pid, "cmdline").strip("\0 ").startswith(AT_WORK)]


def variables(pid: int) -> dict[str, str]:
    """The environment that a process was started with; none of one that is gone."""
    pairs = (text.partition("=") for text in _read(pid, "environ").split("\0"))
    return {name: value for name, _, value in pairs if name}


def seconds_until_gone(processes: Iterable[int], most: float) -> float:
    """Raises TimeoutError for some that are left after `most` seconds."""
    began, left = time.monotonic(), list(processes)
    while left:
        if time.monotonic() > began + most:
            raise TimeoutError(f"Left: {[(pid, _read(pid, 'cmdline')) for pid in left]}")
        time.sleep(0.01)
        left = [pid for pid in left if alive(pid)]
    return time.monotonic() - began


def _read(pid: int, name: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    return ""

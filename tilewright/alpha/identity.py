"""Whether a folder or a file belongs to the job at hand, and who else is at work there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tilewright.alpha.errors import AlphaError

DIGESTS = ("data", "images", "weights")
"""Fields whose values tell nobody anything."""


def difference(found: Any, wanted: Any, name: str = "") -> str:
    """The first thing that is not the same in two identities; empty where all is."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(k for k in found if k not in wanted)]:
            differs = difference(found.get(key), wanted.get(key), key)
            if differs:
                return differs
        return ""
    if found == wanted:
        return ""
    return f"other {name}" if name in DIGESTS else f"{name} {found}, not {wanted}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else works in this folder meanwhile. The lock goes with the process."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlphaError(f"Another process is at work in {folder}.") from None
        yield

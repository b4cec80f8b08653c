"""Machines by name: this host, those that come with tilewright, and files of one's own.

In: "cpu" (this host), "cpu:epyc-9755", "ipu:gc200", the path of a TOML file, or a `Machine`. Out:
a `Machine`. Unknown names raise `ArgumentError`, which has the nearest known ones.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from tilewright.errors import ArgumentError
from tilewright.machine.files import read
from tilewright.machine.machine import Machine

HOST = "cpu"
_FOLDER = Path(__file__).parent / "data"


def names() -> tuple[str, ...]:
    """All that come with tilewright, this host first."""
    return (HOST, *(p.stem.replace("-", ":", 1) for p in sorted(_FOLDER.glob("*.toml"))))


def machine(name: str | Path | Machine = HOST) -> Machine:
    """The machine of that name, or of that TOML file; see `tilewright machine show`.

    Raises `ArgumentError` for a name that nobody knows, and for a file that is not right.
    """
    if isinstance(name, Machine):
        return name
    if not isinstance(name, str | Path):
        raise ArgumentError(f"A machine is given by name, file or Machine, not {name!r}.")
    if name == HOST:
        from tilewright.machine.host import host_machine

        return host_machine()
    if name in names():
        return read(_FOLDER / f"{str(name).replace(':', '-', 1)}.toml")
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        return read(path)
    close = get_close_matches(str(name), names(), 3, 0.4)
    near = f"; the nearest are {', '.join(close)}" if close else ""
    raise ArgumentError(f"There is no machine {str(name)!r}{near}; all: {', '.join(names())}.")

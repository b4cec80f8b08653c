"""What machines are: `machine("cpu:epyc-9755")`, `.with_(cores=64)`, and cost on them."""

from __future__ import annotations

from pathlib import Path

# The module is loaded here, before the function of its name: that is what the package shows then.
from tilewright.machine.machine import Machine

__all__ = ["Machine", "machine", "names"]


def machine(name: str | Path | Machine = "cpu") -> Machine:
    """The machine of that name ("cpu" is this host), or of a TOML file of one's own.

    Raises `ArgumentError` for an unknown name, with the nearest ones, and for a wrong file.
    """
    from tilewright.machine.catalogue import machine as found

    return found(name)


def names() -> tuple[str, ...]:
    """All machines that come with tilewright."""
    from tilewright.machine.catalogue import names as known

    return known()

"""This host's figures before something is measured on it: the kept ones, or new ones.

In: a function that is told lines. Out: the machine that plans see from then on, in processes to
come as well. Compiling never measures; what compares speeds does, once a month.
"""

from __future__ import annotations

from collections.abc import Callable

from tilewright.calibrate.measure import DisturbedError, calibrate
from tilewright.env import ENVIRONMENT
from tilewright.machine.host import host_machine
from tilewright.machine.machine import Machine


def known(told: Callable[[str], object]) -> Machine:
    """Measures where nothing is kept, or it is out of date; says what plans see, and whence.

    Where nothing can be kept (no cache folder), or the host is too busy, that is said instead, and
    plans see what is stated for its level.
    """
    if is_measured(host_machine()):
        told(f"Plans see this host as it was measured: {barrier(host_machine())}.")
    elif ENVIRONMENT.cache is None:
        told(f"TILEWRIGHT_CACHE is off, where figures are kept: {stated()}")
    else:
        told("This host is measured first, some seconds, for its plans.")
        try:
            told(f"Plans see this host as it was measured: {barrier(calibrate())}.")
        except DisturbedError as error:
            told(f"{error} Until then: {stated()}")
    return host_machine()


def is_measured(machine: Machine) -> bool:
    """Whether its figures are its own."""
    return machine.source.endswith("measured")


def stated() -> str:
    """What plans see of a host that nobody has measured."""
    return f"plans see what is stated for its level, {barrier(host_machine())}."


def barrier(machine: Machine) -> str:
    """The figure on which it hangs whether several tiles are worth their while."""
    return f"a barrier of {machine.chip.sync_cycles:,} cycles, {machine.chip.clock / 1e9:.2g} GHz"

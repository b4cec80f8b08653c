"""The level of the instruction set that a bench run is for: its bars, its peers, its record.

An AVX-512 host measures twice: as it is, and with TILEWRIGHT_FEATURES=avx2, where JAX, too, is kept
to AVX2. Either run answers for its own column of bars.
"""

from __future__ import annotations

import os

from tilewright.env import ENVIRONMENT
from tilewright.machine.host import host_machine, level_of

PRETENDS = ENVIRONMENT.features is not None
"""Whether this host has more than the run may use."""

JAX_FLAGS = ("--xla_cpu_max_isa=AVX2",) if PRETENDS else ()


def level() -> str:
    """ "avx512", "avx2", or what `machine/host.py` calls it."""
    return level_of(host_machine().tile.features.names)


def bar(avx2: float | None, avx512: float | None) -> float | None:
    """That of the level of this run; None where it has none."""
    return {"avx2": avx2, "avx512": avx512}.get(level())


def keep_jax_to_it() -> None:
    """For JAX in this process and those it starts; to be called before JAX is imported."""
    if JAX_FLAGS:
        os.environ.update(XLA_FLAGS=" ".join(JAX_FLAGS))

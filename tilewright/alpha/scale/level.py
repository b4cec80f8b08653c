"""The level of the instruction set that a job's bits are of.

In: this process. Out: its level by name, and the variables of the environment that keep another
process to a lower one. Chains are the same to the bit on AVX2 and AVX-512; NumPy's logarithms and
OpenBLAS's sums, of which features and scores are made, are not. So one job is of one level.
"""

from __future__ import annotations

from tilewright.alpha.errors import AlphaError
from tilewright.machine.host import host_machine
from tilewright.machine.levels import level_of

AVX2 = "avx2"
PAST_AVX2 = ("AVX512", "X86_V4")
"""What the names of NumPy's extensions begin with that AVX2 has not."""


def here() -> str:
    """Such as "avx512"; and that of NumPy, where it is another."""
    from numpy._core._multiarray_umath import __cpu_features__

    ours = level_of(host_machine().tile.features.names)
    if ours == AVX2 and any(__cpu_features__[name] for name in _past_avx2()):
        return f"{AVX2}, but NumPy's avx512"
    return ours


def kept_to(level: str | None) -> dict[str, str]:
    """Variables for a process that is to stay on a level; none for None.

    Raises `AlphaError` for one that no process can be kept to.
    """
    if level is None:
        return {}
    if level != AVX2:
        raise AlphaError(
            f"level must be {AVX2!r}, the one that nodes can be kept to, not {level!r}."
        )
    return {
        "TILEWRIGHT_FEATURES": AVX2,
        "NPY_DISABLE_CPU_FEATURES": " ".join(_past_avx2()),
        "OPENBLAS_CORETYPE": "Haswell",
    }


def _past_avx2() -> list[str]:
    """Extensions that NumPy has code for, beyond AVX2."""
    from numpy._core._multiarray_umath import __cpu_dispatch__

    return [name for name in __cpu_dispatch__ if name.startswith(PAST_AVX2)]

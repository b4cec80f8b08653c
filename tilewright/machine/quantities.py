"""Figures as people write them: "2 MiB", "2.7 GHz", "614 GB/s", "5 us", or plain numbers.

In: a number, or text of a number and a unit. Out: bytes, hertz, bytes a second, seconds. What is
not such a figure raises `ValueError`, with a sentence that goes on after the figure's name.
"""

from __future__ import annotations

import math
import re

_DECIMAL = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {f"{p}iB": 1024.0 ** (i + 1) for i, p in enumerate("KMGT")}

SIZES = {f"{p}B": n for p, n in _DECIMAL.items()} | _BINARY
CLOCKS = {f"{p}Hz": n for p, n in _DECIMAL.items()}
RATES = {f"{unit}/s": n for unit, n in SIZES.items()}
TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}

_TEXT = re.compile(r"\s*([-+]?[0-9][0-9_,]*\.?[0-9]*(?:[eE][-+]?[0-9]+)?)\s*(\S*)\s*")


def quantity(value: object, units: dict[str, float], example: str) -> float:
    """The figure in the unit that counts 1; plain numbers already are."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"must be a figure such as {example}, not {value!r}")
    if not isinstance(value, str):
        number, unit = float(value), 1.0
    else:
        match = _TEXT.fullmatch(value)
        if match is None or (match[2] and match[2] not in units):
            raise ValueError(f"must be a figure such as {example}, not {value!r}")
        number, unit = float(match[1].replace(",", "").replace("_", "")), units.get(match[2], 1.0)
    if not math.isfinite(number):
        raise ValueError(f"must be a finite figure such as {example}, not {value!r}")
    return number * unit


def shown_size(size: float) -> str:
    """Bytes in the largest unit that leaves a whole number: "48 KiB"; never rounded."""
    whole = int(size)
    for unit, n in reversed(_BINARY.items()):
        if whole and whole % int(n) == 0:
            return f"{whole // int(n):,} {unit}"
    return f"{whole:,} B"


def shown_clock(hertz: float) -> str:
    return f"{hertz / 1e9:.4g} GHz"


def shown_rate(bytes_a_second: float) -> str:
    return f"{bytes_a_second / 1e9:.4g} GB/s"


def shown_time(seconds: float) -> str:
    unit = next((name for name in ("s", "ms", "µs") if seconds >= TIMES[name]), "ns")
    return f"{seconds / TIMES[unit]:.4g} {unit}"

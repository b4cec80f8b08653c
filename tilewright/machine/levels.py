"""What hosts of one level of the instruction set do, stated: for hosts that nobody has measured.

In: names of extensions, as LLVM has them. Out: the `Level`. Where a figure was measured, the
processor is named; `tilewright/calibrate` takes a host's own figures, which go before these.
"""

from __future__ import annotations

import platform

from tilewright.frozen import frozen
from tilewright.machine.figures import Figures
from tilewright.machine.machine import Unit
from tilewright.machine.meetings import messages

CLOCK = 3e9
"""Cycles a second: what servers hold with all cores busy."""
MESSAGE = 300
"""Cycles until a core sees what another wrote, of those that meet at a barrier: 50 ns on Zen 4,
140 between virtual cores of a Sapphire Rapids."""

JUMPS = {"L3": 20.0, "memory": 44.0}
"""Cycles to go on reading a page away: Zen 4, small pages of a virtual machine."""
LAUNCH = 3.5e-6
"""Seconds of a call of a program from Python: Zen 4."""

CALL = 12
"""Cycles to call a vertex and come back: 4 ns on Zen 4."""

LIBRARY, DIVISION = 20.0, 8.0
"""Cycles an element of what goes lane by lane: functions without a formula of ours (the C library;
Zen 4: 14 to 35), of float32 and float64 alike, and division of integers."""


@frozen
class Level:
    """Rates a cycle; `reads` are bytes out of L1, L2, L3 and memory, `all` of the last two if
    every tile reads. `rate` is of multiply-adds of whole vectors, `simple` what other arithmetic
    takes a vector; `functions` take more: cycles for a vector of float32.
    """

    vector_bits: int
    registers: int
    rate: float
    simple: float
    reads: tuple[float, float, float, float]
    all: tuple[float, float]
    functions: tuple[float, ...]


FUNCTIONS = tuple(
    "tanh tanh_approximate logistic exp exp2 expm1 log log1p sin cos erf erf_inv pow digamma div "
    "sqrt rsqrt sinh cosh asinh acosh atanh lgamma".split()
)
"""The order of `Level.functions`; all are formulas or instructions of float32."""

_LIBRARY = tuple("acos asin atan atan2 cbrt erfc rem tan".split())

_ZEN4_512 = (
    *(17, 10, 18, 13, 11, 12, 15, 22, 19, 17, 20, 49, 115, 350, 7.5, 10, 15),
    *(17, 15, 31, 27, 24, 480),
)
_ZEN4_256 = (
    *(11, 6.5, 10, 8, 6.6, 9, 12, 19, 12, 14, 21, 32, 64, 230, 5, 5, 8),
    *(11, 10, 20, 18, 18, 320),
)
_HALF = tuple(cycles / 2 for cycles in _ZEN4_256)

LEVELS = {
    # Zen 4 does one vector of 512 bits a cycle and reads L1 at one; servers of Intel's do two.
    "avx512": Level(512, 32, 1.0, 1.0, (64, 32, 25, 6), (25, 4), _ZEN4_512),
    # Zen 3, measured: 100 GB/s out of L2, 50 to 57 out of L3, 15 to 21 out of memory, at 3.4 GHz.
    "avx2": Level(256, 16, 2.0, 0.5, (64, 29, 15, 5), (15, 3), _ZEN4_256),
    # Two pipes of 128 bits: the least of what is sold as a server or a laptop.
    "neon": Level(128, 32, 2.0, 0.5, (32, 24, 12, 5), (12, 3), _HALF),
    "plain": Level(128, 16, 1.0, 0.5, (16, 12, 8, 4), (8, 2), _HALF),
}


def level_of(names: tuple[str, ...]) -> str:
    """The level of an instruction set: a key of `LEVELS`."""
    if "avx512f" in names:
        return "avx512"
    if "avx2" in names:
        return "avx2"
    return "neon" if platform.machine().lower() in ("aarch64", "arm64") else "plain"


def stated_barrier(tiles: int) -> int:
    """Cycles; one CPU alone has none, and programs run on two all the same."""
    return MESSAGE * messages(max(tiles, 2))


def stated(level: Level, tiles: int) -> Figures:
    """The figures of a level, of so many tiles."""
    l1, l2, l3, far = level.reads
    all_l3, all_far = level.all
    return Figures(
        clock=CLOCK,
        rates={},
        reads={"L1": (l1, l1), "L2": (l2, l2), "L3": (l3, all_l3), "memory": (far, all_far)},
        operations=operations(level),
        barrier=stated_barrier(tiles),
        call=CALL,
        jumps=JUMPS,
        launch=LAUNCH,
    )


def operations(level: Level) -> dict[str, float]:
    """Cycles for a vector, by name and dtype."""
    single, double = level.vector_bits // 32, level.vector_bits // 64
    found = {f"{name} float32": n for name, n in zip(FUNCTIONS, level.functions, strict=True)}
    found |= {f"{name} float32": LIBRARY * single for name in _LIBRARY}
    found |= {f"{name} float64": LIBRARY * double for name in (*FUNCTIONS, *_LIBRARY)}
    found |= {f"{name} float64": found[f"{name} float32"] for name in ("div", "sqrt", "rsqrt")}
    integers = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32)]
    found |= {f"{name} {kind}": DIVISION * single for name in ("div", "rem") for kind in integers}
    return found


def units(level: Level) -> tuple[Unit, ...]:
    """Multiply-adds of whole vectors; those of low precision take k in pairs or fours."""
    lanes, rate = level.vector_bits // 32, level.rate
    fma, pairs, fours = {
        512: ("avx512f", "avx512f", "avx512vnni"),
        256: ("fma", "avx2", "avxvnni"),
        128: ("", "none", "none"),
    }[level.vector_bits]
    return (
        Unit(("float32", "float32"), "float32", (1, lanes, 1), rate, feature=fma),
        # The law rounds products of float64 on their own: two instructions.
        Unit(("float64", "float64"), "float64", (1, lanes // 2, 1), rate / 2, feature=fma),
        Unit(("bfloat16", "bfloat16"), "float32", (1, lanes, 2), rate, feature="avx512bf16"),
        Unit(("int16", "int16"), "int32", (1, lanes, 2), rate, feature=pairs),
        Unit(("uint8", "int8"), "int32", (1, lanes, 4), rate, feature=fours),
    )

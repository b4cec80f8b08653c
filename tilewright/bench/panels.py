"""How near to their limits a few rows times packed panels come, from the panels' memory.

The limit of a product is the longer of two times measured in turns with it: reading as many bytes
as the panels have, over and over, and as many multiply-adds on registers in float32. Panels of 512
kB lie in an L2 of a megabyte, and in the L3 where an L2 is smaller; the read does the same. Panels
of lower precision are as many numbers, so fewer bytes: what they take is set against float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from tilewright.bench.record import Row
from tilewright.calibrate import Alone
from tilewright.codelets.base import Operand
from tilewright.codelets.contract import ContractPanels
from tilewright.codelets.peak import PeakFma, PeakRead
from tilewright.graph.ops.packed import QUAD, shape

SHAPES = ((256, 512), (512, 256), (200, 640))
"""(k, n)."""
KINDS = (
    ("float32", "float32", False),
    ("bfloat16", "float32", False),
    ("bfloat16", "bfloat16", True),
    ("int8", "int16", False),
    ("int8", "uint8", False),
)
"""Panels, rows, and whether pairs are taken as `vdpbf16ps` does."""
MOST_ROWS = 4
BARS = (0.9, 0.85, 0.85, 0.85)
"""By rows, in float32."""
TURNS = 20


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for k, n in SHAPES[:1] if quick else SHAPES:
        yield f"{k} × {n}", partial(run, k, n, 5 if quick else 60)


def run(k: int, n: int, rounds: int) -> list[Row]:
    """Rows 1 to 4 in float32 and one row in lower precisions; the worst in float32 first."""
    size = 4 * k * n
    read = Alone(PeakRead(size // 512 * 128, TURNS))
    fma = Alone(PeakFma("float32", 20_000))
    codelets = [codelet(*KINDS[0], m, n, k) for m in range(1, MOST_ROWS + 1)]
    codelets += [codelet(*kind, 1, n, k) for kind in KINDS[1:]]
    timed = [read, fma, *(Alone(each, TURNS) for each in codelets)]
    best = [float("inf")] * len(timed)
    for _ in range(rounds):
        best = [min(old, each.seconds()) for old, each in zip(best, timed, strict=True)]
    second = read.codelet.work.bytes / best[0], fma.codelet.work.flops / best[1]
    rows = [
        _row(each, time, second, best[2]) for each, time in zip(codelets, best[2:], strict=True)
    ]
    worst = min((row for row in rows if row.bar), key=lambda row: row.ours / (row.bar or 1))
    name = f"{k} × {n}, 1 to {MOST_ROWS} rows in float32: the worst"
    return [Row("panels", name, worst.ours, "of its limit", bar=worst.bar, notes=worst.name), *rows]


def codelet(dtype: str, lhs: str, paired: bool, m: int, n: int, k: int) -> ContractPanels:
    count, groups, lanes, depth = shape(dtype, k, n, QUAD if lhs == "uint8" else None)
    strides = (groups * lanes * depth, lanes * depth, depth, 1)
    return ContractPanels(
        Operand(lhs, (m, k), (k, 1)),
        Operand(dtype, (count, groups, lanes, depth), strides),
        Operand("int32" if dtype == "int8" else "float32", (m, n), (n, 1)),
        paired,
    )


def _row(each: ContractPanels, time: float, second: tuple[float, float], single: float) -> Row:
    read, flops = second
    limit = max(each.panels.nbytes / read, each.work.flops / flops)
    full = each.panels.dtype == "float32"
    pairs = ", pairs" if each.paired else ", bytes" if each.lhs.dtype == "uint8" else ""
    against = "" if full else f"; {single / time:.2f} × float32"
    return Row(
        "panels",
        f"{each.m} × {each.k} × {each.n} {each.panels.dtype}{pairs}",
        limit / time,
        "of its limit",
        bar=BARS[each.m - 1] if full else None,
        gflops=flops / 1e9,
        notes=f"{time * 1e6:.1f} µs, {each.panels.nbytes / time / 1e9:.0f} GB/s of "
        f"{read / 1e9:.0f}{against}",
        detail=True,
    )

"""How near to their limits a few rows times packed panels come, from the panels' memory.

The limit of a product is the longer of two times measured in turns with it: reading as many bytes
as the panels have, over and over, and as many multiply-adds on registers in float32. Panels of 512
kB lie in an L2 of a megabyte, and in the L3 where an L2 is smaller; the read does the same. Panels
of lower precision are as many numbers, so fewer bytes, and read as fast as those bytes are: what
they take is set against float32 as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import ml_dtypes  # noqa: F401  NumPy knows bfloat16 by its name
import numpy as np

from tilewright.bench.level import bar
from tilewright.bench.record import Row
from tilewright.bench.recurrent import timed
from tilewright.bench.rounds import compare
from tilewright.calibrate import Alone
from tilewright.codelets.base import Operand
from tilewright.codelets.contract import ContractPanels
from tilewright.codelets.peak import PeakFma, PeakRead
from tilewright.graph.ops.packed import QUAD, shape
from tilewright.machine.host import host_machine

SHAPES = ((256, 512), (512, 256), (200, 640), (100, 128), (512, 512))
"""(k, n): half a megabyte in float32, and the ends of what bars are for, 50 kB and a megabyte."""
LEAST = 50_000
"""Bytes of panels that a bar is for."""
KINDS = (
    ("float32", "float32", False),
    ("bfloat16", "float32", False),
    ("bfloat16", "bfloat16", True),
    ("int8", "int16", False),
    ("int8", "int8", False),
    ("int8", "uint8", False),
    ("int8", "uint16", False),
)
"""Panels, rows, and whether pairs are taken as `vdpbf16ps` does."""
IN_FOURS = ("int8", "uint8", "uint16")
"""Rows that panels of four neighbours are for."""
MOST_ROWS = 4
BARS = (0.9, 0.85, 0.85, 0.85)
"""By rows, in float32."""
NARROW = {"bfloat16": bar(0.6, 0.8), "int8": bar(0.58, 0.75)}
"""Of reading alone, by what panels are of: the best of the codelets for them."""
WEIGHTS = ((64, 1024, 256), (64, 2048, 512))
"""Rows, k and columns of products whose weights are bound; shares of the peak."""
BOUND = {"float32": bar(0.86, 0.85), "bfloat16": bar(None, 0.8)}
TURNS = 20


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for k, n in SHAPES[:1] if quick else SHAPES:
        yield f"{k} × {n}", partial(run, k, n, 5 if quick else 60)
    for m, k, n in WEIGHTS[:1] if quick else WEIGHTS:
        yield f"{m} × {k} × {n}", partial(run_bound, m, k, n, 5 if quick else 40)


def run(k: int, n: int, rounds: int) -> list[Row]:
    """Rows 1 to 4 in float32 and one row in lower precisions; the worst in float32 first."""
    codelets = [codelet(*KINDS[0], m, n, k) for m in range(1, MOST_ROWS + 1)]
    codelets += [codelet(*kind, 1, n, k) for kind in KINDS[1:]]
    codelets = [each for each in codelets if each.panels.nbytes >= LEAST]
    sizes = list(dict.fromkeys(each.panels.nbytes for each in codelets))
    reads = [Alone(PeakRead(size // 512 * 128, TURNS)) for size in sizes]
    fma = Alone(PeakFma("float32", 20_000))
    timed = [fma, *reads, *(Alone(each, TURNS) for each in codelets)]
    best = [float("inf")] * len(timed)
    for _ in range(rounds):
        best = [min(old, each.seconds()) for old, each in zip(best, timed, strict=True)]
    flops, times = fma.codelet.work.flops / best[0], best[1 + len(reads) :]
    read = {
        size: each.codelet.work.bytes / taken
        for size, each, taken in zip(sizes, reads, best[1:], strict=False)
    }
    rows = [
        _row(each, time, (read[each.panels.nbytes], flops), times[0])
        for each, time in zip(codelets, times, strict=True)
    ]
    able = [dtype for dtype in NARROW if any(each.panels.dtype == dtype for each in codelets)]
    narrow = [_narrow(f"{k} × {n}", dtype, codelets, times, read) for dtype in able]
    worst = min((row for row in rows if row.bar), key=lambda row: row.ours / (row.bar or 1))
    name = f"{k} × {n}, 1 to {MOST_ROWS} rows in float32: the worst"
    first = Row("panels", name, worst.ours, "of its limit", bar=worst.bar, notes=worst.name)
    return [first, *narrow, *rows]


def _narrow(
    size: str,
    dtype: str,
    codelets: Sequence[ContractPanels],
    times: Sequence[float],
    read: Mapping[int, float],
) -> Row:
    """The best of one row's codelets for such panels, over reading them."""
    shares = {
        each.lhs.dtype: each.panels.nbytes / time / read[each.panels.nbytes]
        for each, time in zip(codelets, times, strict=True)
        if each.panels.dtype == dtype
    }
    name, told = f"{size}, a row, {dtype}: of reading", (f"{k}: {v:.2f}" for k, v in shares.items())
    notes = "by what meets them: " + ", ".join(told)
    return Row("panels", name, max(shares.values()), "of peak", bar=NARROW[dtype], notes=notes)


def run_bound(m: int, k: int, n: int, rounds: int) -> list[Row]:
    """Products of whole programs, on one tile; bfloat16 in pairs."""
    from jax import lax

    import tilewright

    x, w = (np.random.default_rng(0).normal(size=s).astype(np.float32) for s in ((m, k), (k, n)))
    unit = {u.operands[1]: u.macs for u in host_machine().tile.units}
    rows = []
    for dtype, limit in BOUND.items():
        if dtype not in unit:
            continue
        product = partial(lax.dot, preferred_element_type=np.float32)
        law = "pairs" if dtype == "bfloat16" else None
        given = np.asarray(x).astype(dtype), np.asarray(w).astype(dtype)
        exe = tilewright.compile(lambda w, x, p=product: p(x, w), *given[::-1], tiles=1, law=law)
        bound = exe.bind(given[1])
        measured = compare({"ours": timed(partial(bound, given[0]))}, rounds)
        peak = unit[dtype] / unit["float32"]
        taken = zip(measured.seconds["ours"], measured.flops, strict=True)
        share = float(np.median([2 * m * k * n / t / (flops * peak) for t, flops in taken]))
        rows.append(Row("panels", f"{m} × {k} × {n}, weights bound, {dtype}", share, "of peak",
                        bar=limit, gflops=measured.gflops))  # fmt: skip
    return rows


def codelet(dtype: str, lhs: str, paired: bool, m: int, n: int, k: int) -> ContractPanels:
    count, groups, lanes, depth = shape(dtype, k, n, QUAD if lhs in IN_FOURS else None)
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
    pairs = ", pairs" if each.paired else f" by {each.lhs.dtype}" if not full else ""
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

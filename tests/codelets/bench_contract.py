"""How near to the peak contractions come: `python -m tests.codelets.bench_contract [word]`.

Each codelet takes turns with a register-only multiply-add loop of the same length; the figure is
the best rate of the one over the best of the other, beside the share of lanes that the shape can
use at all (the bound).
Pin it to a core (`taskset -c 1`): the machine may be shared.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from tests.codelets.cases import dense
from tests.codelets.run import Compiled
from tilewright.codelets.base import Operand, scratch_bytes
from tilewright.codelets.contract import ContractInner, ContractOuter
from tilewright.codelets.peak import PeakFma
from tilewright.graph.ir import numpy_dtype

ROUNDS = 60
TURN = 1e-4
"""Seconds of one timed run."""


def aligned(size: int) -> np.ndarray:
    """Bytes from the start of a cache line."""
    memory = np.zeros(size + 64, np.uint8)
    return memory[-memory.ctypes.data % 64 :][:size]


def contents(operand: Operand) -> np.ndarray:
    """Small numbers wherever the operand may look."""
    steps = zip(operand.shape, operand.strides, strict=True)
    count = sum((n - 1) * step for n, step in steps) + 1
    dtype = numpy_dtype(operand.dtype)
    array = aligned(count * dtype.itemsize).view(dtype)
    array[...] = np.random.default_rng(0).normal(size=count) * 0.1
    return array


class Timed:
    """A codelet, compiled to repeat itself for about `TURN`."""

    def __init__(self, codelet, rate: float = 1e11):
        self.codelet = codelet
        self.repeats = max(1, round(TURN * rate / codelet.cost.flops))
        self.code = Compiled(codelet, None, self.repeats)
        self.arrays = [contents(o) for o in (*codelet.inputs, *codelet.outputs)]
        if scratch_bytes(codelet):
            self.arrays.append(aligned(scratch_bytes(codelet)))

    def rate(self) -> float:
        """Floating-point operations a second."""
        start = time.perf_counter()
        self.code(*self.arrays)
        return self.codelet.cost.flops * self.repeats / (time.perf_counter() - start)


def share_of_peak(codelet, peak: Timed) -> float:
    """The best of either: both suffer from neighbours, and a bad moment says nothing."""
    timed = Timed(codelet)
    pairs = [(timed.rate(), peak.rate()) for _ in range(ROUNDS + 5)][5:]
    rates, peaks = zip(*pairs, strict=True)
    return max(rates) / max(peaks)


def bound(codelet) -> float:
    """Lanes in use, and for the inner form the folding of lanes: 45 operations a 16 outputs."""
    if isinstance(codelet, ContractInner):
        steps = -(-codelet.k // 16) * 16
        return codelet.k / (steps + 45)
    return codelet.n / (-(-codelet.n // 16) * 16)


def outer(m: int, n: int, k: int, dtype: str = "float32", pairs: bool = False) -> ContractOuter:
    out = dense("float32", m, n)
    return ContractOuter(dense(dtype, m, k), dense(dtype, k, n), out, False, pairs)


def inner(m: int, n: int, k: int, dtype: str = "float32", pairs: bool = False) -> ContractInner:
    step = -(-k // 16) * 16
    left, right = Operand(dtype, (m, k), (step, 1)), Operand(dtype, (n, k), (step, 1))
    return ContractInner(left, right, dense("float32", m, n), False, pairs)


def cases():
    """(word, codelet)."""
    sizes = [(40, 256, 22), (40, 128, 22), (40, 250, 22), (1, 256, 40), (40, 40, 256)]
    sizes += [(22, 256, 40), (40, 256, 40), (22, 40, 256), (100, 300, 37), (16, 512, 32)]
    sizes += [(n, n, n) for n in (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)]
    yield from (("outer", outer(*size)) for size in sizes)
    sizes = [(40, 22, 256), (40, 22, 250), (40, 22, 512), (40, 22, 1000), (40, 40, 256)]
    sizes += [(40, 40, 512), (96, 96, 512), (n := 64, n, n), (n := 128, n, n), (n := 256, n, n)]
    sizes += [(512, 512, 512)]
    yield from (("inner", inner(*size)) for size in sizes)
    shapes, turned = [(40, 256, 22), (128, 128, 128)], [(40, 22, 256), (128, 128, 128)]
    for dtype, pairs in (("bfloat16", False), ("float32", True), ("float16", False)):
        word = "pairs" if pairs else dtype
        yield from ((word, outer(*size, dtype, pairs)) for size in shapes)
        yield from ((word, inner(*size, dtype, pairs)) for size in turned)


def main(word: str = "") -> None:
    peak = Timed(PeakFma("float32", 4000))
    print("share of peak / bound")
    for group, codelet in cases():
        if word in group:
            share, limit = share_of_peak(codelet, peak), bound(codelet)
            print(f"{share:6.1%} {limit:6.1%} {share / limit:7.1%}  {codelet.name}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

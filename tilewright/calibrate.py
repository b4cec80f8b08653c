"""What one core of this host can do, measured through our own compiler: peaks to hold speed
against.

    peaks = measure()           operations a second, and bytes a second out of L1, L2 and L3

Measured once and kept beside the object cache. A benchmark on a noisy machine measures the first of
them again in every round (`FmaPeak`).
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tilewright.codegen.cache import compile_cached, usable_folder
from tilewright.codegen.host import host_target
from tilewright.codegen.program import program_text
from tilewright.codelets.base import Codelet
from tilewright.codelets.peak import PeakFma, PeakRead
from tilewright.env import ENVIRONMENT
from tilewright.files import write_text
from tilewright.graph.ir import Type
from tilewright.machine.cpu import cache_bytes
from tilewright.machine.host import host_machine
from tilewright.plan.ir import Buffer, Call, Program
from tilewright.plan.views import whole
from tilewright.runtime.compiled import Compiled
from tilewright.runtime.executable import Executable

READ_BYTES = 64 << 20
"""Bytes read in one timing of a cache level."""


@dataclass(frozen=True)
class Peaks:
    """One core: float32 operations a second (a multiply-add is two), bytes a second by level."""

    flops: float
    l1: float
    l2: float
    l3: float


class FmaPeak:
    """A loop of multiply-adds on registers; `flops()` times it once (about a millisecond)."""

    def __init__(self, turns: int = 100_000):
        self.codelet = PeakFma("float32", turns)
        self.run = executable(self.codelet)
        self.factors = np.full((2, 16), 0.5, np.float32)
        self.flops()

    def flops(self) -> float:
        """Operations a second, now."""
        start = time.perf_counter()
        self.run(self.factors)
        return self.codelet.cost.flops / (time.perf_counter() - start)


def executable(codelet: Codelet) -> Executable:
    """A program of one vertex, inputs and outputs as the codelet's operands (all dense)."""
    inputs = [Buffer(o.dtype, o.size, "input", i) for i, o in enumerate(codelet.inputs)]
    outputs = [Buffer(o.dtype, o.size, "output", i) for i, o in enumerate(codelet.outputs)]
    operands = [*codelet.inputs, *codelet.outputs]
    buffers = (*inputs, *outputs)
    arguments = tuple(whole(b, o.shape) for b, o in zip(buffers, operands, strict=True))
    program = Program(buffers, tuple(inputs), tuple(outputs), (Call(codelet, arguments),), {}, 0, 0)
    text = program_text(program, host_machine())
    return Executable(
        Compiled(
            object=compile_cached(text.text),
            inputs=tuple(Type(o.dtype, o.shape) for o in codelet.inputs),
            outputs=tuple(Type(o.dtype, o.shape) for o in codelet.outputs),
            short=True,
            stages=SimpleNamespace(graph=None, program=program, llvm=text.text),
        )
    )


@cache
def measure() -> Peaks:
    """The peaks of one core, from the file where an earlier process left them if there is one."""
    path = _path()
    if path is not None:
        with suppress(OSError, ValueError, TypeError):
            return Peaks(**json.loads(path.read_text()))
    fma = FmaPeak()
    sizes = [cache_bytes(1) // 2, cache_bytes(2) // 2, min(cache_bytes(3) // 4, 16 << 20)]
    peaks = Peaks(max(fma.flops() for _ in range(15)), *(_read_rate(size) for size in sizes))
    if path is not None:
        with suppress(OSError):  # a full or read-only disk
            write_text(path, json.dumps(asdict(peaks)))
    return peaks


def _path() -> Path | None:
    folder = ENVIRONMENT.cache
    if folder is None or not usable_folder(folder):
        return None
    return folder / f"peaks-{host_target().cpu}-{ENVIRONMENT.features or 'all'}.json"


def _read_rate(size: int) -> float:
    """Bytes a second when a block of `size` bytes is read over and over."""
    count = size // 512 * 128
    codelet = PeakRead(count, max(1, READ_BYTES // (4 * count)))
    run, block = executable(codelet), np.zeros(count, np.int32)
    run(block)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        run(block)
        best = min(best, time.perf_counter() - start)
    return codelet.cost.bytes / best

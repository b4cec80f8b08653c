"""The figures of a host: peaks by precision, reads by memory, functions, calls, the barrier.

In: nothing. Out: the host's `Machine` with its own figures, which are also left in the cache
folder. Some seconds long, on all CPUs that the process may use.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import cache, partial
from itertools import pairwise

import numpy as np

from tilewright.calibrate.alone import Alone, executable
from tilewright.calibrate.rounds import Chain, DisturbedError, Timing, in_cycles, patient
from tilewright.calibrate.tiles import barrier, together
from tilewright.codelets.base import Codelet
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression, Instruction
from tilewright.codelets.peak import PeakFma, PeakJump, PeakRead
from tilewright.env import ENVIRONMENT
from tilewright.files import usable_folder
from tilewright.graph.ops import BINARY
from tilewright.machine.cost import lanes
from tilewright.machine.cpu import cpu_limit
from tilewright.machine.figures import Figures, write
from tilewright.machine.host import described, host_machine, host_names
from tilewright.machine.machine import Machine, Memory, Tile
from tilewright.plan.basic import fill_codelet
from tilewright.plan.ir import Buffer, Call, Program
from tilewright.plan.views import whole
from tilewright.runtime.executable import Executable

__all__ = ["DisturbedError", "calibrate"]

ROUNDS = 12
ELEMENTS = 1024
"""Of a function's operand: with the result 8 KiB or 16, which any L1 holds."""
READ, MOST_READ = 16 << 20, 256 << 20
"""Bytes read in one timing; a block that no cache holds is not larger than that."""
PAGE = 4096
PEAK_TURNS = 40_000
"""Of multiply-adds: half a million cycles, beside which the call from Python is nothing."""


def calibrate(rounds: int = ROUNDS) -> Machine:
    """Measure this host and keep what was found.

    Raises `DisturbedError` where the best rounds of a figure do not agree; nothing is kept then.
    """
    names = host_names()
    figures = measured(described(names), rounds).rounded()
    folder = ENVIRONMENT.cache
    if folder is not None and usable_folder(folder):
        with suppress(OSError):  # a full or read-only disk
            write(folder, names, figures)
    host_machine.cache_clear()
    return described(names, figures)


def measured(machine: Machine, rounds: int = ROUNDS) -> Figures:
    """The figures; `machine` says what there is to measure, and what stays as stated."""
    tile, chain = machine.tile, Chain()
    clock = 1 / patient("the clock", chain.seconds, 4 * rounds)
    superstep = barrier()
    peaks = {dtype: PeakFma(dtype, PEAK_TURNS) for dtype in ("float32", "float64")}
    timings: dict[str, Timing] = {f"{d} peak": Alone(p).seconds for d, p in peaks.items()}
    timings |= {"a call": Alone(_elementwise("neg", "float32", 1), 5000).seconds}
    cycles = in_cycles(timings, chain, rounds)
    peak = {dtype: p.work.flops / 2 / cycles[f"{dtype} peak"] for dtype, p in peaks.items()}
    return Figures(
        clock=clock,
        rates=_rates(tile, peak),
        reads=_reads(tile, chain, rounds),
        operations=_operations(tile, chain, rounds),
        barrier=patient("a barrier", superstep, 4 * rounds) * clock if superstep else 0.0,
        call=cycles["a call"],
        jumps=_jumps(tile, chain, rounds),
        launch=patient("a call from Python", _launch, 4 * rounds),
    )


def _rates(tile: Tile, peak: dict[str, float]) -> dict[str, float]:
    """Instructions a cycle; those that no codelet emits keep their ratio to float32's."""
    stated = {unit.operands[1]: unit for unit in tile.units}
    faster = peak["float32"] / stated["float32"].macs
    rates = {dtype: unit.rate * faster for dtype, unit in stated.items()}
    measured = {d: macs / (stated[d].macs / stated[d].rate) for d, macs in peak.items()}
    return rates | measured


def _reads(tile: Tile, chain: Chain, rounds: int) -> dict[str, tuple[float, float]]:
    """Bytes a cycle, of one tile alone and of each of all."""
    found, count = {}, cpu_limit()
    for inner, memory in zip((None, *tile.memories), tile.memories, strict=False):
        sizes = [_block(memory, inner, tiles) for tiles in (1, count)]
        if memory.size <= (inner.size if inner else 0) or max(sizes) > MOST_READ:
            found[memory.name] = (memory.read, memory.read_all)
            continue
        alone, *many = (_reader(size) for size in (sizes[0], *[sizes[1]] * count))
        timings: dict[str, Timing] = {"alone": alone.seconds}
        several = 4 * rounds if memory.shared else rounds  # neighbours use it, too
        if memory.shared and count > 1:
            timings["all"] = partial(together, many)
        cycles = in_cycles({f"{memory.name} {k}": t for k, t in timings.items()}, chain, several)
        one = alone.codelet.work.bytes / cycles[f"{memory.name} alone"]
        all_cycles = cycles.get(f"{memory.name} all")
        each = many[0].codelet.work.bytes / all_cycles if all_cycles else one
        found[memory.name] = (one, min(one, each))
    return found


def _block(memory: Memory, inner: Memory | None, tiles: int) -> int:
    """Bytes that lie in a memory and not in the one before it, for each of some tiles.

    No more of them than it takes: on a shared host, part of the last cache is a neighbour's.
    """
    share = memory.size // (2 * tiles) if memory.shared else memory.size // 2
    return min(share, 4 * inner.size) if inner else share


def _reader(size: int) -> Alone:
    """Reads a block over and over."""
    return Alone(PeakRead(size // 512 * 128, max(1, READ // size)))


def _jumps(tile: Tile, chain: Chain, rounds: int) -> dict[str, float]:
    """Cycles to go on elsewhere, beyond those that reading as much in order takes."""
    found = {}
    for inner, memory in pairwise(tile.memories):
        size = _block(memory, inner, 1)
        if memory.size <= inner.size or size > MOST_READ:
            found[memory.name] = memory.jump
            continue
        block = Alone(PeakJump(max(1, size // PAGE), max(1, READ // size)))
        parts, order = f"{memory.name} in parts", f"{memory.name} in order"
        timings: dict[str, Timing] = {parts: block.seconds, order: _reader(size).seconds}
        cycles = in_cycles(timings, chain, 4 * rounds if memory.shared else rounds)
        codelet = block.codelet
        assert isinstance(codelet, PeakJump)
        read = max(1, READ // size) * (size // 512 * 512)  # by the other one
        longer = cycles[parts] - cycles[order] * codelet.work.bytes / read
        found[memory.name] = max(0.0, longer / codelet.jumps)
    return found


def _launch(times: int = 200) -> float:
    """Seconds of a call of a program with next to nothing in it."""
    run = _small_program()
    run()
    start = time.thread_time_ns()
    for _ in range(times):
        run()
    return (time.thread_time_ns() - start) * 1e-9 / times


@cache
def _small_program() -> Executable:
    buffer = Buffer("float32", 1, "tile")
    view = whole(buffer, (1,))
    call = Call(fill_codelet(np.zeros((), np.float32), view), (view,))
    return executable(Program((buffer,), (), (), (call,), {buffer: 0}, 0, 64))


def _operations(tile: Tile, chain: Chain, rounds: int) -> dict[str, float]:
    """Cycles for a vector, of all that a machine prices by name."""
    found = {}
    for name, dtype, stated in tile.operations:
        turns = max(1, round(1e6 / stated / ELEMENTS * lanes(tile, dtype)))
        timing = Alone(_elementwise(name, dtype, ELEMENTS), turns).seconds
        key = f"{name} {dtype}"
        cycles = in_cycles({key: timing}, chain, max(3, rounds // 2))[key]
        found[key] = cycles / ELEMENTS * lanes(tile, dtype)
    return found


def _elementwise(name: str, dtype: str, size: int) -> Codelet:
    """A function of one or two arrays."""
    op = name.removesuffix("_approximate")
    count = 2 if op in BINARY else 1
    params = (("approximate", True),) if op != name else ()
    instruction = Instruction(op, tuple(range(count)), dtype, params)
    expression = Expression((dtype,) * count, (instruction,), (count,))
    return Elementwise(expression, (size,), ((1,),) * count, ((1,),))

"""Runs one codelet alone: emit, compile, call on arrays. For tests and micro-benchmarks only."""

from __future__ import annotations

import ctypes
import platform
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pytest

from tilewright.codegen import host, link
from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.emit.llvm import Features, Module
from tilewright.graph.ir import numpy_dtype
from tilewright.machine.host import described, host_machine

X86 = platform.machine() == "x86_64"
HOST = host_machine().tile.features
AVX2 = described(("avx2", "fma")).tile.features
AVX2_TARGET = host.Target("haswell", "+avx2,+fma,+f16c,+bmi,+bmi2,-avx512f")
LEVELS = [HOST, *([AVX2] if HOST.vector_bits > 256 else [])]
"""This host, and the lesser machine that it can stand in for, if there is one."""
LESSER = LEVELS[-1]
levels = pytest.mark.parametrize("features", LEVELS, ids=lambda level: str(level.vector_bits))


def target(features: Features | None) -> host.Target:
    """The host itself, or a lesser machine that it can stand in for."""
    return AVX2_TARGET if features == AVX2 and X86 else host.host_target()


def _flush(on: bool) -> list[str]:
    """Lines that set the control word: flush denormals, or keep them as usual."""
    if not X86:
        word = 1 << 24 if on else 0
        return [f'  call void asm sideeffect "msr fpcr, $0", "r"(i64 {word})']
    word = 40896 if on else 8064
    return [f"  store i32 {word}, ptr %word", "  call void @llvm.x86.sse.ldmxcsr(ptr %word)"]


def wrapped(codelet: Codelet, features: Features, repeats: int = 1) -> str:
    """The codelet's text and an exported `entry(ptr %arguments)` that calls it `repeats` times.

    Denormals are flushed, as in a program.
    """
    module = Module(features)
    codelet.emit(module, "codelet")
    if X86:
        module.declare("llvm.x86.sse.ldmxcsr", "void", "ptr")
    count = len(codelet.inputs) + len(codelet.outputs) + (codelet.scratch > 0)
    lines = ["define void @entry(ptr %a) {", "entry:", "  %word = alloca i32", *_flush(True)]
    for i in range(count):
        lines.append(f"  %p{i} = getelementptr ptr, ptr %a, i64 {i}")
        lines.append(f"  %v{i} = load ptr, ptr %p{i}")
    lines += ["  br label %turn", "turn:", "  %i = phi i64 [ 0, %entry ], [ %next, %turn ]"]
    lines.append(f"  call void @codelet({', '.join(f'ptr %v{i}' for i in range(count))})")
    lines += ["  %next = add i64 %i, 1", f"  %more = icmp ult i64 %next, {repeats}"]
    lines += ["  br i1 %more, label %turn, label %done", "done:"]
    lines += [*_flush(False), "  ret void", "}"]
    return module.text() + "\n" + "\n".join(lines)


def assembly(codelet: Codelet, features: Features | None = None) -> str:
    return host.assembly(wrapped(codelet, features or HOST), target(features))


@lru_cache(500)
def _compiled(text: str, target: host.Target) -> host.CompiledObject:
    """Many tests look at one codelet, each at something else of it."""
    return host.CompiledObject((host.compile_part(text, target),))


@dataclass
class Compiled:
    """Native code of one codelet; call it on arrays laid out by `lay_out`."""

    codelet: Codelet
    features: Features | None = None
    repeats: int = 1
    loaded: link.Loaded = field(init=False)

    def __post_init__(self):
        text = wrapped(self.codelet, self.features or HOST, self.repeats)
        self.loaded = link.load(_compiled(text, target(self.features)), ("entry",), {})
        self.entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.loaded["entry"])

    def __call__(self, *arrays: np.ndarray) -> None:
        pointers = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
        self.entry(ctypes.addressof(pointers))


def lay_out(operand: Operand, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Memory with the values in it where `operand` says, and the strided view on it.

    The view starts at the base address; what lies around it is filled with 0x55.
    """
    dtype = numpy_dtype(operand.dtype)
    reach = [(n - 1) * s for n, s in zip(operand.shape, operand.strides, strict=True) if n]
    low = sum(r for r in reach if r < 0)
    high = sum(r for r in reach if r > 0)
    memory = np.frombuffer(bytearray(b"\x55" * ((high - low + 1 + 32) * dtype.itemsize)), dtype)
    strides = tuple(s * dtype.itemsize for s in operand.strides)
    base = memory[16 - low :]
    view = np.lib.stride_tricks.as_strided(base, operand.shape, strides, writeable=True)
    view[...] = values
    return memory, view


def run(codelet: Codelet, *arrays: np.ndarray, features: Features | None = None):
    """Outputs as native code computes them; `arrays` as for `meaning`. Checks nothing is spilt."""
    count = len(codelet.inputs)
    given = list(arrays[:count]) + [None] * len(codelet.outputs)
    for position, array in zip(codelet.in_place, arrays[count:], strict=True):
        given[count + position] = array
    laid = []
    for operand, values in zip((*codelet.inputs, *codelet.outputs), given, strict=True):
        laid.append(lay_out(operand, np.zeros(operand.shape) if values is None else values))
    expected = [memory.copy() for memory, _ in laid]
    size = codelet.scratch
    scratch = np.full(size + 64, 0x55, np.uint8)
    arguments = [view for _, view in laid] + ([scratch] if size else [])
    Compiled(codelet, features)(*arguments)
    _check_untouched(codelet, laid, expected)
    assert (scratch[size:] == 0x55).all(), "written past the end of the scratch memory"
    return tuple(view.copy() for _, view in laid[count:])


def _check_untouched(codelet: Codelet, laid: list, expected: list[np.ndarray]) -> None:
    """Only elements of outputs may have changed."""
    count = len(codelet.inputs)
    for i, ((memory, view), before) in enumerate(zip(laid, expected, strict=True)):
        if i >= count:
            start = (view.ctypes.data - memory.ctypes.data) // memory.itemsize
            copy = np.lib.stride_tricks.as_strided(before[start:], view.shape, view.strides)
            copy[...] = view
        assert memory.tobytes() == before.tobytes(), f"argument {i} was written out of place"

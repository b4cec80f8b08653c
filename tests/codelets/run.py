"""Runs one codelet alone: emit, compile, call on arrays. For tests and micro-benchmarks only."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field

import llvmlite.binding as llvm
import numpy as np

from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.llvm import Features, Module
from tilewright.graph.ir import numpy_dtype

AVX512 = Features(512, 32)
AVX2 = Features(256, 16)
_FLAGS = {512: "+avx512f,+avx512dq,+avx512bw,+avx512vl,+avx2,+fma,+f16c"}
_FLAGS[256] = "+avx2,+fma,+f16c,+bmi,+bmi2"

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()


def host_features() -> Features:
    """AVX-512 where the host has it."""
    return AVX512 if llvm.get_host_cpu_features().get("avx512vl") else AVX2


def target_machine(features: Features, level: int = 2) -> llvm.TargetMachine:
    cpu = llvm.get_host_cpu_name() if features.vector_bits == 512 else "haswell"
    target = llvm.Target.from_default_triple()
    flags = _FLAGS[features.vector_bits]
    return target.create_target_machine(cpu=cpu, features=flags, opt=level)


def wrapped(codelet: Codelet, features: Features) -> str:
    """The codelet's text and an exported `entry(ptr %arguments)`."""
    module = Module(features)
    codelet.emit(module, "codelet")
    count = len(codelet.inputs) + len(codelet.outputs)
    lines = ["define void @entry(ptr %a) {"]
    for i in range(count):
        lines.append(f"  %p{i} = getelementptr ptr, ptr %a, i64 {i}")
        lines.append(f"  %v{i} = load ptr, ptr %p{i}")
    lines.append(f"  call void @codelet({', '.join(f'ptr %v{i}' for i in range(count))})")
    lines.append("  ret void\n}")
    return module.text() + "\n" + "\n".join(lines)


def optimised(text: str, machine: llvm.TargetMachine) -> llvm.ModuleRef:
    module = llvm.parse_assembly(text)
    module.verify()
    builder = llvm.create_pass_builder(machine, llvm.PipelineTuningOptions(speed_level=1))
    passes = llvm.create_new_function_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)
    return module


def assembly(codelet: Codelet, features: Features | None = None) -> str:
    machine = target_machine(features or host_features())
    return machine.emit_assembly(optimised(wrapped(codelet, machine_features(features)), machine))


def machine_features(features: Features | None) -> Features:
    return features or host_features()


@dataclass
class Compiled:
    """Native code of one codelet; call it on arrays laid out by `lay_out`."""

    codelet: Codelet
    features: Features
    engine: llvm.ExecutionEngine = field(init=False)

    def __post_init__(self):
        machine = target_machine(self.features)
        module = optimised(wrapped(self.codelet, self.features), machine)
        self.engine = llvm.create_mcjit_compiler(module, machine)
        self.engine.finalize_object()
        address = self.engine.get_function_address("entry")
        self.entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)

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
    Compiled(codelet, features or host_features())(*[view for _, view in laid])
    _check_untouched(codelet, laid, expected)
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

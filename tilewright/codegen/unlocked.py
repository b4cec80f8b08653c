"""LLVM's three long functions, without the lock that llvmlite takes around each of its calls.

In: a text, a module, a target machine. Out: a module, or an object file.

LLVM serves several threads at once as long as each has a context, modules and a target machine of
its own, and ctypes lets Python run meanwhile. So nothing here may see an object of another thread:
modules are parsed into a new context each, and whoever calls has made the target machine itself.
"""

from __future__ import annotations

import ctypes
from functools import cache

import llvmlite.binding as llvm
from llvmlite.binding import ffi


def parse(text: str) -> llvm.ModuleRef:
    """A module in a context of its own. Raises `RuntimeError` for text that LLVM refuses."""
    context = llvm.create_context()
    with ffi.OutputString() as error:
        given = ctypes.c_char_p(text.encode())
        module = llvm.ModuleRef(_library().LLVMPY_ParseAssembly(context, given, error), context)
        if error:
            module.close()
            raise RuntimeError(f"LLVM IR parsing error\n{error}")
    return module


def run_passes(manager: object, module: llvm.ModuleRef, builder: object) -> None:
    """As `manager.run(module, builder)`."""
    _library().LLVMPY_RunNewModulePassManager(manager, module, builder)


def emit_object(machine: llvm.TargetMachine, module: llvm.ModuleRef) -> bytes:
    """As `machine.emit_object(module)`."""
    with ffi.OutputString() as error:
        buffer = _library().LLVMPY_TargetMachineEmitToMemory(machine, module, 1, error)
        if not buffer:
            raise RuntimeError(str(error))
    try:
        start, size = ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer)
        return ctypes.string_at(start, size)
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


@cache
def _library() -> ctypes.CDLL:
    """llvmlite's own library, opened once more, with functions of the same types."""
    library = ctypes.CDLL(ffi.lib._name)
    for name in (
        "LLVMPY_ParseAssembly",
        "LLVMPY_RunNewModulePassManager",
        "LLVMPY_TargetMachineEmitToMemory",
    ):
        known, own = getattr(ffi.lib, name), getattr(library, name)
        own.argtypes, own.restype = known.argtypes, known.restype
    return library

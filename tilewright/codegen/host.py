"""LLVM text to machine code, for the machine that we run on. Running it takes none of this.

In: a module as `codelets/emit/llvm.py` writes it (`@tilewright_run` is exported, the rest
internal), or text of one.
Out: `compile_text` gives a `CompiledObject` (object files as bytes); `link.py` makes it callable.

Always true: nothing is emitted for instructions that the target lacks; objects are position
independent and hold no host addresses; outside symbols are those that `link.py` knows.
"""

from __future__ import annotations

import ctypes
import itertools
import re
import threading
from collections.abc import Mapping, Sequence
from functools import cache

import llvmlite.binding as llvm

from tilewright.codegen import unlocked
from tilewright.codegen.link import LinkError
from tilewright.codegen.target import PASSES, Target
from tilewright.codelets.emit.llvm import Module
from tilewright.env import ENVIRONMENT
from tilewright.image import CompiledObject
from tilewright.machine.host import is_allowed

_names = itertools.count()
_own = threading.local()
"""Each thread's `machines`, by target."""


class CompileError(Exception):
    """LLVM refused a module: always a fault of ours, never of the user's program."""


@cache
def host_target() -> Target:
    """This host, or the lesser one that TILEWRIGHT_FEATURES asks for, as its `Machine` is."""
    features = dict(llvm.get_host_cpu_features())
    cpu = llvm.get_host_cpu_name()
    if ENVIRONMENT.features == "avx2":
        cpu = "haswell"
        features = {name: on and is_allowed(name) for name, on in features.items()}
    text = ",".join(f"{'+' if on else '-'}{name}" for name, on in sorted(features.items()))
    if features.get("avx512f"):
        text += ",-prefer-256-bit"
    return Target(cpu, text)


@cache
def _initialize() -> None:
    """LLVM knows no target until it is told to; needed for loading as much as for compiling."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()  # without it, inline assembly aborts the process


def target_machine(target: Target) -> llvm.TargetMachine:
    """LLVM's code generator for a target, this thread's own.

    Position independent, so that objects can be saved.
    """
    machines = _own.__dict__.setdefault("machines", {})
    if target not in machines:
        _initialize()
        machines[target] = llvm.Target.from_default_triple().create_target_machine(
            cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="small"
        )
    return machines[target]


def optimised(text: str, target: Target) -> llvm.ModuleRef:
    """Parse, verify and run `PASSES`."""
    machine = target_machine(target)
    try:
        module = unlocked.parse(text)
        module.triple, module.data_layout = machine.triple, str(machine.target_data)
        module.verify()
    except RuntimeError as error:
        raise CompileError(explain(str(error), text)) from None
    manager = llvm.create_new_module_pass_manager()
    for name in PASSES:
        getattr(manager, f"add_{name}_pass")()
    options = llvm.create_pipeline_tuning_options()
    unlocked.run_passes(manager, module, llvm.create_pass_builder(machine, options))
    return module


def explain(message: str, text: str) -> str:
    """LLVM's message with the lines of `text` around the one that it names, if it names one."""
    found = re.search(r"<string>:(\d+):(\d+)", message)
    if not found:
        return message
    number, lines = int(found[1]), text.splitlines()
    head = next((line for line in reversed(lines[:number]) if line.startswith("define")), "")
    near = range(max(1, number - 4), min(len(lines), number + 3) + 1)
    shown = [f"{'>' if i == number else ' '} {i:6d} | {lines[i - 1]}" for i in near]
    return "\n".join([message.strip(), f"in {head}", *shown])


def compile_part(text: str, target: Target) -> bytes:
    """One module to one object file; threads may do so at once."""
    return unlocked.emit_object(target_machine(target), optimised(text, target))


def compile_text(source: Module | str, target: Target | None = None) -> CompiledObject:
    """The whole module; a large one is split over several threads, unless it is text."""
    from tilewright.codegen.parallel import compile_parts

    target = target or host_target()
    if isinstance(source, str):
        return CompiledObject((compile_part(source, target),))
    return CompiledObject(tuple(compile_parts(source, target)))


def assembly(text: str, target: Target | None = None) -> str:
    """What `compile_text` would make of it, for reading."""
    target = target or host_target()
    return target_machine(target).emit_assembly(optimised(text, target))


def link(
    compiled: CompiledObject, exports: Sequence[str], outside: Mapping[str, int]
) -> tuple[dict[str, int], object]:
    """Addresses of `exports`, and what keeps them in memory: for objects that `elf.py` leaves."""
    builder = llvm.JITLibraryBuilder()
    for part in compiled.parts:
        builder.add_object_img(part)
    for symbol, address in outside.items():
        builder.import_symbol(symbol, address)
    for symbol in exports:
        builder.export_symbol(symbol)
    try:
        tracker = builder.link(_jit(), f"tilewright{next(_names)}")
    except RuntimeError as error:
        # LLVM has printed the names of missing symbols on standard error.
        raise LinkError(f"The compiled objects do not link: {error}") from None
    return {symbol: tracker[symbol] for symbol in exports}, tracker


@cache
def _jit() -> llvm.orcjit.LLJIT:
    """The linker. Never closed: code may still run in other threads while Python ends."""
    _initialize()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=host_target().cpu, reloc="pic", codemodel="small"
    )
    # The older linker aborts the process where it gets memory for code and data far apart.
    jit = llvm.create_lljit_compiler(machine, use_jit_link=True)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(jit))
    return jit

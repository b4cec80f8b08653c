"""Compile a large module in several threads at once.

In: a module. Out: object files, one a part. The parts depend on the module and on the number of
threads, but no instruction does: a function compiles to the same code in any part.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from tilewright.codegen.host import compile_part
from tilewright.codegen.split import split
from tilewright.codegen.target import Target
from tilewright.codelets.emit.llvm import Module
from tilewright.env import ENVIRONMENT

LEAST = 50_000
"""Characters of text worth a part: 30 ms of LLVM, where a part takes 2 ms to begin."""


def compile_parts(module: Module, target: Target) -> list[bytes]:
    """Object files of all parts; this thread compiles the first one itself."""
    allowed = ENVIRONMENT.processes or min(8, len(os.sched_getaffinity(0)))
    size = sum(len(function.body) for function in module.functions.values())
    first, *others = split(module, max(1, min(allowed, size // LEAST)))
    if not others:
        return [compile_part(first, target)]
    with ThreadPoolExecutor(len(others)) as pool:
        elsewhere = [pool.submit(compile_part, part, target) for part in others]
        return [compile_part(first, target), *(future.result() for future in elsewhere)]

"""Compile a large module in several processes: LLVM in one process has one lock for all threads.

In: a module. Out: object files, one a part. The parts depend on the module and on the number of
processes, but no instruction does: a function compiles to the same code in any part.

The helpers are lean: they import llvmlite and a few of our files, not JAX or NumPy.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tilewright.codegen.host import CompileError, compile_part
from tilewright.codegen.split import split
from tilewright.codegen.target import Target
from tilewright.codelets.emit.llvm import Module
from tilewright.env import ENVIRONMENT

LEAST = 1_000_000
"""Characters of text worth a process: some 15,000 instructions, as long as its start of 0.2 s."""

_ROOT = Path(__file__).resolve().parents[2]
_COMMAND = "from tilewright.codegen.parallel import serve; serve()"


def compile_parts(module: Module, target: Target) -> list[bytes]:
    """Object files of all parts; this process compiles the first one itself."""
    allowed = ENVIRONMENT.processes or min(8, len(os.sched_getaffinity(0)))
    size = sum(len(function.body) for function in module.functions.values())
    first, *others = split(module, max(1, min(allowed, size // LEAST)))
    if not others:
        return [compile_part(first, target)]
    with ThreadPoolExecutor(len(others)) as pool:
        elsewhere = [pool.submit(_compile_elsewhere, part, target) for part in others]
        return [compile_part(first, target), *(future.result() for future in elsewhere)]


def _compile_elsewhere(part: str, target: Target) -> bytes:
    paths = [str(_ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", _COMMAND, target.cpu, target.features],
        input=part.encode(),
        capture_output=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        check=False,
    )
    if done.returncode:
        raise CompileError(done.stderr.decode(errors="replace").strip())
    return done.stdout


def serve() -> None:
    """The helper: target in the arguments, text on standard input, object on standard output."""
    cpu, features = sys.argv[1:3]
    try:
        compiled = compile_part(sys.stdin.buffer.read().decode(), Target(cpu, features))
    except CompileError as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(compiled)

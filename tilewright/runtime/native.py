"""The native part of the runtime: barrier, queue, ring, and a worker's main loop.

In: nothing. Out: `support()`, the addresses of the functions that programs call (listed in
`codegen/context.py`), and `Native`, those that Python calls: calls of programs (`call_text.py`) and
the life of the gang's threads. Compiled once a process, from the cache if it can.

The gang is a block of lines (64 bytes): line 0 holds the job (function, context) and how long to
spin, line 1 the number of workers still at it and the caller's sleep flag, then one line a worker
with its mailbox: job number, sleep flag. Worker 0 is whoever calls; the others are the gang's. Only
workers that take part get mail, so the others are never woken, and nobody reads a job that is being
written. Waiting spins for a while, then sleeps in the kernel (futex).

Arithmetic of programs flushes denormals: `tw_call` sets the control register (MXCSR, FPCR) around
the program, and puts back what it was.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from functools import cache

from tilewright.codegen.cache import compile_cached
from tilewright.codegen.link import load
from tilewright.frozen import frozen
from tilewright.runtime.call_text import PYTHON
from tilewright.runtime.native_text import text

GANG_LINES = 2
"""Lines before the first mailbox."""

SPIN = {"x86_64": 120_000, "aarch64": 5_000}
"""About 50 µs in ticks: of the time stamp counter (2 to 3 GHz), of the ARM timer (0.1 GHz)."""

PROGRAM_CALLS = ("tw_barrier", "tw_cancelled", "tw_next", "tw_wait_slot", "tw_finished")
_ADDRESS, _NUMBER = ctypes.c_void_p, ctypes.c_int64
_FREE, _HOLDING = ctypes.CFUNCTYPE, ctypes.PYFUNCTYPE
"""Without Python's lock; or with it, and then an exception that was set is raised."""

_SIGNATURES = {
    "tw_worker": _FREE(None, _ADDRESS, _NUMBER),
    "tw_post": _FREE(None, _ADDRESS, _ADDRESS, _ADDRESS, _NUMBER, _NUMBER),
    "tw_drive": _HOLDING(None, _ADDRESS),
}


class _Method(ctypes.Structure):
    """Python's `PyMethodDef`: the stable way to a builtin."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_FASTCALL = 0x80
"""METH_FASTCALL: arguments as a C array, with their number."""


@frozen(eq=False)
class Native:
    """The functions of `text`, ready to call."""

    loaded: object
    addresses: dict[str, int]
    functions: dict[str, ctypes._CFuncPtr]

    def __getattr__(self, name: str) -> ctypes._CFuncPtr:
        return self.functions[name]


@cache
def native() -> Native:
    """The support module, compiled or from the cache. It is never unloaded."""
    names = (*PROGRAM_CALLS, *_SIGNATURES, "tw_apply")
    loaded = load(compile_cached(text(architecture())), names, imports=_python())
    functions = {name: signature(loaded[name]) for name, signature in _SIGNATURES.items()}
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(loaded))
    return Native(loaded, loaded.addresses, functions)


@cache
def _apply() -> _Method:
    """Never given back: builtins point to it."""
    return _Method(b"apply", native().addresses["tw_apply"], _FASTCALL, None)


def applying(job: int) -> Callable[[tuple, tuple], int]:
    """`tw_apply` of a job, by its address: a builtin of leaves and pieces. A call of it costs a
    tenth of one through ctypes."""
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, (_ADDRESS, ctypes.py_object, _ADDRESS)
    return make(ctypes.byref(_apply()), job, None)


def _python() -> dict[str, int]:
    """Addresses of the functions of Python's that we call."""
    process = ctypes.pythonapi
    return {
        name: ctypes.cast(getattr(process, name), ctypes.c_void_p).value or 0 for name in PYTHON
    }


def architecture() -> str:
    """This host's, by LLVM's name."""
    name = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower())
    return name or platform.machine()


def support() -> dict[str, int]:
    """Addresses of the functions that programs call."""
    return {name: native().addresses[name] for name in PROGRAM_CALLS}

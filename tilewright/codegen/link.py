"""Machine code in memory, ready to be called; without LLVM, where the object files are ours.

In: a `CompiledObject`. Out: `load` gives a `Loaded`, with the addresses of what it exports. Outside
symbols are those of `SYMBOLS` and the support functions of `runtime/`, whose addresses the loader
is given.

Memory is written first and made executable then, never both at once. It is given back with the
`Loaded`, but not while Python ends: other threads may still run in it.
"""

from __future__ import annotations

import ctypes
import mmap
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from tilewright.codegen.elf import ForeignObjectError, Linked, MissingSymbolError
from tilewright.codelets.emit.libm import LIBM
from tilewright.frozen import frozen
from tilewright.image import CompiledObject

SYMBOLS = ("syscall", "usleep", "memcpy", "memmove", "memset", "fmod", "fmodf", *LIBM)
"""What compiled code may call: LLVM itself turns `frem` and long copies into some of these."""


class LinkError(Exception):
    """Objects do not make a program: always a fault of ours, never of the user's program."""


@frozen(eq=False)
class Loaded:
    """Machine code in memory; it stays there as long as this object lives."""

    addresses: dict[str, int]
    owner: Any = None

    def __getitem__(self, symbol: str) -> int:
        return self.addresses[symbol]


def load(
    compiled: CompiledObject,
    exports: tuple[str, ...] = ("tilewright_run",),
    imports: Mapping[str, int] = MappingProxyType({}),
) -> Loaded:
    """Link the object files and give the addresses of `exports`.

    `imports` are the addresses of functions that the objects call: for a program those of
    `runtime.native.support()`.
    """
    outside = outside_symbols() | dict(imports)
    try:
        linked = Linked(compiled.parts)
        linked.expect(exports)
        outside = _in_libraries(linked.outside) | outside
        memory = _Memory(linked.size)
        memory.fill(linked.place(memory.address, outside))
    except ForeignObjectError:
        from tilewright.codegen.host import link

        addresses, owner = link(compiled, exports, outside)
        return Loaded(addresses, owner)
    except MissingSymbolError as error:
        raise LinkError(f"The compiled objects do not link: nobody defines {error}.") from None
    found = {symbol: memory.address + linked.symbols[symbol] for symbol in exports}
    return Loaded(found, memory)


def _in_libraries(names: Sequence[str]) -> dict[str, int]:
    """Of the C library and its mathematics: LLVM turns `pow(x, 0.5)` into `sqrt`, and the like."""
    process = ctypes.CDLL(None)
    found = {name: getattr(process, name, None) for name in names}
    return {name: ctypes.cast(f, ctypes.c_void_p).value or 0 for name, f in found.items() if f}


class _Memory:
    """Pages of this process."""

    def __init__(self, size: int):
        self.size = max(size, 1)
        library = _library()
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self.address = library.mmap(None, self.size, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
        if self.address in (None, ctypes.c_void_p(-1).value):
            raise MemoryError(f"The system has no {self.size:,} bytes for machine code.")
        weakref.finalize(self, library.munmap, self.address, self.size).atexit = False

    def fill(self, content: bytes) -> None:
        ctypes.memmove(self.address, content, len(content))
        if _library().mprotect(self.address, self.size, mmap.PROT_READ | mmap.PROT_EXEC):
            raise LinkError("The system lets no memory be made executable.")


@cache
def _library() -> Any:
    """The C library, with the types of what we call."""
    library = ctypes.CDLL(None, use_errno=True)
    address, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    library.mmap.restype = address
    library.mmap.argtypes = [address, size, number, number, number, ctypes.c_long]
    library.mprotect.argtypes = [address, size, number]
    library.munmap.argtypes = [address, size]
    return library


@cache
def outside_symbols() -> dict[str, int]:
    """Addresses of `SYMBOLS` in this process, which holds the C library and its mathematics."""
    process = ctypes.CDLL(None)
    return {
        name: ctypes.cast(getattr(process, name), ctypes.c_void_p).value or 0 for name in SYMBOLS
    }

"""Object files to machine code at an address: a linker for what our own objects hold.

In: x86-64 object files (ELF) as LLVM writes them for position-independent code without data, and
the addresses of outside symbols. Out: bytes, and where in them each symbol lies; `place` is told
the address at which they will lie. Relocations are of the two kinds that such code has: the
distance to a constant or to a function, in 32 bits. Functions outside may be farther away than
that: calls of them go through a stub of our own. Tables for unwinding are left out: nobody throws.

Raises `ForeignObjectError` for what has anything else (a symbol that lies in no loaded section, or
is defined twice; a distance that no 32 bits hold; a file that ends too early): LLVM's own linker
then takes it, or says what is wrong.

The format: System V ABI, AMD64 supplement, chapter 4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = np.dtype([("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"),
                    ("value", "<u8"), ("size", "<u8")])  # fmt: skip
_RELOCATION = np.dtype([("at", "<u8"), ("kind", "<u4"), ("symbol", "<u4"), ("add", "<i8")])
_CODE_OR_CONSTANTS, _SYMBOLS, _WITH_ADDENDS, _WITHOUT, _UNWINDING = 1, 2, 4, 9, 0x70000001
"""Types of sections; the third and fourth are relocations."""
_WITHOUT_BYTES = 8
_LOADED, _WRITABLE = 2, 1
_PAGE = 4096
"""How places in memory are aligned at most."""
_STRONG, _PLAIN = 1, (0, 1, 2, 3)
"""A binding of symbols, and those of their types that stand for an address: none, data, code, a
section; not a thread's own memory, nor a function that finds another one."""
_DISTANCES = (2, 4)
"""R_X86_64_PC32 and R_X86_64_PLT32."""
_STUB = struct.Struct("<6sQ2x")
_JUMP = b"\xff\x25\0\0\0\0"
"""`jmp *0(%rip)`: to the address behind it."""


class ForeignObjectError(Exception):
    """An object file that holds more than ours do."""


class MissingSymbolError(Exception):
    """Names the symbols that nobody defines."""


@dataclass
class _Object:
    """One file: its sections' places in the whole, its symbols, and what is to be filled in."""

    content: bytes
    sections: list[tuple[int, ...]]
    places: dict[int, int] = field(default_factory=dict)
    """Of loaded sections, by number."""


class Linked:
    """Objects laid out one behind the other; `size` bytes, before they have an address."""

    def __init__(self, parts: Sequence[bytes]):
        self.size = 0
        self.symbols: dict[str, int] = {}
        """Where in the whole each global symbol lies."""
        self._strong: set[str] = set()
        with _whole_files():
            self.objects = [_Object(part, _sections(part)) for part in parts]
            for each in self.objects:
                self._lay_out(each)
            self._tables = [self._table(each) for each in self.objects]
        missing = {name for _, names in self._tables for name in names} - self.symbols.keys()
        self.outside = sorted(missing)
        self.stubs = _up(self.size, 16)
        self.size = self.stubs + 16 * len(self.outside)

    def expect(self, names: Sequence[str]) -> None:
        """Raises MissingSymbolError for those that no object defines."""
        unknown = [name for name in names if name not in self.symbols]
        if unknown:
            raise MissingSymbolError(", ".join(unknown))

    def place(self, address: int, outside: Mapping[str, int]) -> bytes:
        """The bytes as they are to lie at `address`."""
        unknown = [name for name in self.outside if name not in outside]
        if unknown:
            raise MissingSymbolError(", ".join(unknown))
        memory = np.zeros(self.size, np.uint8)
        for number, name in enumerate(self.outside):
            stub = _STUB.pack(_JUMP, outside[name])
            memory[self.stubs + 16 * number :][: len(stub)] = np.frombuffer(stub, np.uint8)
        everywhere = self.symbols | {
            name: self.stubs + 16 * number for number, name in enumerate(self.outside)
        }
        for each, (values, names) in zip(self.objects, self._tables, strict=True):
            self._copy(memory, each)
            for name, positions in names.items():
                values[positions] = everywhere[name]
            with _whole_files():
                _fill_in(memory, each, values)
        return memory.tobytes()

    def relocatable(self) -> tuple[bytes, list[tuple[int, int, str, int]]]:
        """The bytes for any address, and what is left to a linker: the place, kind, symbol and
        addend of each relocation to what lies outside."""
        memory, left = np.zeros(self.stubs, np.uint8), []
        for each, (values, names) in zip(self.objects, self._tables, strict=True):
            self._copy(memory, each)
            outside = {}
            for name, positions in names.items():
                values[positions] = self.symbols.get(name, 0)
                if name not in self.symbols:
                    outside |= dict.fromkeys(positions, name)
            with _whole_files():
                _fill_in(memory, each, values)
            for target, entries in _relocations(each):
                for at, kind, position, add in entries.tolist():
                    if position in outside:
                        left.append((at + each.places[target], kind, outside[position], add))
        return memory.tobytes(), left

    def _copy(self, memory: np.ndarray, each: _Object) -> None:
        for number, at in each.places.items():
            _, _, _, _, start, size, *_ = each.sections[number]
            memory[at : at + size] = np.frombuffer(each.content, np.uint8, size, start)

    def _lay_out(self, each: _Object) -> None:
        for number, (_, kind, flags, _, _, size, _, _, align, _) in enumerate(each.sections):
            if not flags & _LOADED or kind == _UNWINDING:
                continue
            if kind != _CODE_OR_CONSTANTS or flags & _WRITABLE:
                raise ForeignObjectError(f"a section of type {kind}, flags {flags}")
            if align > _PAGE:
                raise ForeignObjectError(f"a section aligned to {align} bytes")
            self.size = _up(self.size, max(align, 1))
            each.places[number] = self.size
            self.size += size

    def _table(self, each: _Object) -> tuple[np.ndarray, dict[str, list[int]]]:
        """Where each symbol lies in the whole; and those, by name, that lie elsewhere."""
        (section,) = [s for s in each.sections if s[1] == _SYMBOLS]
        _, _, _, _, start, size, link, *_ = section
        table = np.frombuffer(each.content, _SYMBOL, size // _SYMBOL.itemsize, start)
        values, elsewhere = np.zeros(len(table), np.int64), {}
        used = _used(each)
        for position, symbol in enumerate(table.tolist()):
            name_at, info, _, section, value, _ = symbol
            if section in each.places:
                values[position] = each.places[section] + value
                if info >> 4:  # not local
                    self._define(_name(each, link, name_at), int(values[position]), info >> 4)
            elif position in used and section:
                raise ForeignObjectError(f"a symbol in section {section}")
            elif position in used:
                elsewhere.setdefault(_name(each, link, name_at), []).append(position)
            if position in used and info & 15 not in _PLAIN:
                raise ForeignObjectError(f"a symbol of type {info & 15}")
        return values, elsewhere

    def _define(self, name: str, at: int, binding: int) -> None:
        """Of weak definitions any will do, but for a strong one."""
        if binding == _STRONG:
            if name in self._strong:
                raise ForeignObjectError(f"{name} is defined twice")
            self._strong.add(name)
        if binding == _STRONG or name not in self.symbols:
            self.symbols[name] = at


@contextmanager
def _whole_files() -> Iterator[None]:
    """What is found where nothing is, or nothing can be, is no object file."""
    try:
        yield
    except (struct.error, ValueError, IndexError, OverflowError):
        raise ForeignObjectError("not a whole object file") from None


def _sections(part: bytes) -> list[tuple[int, ...]]:
    head = _HEADER.unpack_from(part)
    if head[0][:6] != b"\x7fELF\x02\x01" or head[1:3] != (1, 62):
        raise ForeignObjectError("not an object file of x86-64")
    first, each, count = head[6], head[11], head[12]
    found = [_SECTION.unpack_from(part, first + each * i) for i in range(count)]
    for _, kind, _, _, start, size, *_ in found:
        if kind != _WITHOUT_BYTES and start + size > len(part):
            raise ValueError("a section ends behind the file")
    return found


def _used(each: _Object) -> set[int]:
    """Symbols that code refers to: LLVM also lists functions that it thought it might call."""
    found: set[int] = set()
    for _, kind, _, _, start, size, _, target, *_ in each.sections:
        if kind == _WITH_ADDENDS and target in each.places:
            count = size // _RELOCATION.itemsize
            entries = np.frombuffer(each.content, _RELOCATION, count, start)
            found.update(np.unique(entries["symbol"]).tolist())
    return found


def _relocations(each: _Object) -> Iterator[tuple[int, np.ndarray]]:
    """Of each loaded section that has any: its number, and they."""
    for _, kind, _, _, start, size, _, target, *_ in each.sections:
        if kind not in (_WITH_ADDENDS, _WITHOUT) or target not in each.places:
            continue
        if kind == _WITHOUT:
            raise ForeignObjectError("relocations without addends")
        entries = np.frombuffer(each.content, _RELOCATION, size // _RELOCATION.itemsize, start)
        if not np.isin(entries["kind"], _DISTANCES).all():
            raise ForeignObjectError(f"relocations of kinds {set(entries['kind'].tolist())}")
        if entries["at"].max(initial=0) + 4 > max(4, each.sections[target][5]):
            raise ValueError("a relocation behind the end of its section")
        yield target, entries


def _fill_in(memory: np.ndarray, each: _Object, values: np.ndarray) -> None:
    """Distances from where they stand to the symbols, whose places are `values`."""
    for target, entries in _relocations(each):
        at = entries["at"].astype(np.int64) + each.places[target]
        distances = values[entries["symbol"]] + entries["add"] - at
        narrow = distances.astype("<i4")
        if (narrow != distances).any():
            raise ForeignObjectError("a distance of more than 32 bits")
        memory[at[:, None] + np.arange(4)] = narrow.view(np.uint8).reshape(-1, 4)


def _name(each: _Object, strings: int, at: int) -> str:
    start = each.sections[strings][4] + at
    return each.content[start : each.content.index(b"\0", start)].decode()


def _up(size: int, step: int) -> int:
    return -(-size // step) * step

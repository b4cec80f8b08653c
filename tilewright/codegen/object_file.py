"""One object file for other programs' linkers, of our own object files and read-only data.

In: object files as `elf.py` reads them, bytes that code calls `DATA`, and which symbols others may
see. Out: an x86-64 ELF object: all code and its constants in one section, as they will lie, the
data in another. Distances inside are filled in; what the C library has to give is left to a linker.
So nothing but the exported names is visible, and any number of such objects go into one program.

The format: System V ABI, chapters 4 and 5, and its AMD64 supplement.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence

from tilewright.codegen.elf import Linked, MissingSymbolError

DATA = "tw_data"
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QIIq")
_ALLOCATED, _EXECUTABLE, _INFO_IS_SECTION = 2, 4, 64
_LINE = 64
_NAMES = ("", ".text", ".rela.text", ".rodata", ".symtab", ".strtab", ".shstrtab",
          ".note.GNU-stack")  # fmt: skip
_TEXT, _RODATA, _SYMTAB, _STRTAB, _SHSTRTAB = 1, 3, 4, 5, 6
_FUNCTION, _OBJECT, _GLOBAL = 2, 1, 1 << 4


def object_file(
    parts: Sequence[bytes], data: bytes, exports: Sequence[str], outside: Collection[str]
) -> bytes:
    """Raises MissingSymbolError for what neither the parts nor `outside` define."""
    linked = Linked(parts)
    missing = sorted({*linked.outside} - {*outside, DATA})
    if missing:
        raise MissingSymbolError(", ".join(missing))
    code, left = linked.relocatable()
    strings, symbols = _Strings(), [_SYMBOL.pack(0, 0, 0, 0, 0, 0)]
    number = {DATA: 1}
    symbols.append(_SYMBOL.pack(strings.at(DATA), _OBJECT, 0, _RODATA, 0, len(data)))
    for name in exports:
        at = linked.symbols[name]
        symbols.append(_SYMBOL.pack(strings.at(name), _GLOBAL | _FUNCTION, 0, _TEXT, at, 0))
    for name in linked.outside:
        if name != DATA:
            number[name] = len(symbols)
            symbols.append(_SYMBOL.pack(strings.at(name), _GLOBAL, 0, 0, 0, 0))
    relocations = [_RELOCATION.pack(at, kind, number[name], add) for at, kind, name, add in left]
    heads, names = _Strings(), {}
    for name in _NAMES:
        names[name] = heads.at(name)
    contents = {
        ".text": (1, _ALLOCATED | _EXECUTABLE, code, 0, 0, _LINE, 0),
        ".rela.text": (4, _INFO_IS_SECTION, b"".join(relocations), _SYMTAB, _TEXT, 8, 24),
        ".rodata": (1, _ALLOCATED, data, 0, 0, _LINE, 0),
        ".symtab": (2, 0, b"".join(symbols), _STRTAB, 2, 8, 24),
        ".strtab": (3, 0, strings.content, 0, 0, 1, 0),
        ".shstrtab": (3, 0, heads.content, 0, 0, 1, 0),
        ".note.GNU-stack": (1, 0, b"", 0, 0, 1, 0),
    }
    return _file(contents, names)


def _file(contents: dict[str, tuple], names: dict[str, int]) -> bytes:
    found, table = [bytes(_HEADER.size)], [bytes(_SECTION.size)]
    size = _HEADER.size
    for name, (kind, flags, content, link, info, align, entry) in contents.items():
        found += [bytes(-size % align), content]
        size += len(found[-2])
        fields = (names[name], kind, flags, 0, size, len(content), link, info, align, entry)
        table.append(_SECTION.pack(*fields))
        size += len(content)
    found.append(bytes(-size % 8))
    size += len(found[-1])
    magic = b"\x7fELF\x02\x01\x01" + bytes(9)
    found[0] = _HEADER.pack(
        magic, 1, 62, 1, 0, 0, size, 0, _HEADER.size, 0, 0, _SECTION.size, len(table), _SHSTRTAB
    )
    return b"".join([*found, *table])


class _Strings:
    """A table of strings that end with a zero."""

    def __init__(self) -> None:
        self.content = b"\0"

    def at(self, text: str) -> int:
        if not text:
            return 0
        self.content += text.encode() + b"\0"
        return len(self.content) - len(text.encode()) - 1

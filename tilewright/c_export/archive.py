"""A static library: object files one behind the other, and which of them defines what.

In: object files with the symbols that they export. Out: an archive as `ar` writes it (the format of
System V, with a table of symbols first), which needs no tool to be made.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_MAGIC = b"!<arch>\n"


def static_library(members: Sequence[tuple[str, bytes, Sequence[str]]]) -> bytes:
    """Members are a name of at most 15 characters, an object file, and what it exports."""
    names = [symbol for _, _, symbols in members for symbol in symbols]
    table = 4 + 4 * len(names) + sum(len(name) + 1 for name in names)
    at = len(_MAGIC) + 60 + table + table % 2
    places, content = [], []
    for name, data, symbols in members:
        places += [at] * len(symbols)
        content.append(_member(f"{name}/", data))
        at += len(content[-1])
    index = struct.pack(f">{len(places) + 1}I", len(places), *places)
    index += b"".join(name.encode() + b"\0" for name in names)
    return b"".join([_MAGIC, _member("/", index), *content])


def _member(name: str, data: bytes) -> bytes:
    """Dates and owners are zero, so that equal input gives an equal file."""
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n"
    return head.encode() + data + b"\n" * (len(data) % 2)

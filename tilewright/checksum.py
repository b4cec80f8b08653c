"""The checksum of a file's content: the SHA-256 of those of its pieces, which threads share.

In: bytes, or a file that they are yet to come from. Out: one digest; it says which bytes there are
and where, and does not depend on the number of threads. Large files are full of weights: a thread
reads a piece and takes its digest while it lies in a cache, so that the two together cost little
more than either.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable

from tilewright.machine.cpu import cpu_limit

PIECE = 1 << 20
"""Bytes."""
FEW = 4
"""Pieces for each thread at least: below that, starting one costs more than it saves."""
MOST = 8
"""Threads: memory gives no more."""

Fill = Callable[[int, int], None]
"""Puts the bytes from one place to another where they belong."""


def checksum(content: memoryview, fill: Fill | None = None) -> str:
    """In hexadecimal. `fill` is called for each piece, by several threads, before it is looked at.

    Raises what `fill` raises.
    """
    size = len(content)
    digests = [b""] * -(-size // PIECE)
    threads = max(1, min(MOST, cpu_limit(), len(digests) // FEW))
    errors: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for number in range(first, len(digests), threads):
                start, end = number * PIECE, min(size, (number + 1) * PIECE)
                if fill is not None:
                    fill(start, end)
                digests[number] = hashlib.sha256(content[start:end]).digest()
        except BaseException as error:  # raised where the digest was asked for
            errors.append(error)

    others = [threading.Thread(target=work, args=(number,)) for number in range(1, threads)]
    for thread in others:
        thread.start()
    work(0)
    for thread in others:
        thread.join()
    if errors:
        raise errors[0]
    return hashlib.sha256(b"".join(digests)).hexdigest()


def from_file(descriptor: int, content: memoryview, start: int) -> Fill:
    """Of a file from byte `start` on. A file that has become shorter is an OSError."""

    def fill(first: int, end: int) -> None:
        while first < end:
            read = os.preadv(descriptor, [content[first:end]], start + first)
            if not read:
                raise OSError("it became shorter while it was read")
            first += read

    return fill

"""Python's collector of cycles is held off while a program is compiled, or its compiler loaded.

Both make many objects, of which reference counts free nearly all, or which stay. A collection in
the midst of it looks through all of JAX's objects, too: 60 to 130 ms, where a small program takes
20 ms to compile. What cycles there are go with the first collection after it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_inside: list[bool] = []
"""For each that is under way, in any thread, whether the first of them found the collector on."""


@contextmanager
def held_off() -> Iterator[None]:
    """Until the last of those who ask at the same time is done; then it is as it was before."""
    with _lock:
        _inside.append(_inside[0] if _inside else gc.isenabled())
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            found = _inside.pop()
            if found and not _inside:
                gc.enable()

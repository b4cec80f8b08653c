"""What a compilation leaves in the cache: all that running takes, found again by the traced graph.

In: a traced graph and a machine. Out: an `Image`, from the cache folder or from `make`. It is named
by the hash of the graph's text, the machine, the target and our own source files, so a changed
compiler starts afresh. Planning and emitting a large sampler takes longer than reading its Image.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from functools import cache

from tilewright.codegen.cache import RECORD_SUFFIX, key, read_content, store, usable_folder
from tilewright.env import ENVIRONMENT
from tilewright.image import Image
from tilewright.machine.machine import Machine


def recall(graph_text: str, machine: Machine, make: Callable[[], Image]) -> Image:
    """The image for a graph on a machine; `make` is called where the cache has none."""
    folder = ENVIRONMENT.cache
    if folder is None or ENVIRONMENT.dump is not None or not usable_folder(folder):
        return make()
    path = folder / (key(f"{fingerprint()}{machine!r}\n{graph_text}") + RECORD_SUFFIX)
    content = read_content(path)
    if content is not None:
        return Image.from_bytes(content)
    image = make()
    store(path, image.to_bytes())
    return image


@cache
def fingerprint() -> str:
    """Changes with every change of our own source files."""
    home = os.path.dirname(__file__)
    entries = sorted(_sources(home))
    return hashlib.sha256("".join(entries).encode()).hexdigest()


def _sources(folder: str, under: str = "") -> Iterator[str]:
    """A line for each, in any order; at every start, so that hundreds should take no time."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.name.endswith(".py"):
                status = entry.stat()
                yield f"{under}{entry.name} {status.st_size} {status.st_mtime_ns}\n"
            elif entry.is_dir() and entry.name != "__pycache__":
                yield from _sources(entry.path, f"{under}{entry.name}/")

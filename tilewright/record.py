"""What a compilation leaves in the cache: all that running takes, found again by the traced graph.

In: a traced graph and a machine. Out: an `Image`, from the cache folder or from `make`. It is named
by the hash of the graph's text, the machine, the target and our own source files, so a changed
compiler starts afresh. Planning and emitting a large sampler takes longer than reading its Image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

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
    home = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(home.rglob("*.py")):
        status = path.stat()
        entry = f"{path.relative_to(home)} {status.st_size} {status.st_mtime_ns}\n"
        digest.update(entry.encode())
    return digest.hexdigest()

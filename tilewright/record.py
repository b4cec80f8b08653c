"""What a compilation leaves in the cache: all that running takes, found again by the traced graph.

In: a traced graph and a machine. Out: a `Record`, from the cache folder or from `make`. A record is
named by the hash of the graph's text, the machine, the target and our own source files, so a
changed compiler starts afresh. Planning and emitting a large sampler takes longer than reading its
record.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tilewright.codegen.cache import (
    RECORD_SUFFIX,
    key,
    read_content,
    shrink,
    usable_folder,
    write_content,
)
from tilewright.codegen.host import CompiledObject, host_target
from tilewright.env import ENVIRONMENT
from tilewright.graph.ir import Type, numpy_dtype
from tilewright.machine.machine import Machine


@dataclass(frozen=True)
class Record:
    """`literals` are the arrays of the program's "constant" buffers; the rest as in `Compiled`.

    `once` is the program that gives further constants of the types `made`, from those that the
    function closes over.
    """

    object: CompiledObject
    literals: tuple[np.ndarray, ...]
    shared_bytes: int
    tile_bytes: int
    maps: int
    loops: tuple[str, ...]
    shared_work: bool
    instances: int
    streamed: tuple[int, ...]
    once: Record | None = None
    made: tuple[Type, ...] = ()

    def to_bytes(self) -> bytes:
        """A line of JSON, then the object."""
        fields = {name: value for name, value in vars(self).items() if name != "object"}
        fields["literals"] = [
            (a.dtype.name, base64.b64encode(a.tobytes()).decode()) for a in self.literals
        ]
        fields["once"] = base64.b64encode(self.once.to_bytes()).decode() if self.once else None
        fields["made"] = [(kind.dtype, kind.shape) for kind in self.made]
        return json.dumps(fields).encode() + b"\n" + self.object.to_bytes()

    @staticmethod
    def from_bytes(data: bytes) -> Record:
        line, _, content = data.partition(b"\n")
        fields = json.loads(line)
        fields["literals"] = tuple(
            np.frombuffer(base64.b64decode(text), numpy_dtype(name))
            for name, text in fields["literals"]
        )
        fields["loops"], fields["streamed"] = tuple(fields["loops"]), tuple(fields["streamed"])
        once = fields["once"]
        fields["once"] = Record.from_bytes(base64.b64decode(once)) if once else None
        fields["made"] = tuple(Type(dtype, tuple(shape)) for dtype, shape in fields["made"])
        return Record(CompiledObject.from_bytes(content), **fields)


def recall(graph_text: str, machine: Machine, make: Callable[[], Record]) -> Record:
    """The record for a graph on a machine; `make` is called where the cache has none."""
    folder = ENVIRONMENT.cache
    if folder is None or ENVIRONMENT.dump is not None or not usable_folder(folder):
        return make()
    path = folder / (
        key(f"{fingerprint()}{machine!r}\n{graph_text}", host_target()) + RECORD_SUFFIX
    )
    content = read_content(path)
    if content is not None:
        return Record.from_bytes(content)
    record = make()
    write_content(path, record.to_bytes())
    shrink(folder, ENVIRONMENT.cache_bytes)
    return record


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

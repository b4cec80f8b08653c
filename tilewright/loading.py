"""`load`: a program from a file, ready to be called; JAX is not needed, nor imported.

In: a file that `Executable.save` wrote. Out: an Executable for this host. Its graph is checked and
compiled the first time (without JAX, too); afterwards it comes from the cache, and then nothing is
imported that compiles.
"""

from __future__ import annotations

import os
from pathlib import Path

from tilewright.compilation import Compilation, Source, Stages, compiled
from tilewright.errors import ArgumentError, LoadError
from tilewright.machine.host import check_able, host_machine
from tilewright.machine.machine import Machine
from tilewright.runtime.executable import Executable
from tilewright.runtime.signature import Signature
from tilewright.runtime.stateful import Stateful
from tilewright.saved import Saved, read


def load(path: str | os.PathLike[str], *, tiles: int | None = None) -> Executable:
    """The program in a file: same arguments, same names, same bits, on any host.

    `tiles` is the number of tiles at most, in place of what it was compiled with. Arguments that
    were bound are bound; their work is done now, for this host. A state begins as it began where
    the program was compiled. Results that are PRNG keys of JAX's need JAX once they are there.

    Raises `ArgumentError` for tiles that are no whole number above 0; `LoadError` for a file that
    is damaged, or no program, or of another version; OSError where there is none;
    `UnsupportedError` on a processor that programs do not run on.
    """
    check_able()
    if tiles is not None and (type(tiles) is not int or tiles < 1):
        raise ArgumentError(f"tiles must be a positive whole number, not {tiles!r}.")
    file = Path(path)
    saved, host = read(file), host_machine()
    source = Source(
        saved.text,
        saved.constants,
        saved.interface,
        tiles or saved.tiles,
        host,
        lambda: _stages(saved, host),
    )
    signature = Signature(saved.interface, {n: list(leaves) for n, leaves in saved.bound.items()})
    try:
        program = _bound(compiled(source), signature)
        if saved.initial:
            return Stateful(program, saved.initial, signature=signature)
        return Executable(program, signature=signature)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise LoadError(f"{file} holds a graph that cannot be compiled ({what}).") from error


def _bound(program: Compilation, signature: Signature) -> Compilation:
    return program.bound(signature.fixed) if signature.bound else program


def _stages(saved: Saved, host: Machine) -> Stages:
    from tilewright.dump import Dump
    from tilewright.graph.text import parse
    from tilewright.graph.verify import verify
    from tilewright.stages import Stages  # only where the cache has no Image

    graph = parse(saved.text)
    verify(graph)
    return Stages(graph, Dump(saved.interface.name), machine=host, hidden=len(saved.constants))

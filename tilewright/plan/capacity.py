"""What a program needs of the host's memory, said before it runs.

In: a planned program for tiles that share memory. Out: nothing, or a `CapacityError`. Counted are
the arrays that a call takes and gives, and all that lies between; not what else is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from tilewright.errors import CapacityError
from tilewright.plan.ir import Buffer, Program
from tilewright.plan.summary import calls_of

GB = 1e9
NAMED = 3
"""Of the largest buffers, as many are named..."""
SHARE = 0.01
"""...that are no smaller a share of all."""


def check_capacity(program: Program, tiles: int, memory: int) -> None:
    between, arrays = _between(program, tiles), _arrays(program)
    if between + arrays <= memory:
        return
    raise CapacityError(
        f"The program needs {_gb(between + arrays)} GB, {_gb(between)} of them between its "
        f"{_gb(arrays)} GB of arguments and results, and there are {_gb(memory)}: the largest "
        f"arrays are {', '.join(_largest(program))}; fewer rows or images at a time, smaller ones, "
        "or types of fewer bits would help."
    )


def needed(program: Program, tiles: int) -> int:
    """Bytes of a call with so many tiles."""
    return _between(program, tiles) + _arrays(program)


def _between(program: Program, tiles: int) -> int:
    return program.shared_bytes + tiles * program.tile_bytes


def _arrays(program: Program) -> int:
    return sum(buffer.nbytes for buffer in {*program.inputs, *program.outputs})


def _gb(nbytes: float) -> str:
    """Two digits of what is small."""
    return f"{nbytes / GB:,.1f}" if nbytes >= GB else f"{nbytes / GB:.2g}"


def _largest(program: Program) -> Iterator[str]:
    """Size, dtype and origin of the largest buffers."""
    writers, buffers = _writers(program), sorted(program.buffers, key=lambda b: -b.nbytes)
    least = SHARE * sum(buffer.nbytes for buffer in buffers)
    for buffer in (buffer for buffer in buffers[:NAMED] if buffer.nbytes >= least):
        between = buffer.space in ("shared", "tile")
        origin = f"made by {writers[buffer]}" if between else f"an {buffer.space}"
        yield f"{_gb(buffer.nbytes)} GB of {buffer.dtype}, {origin}"


def _writers(program: Program) -> dict[Buffer, str]:
    """The vertex that writes most of a buffer at a time, as reports call it."""
    found: dict[Buffer, tuple[int, str]] = {}
    for call, _ in calls_of(program.steps):
        for view in call.views[len(call.codelet.inputs) :]:
            if view.size > found.get(view.buffer, (-1, ""))[0]:
                found[view.buffer] = view.size, call.codelet.name
    return {buffer: name for buffer, (_, name) in found.items()}

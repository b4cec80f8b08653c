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
    """Raises `CapacityError` where `memory` bytes are too few for so many tiles."""
    between = program.shared_bytes + tiles * program.tile_bytes
    arrays = sum(buffer.nbytes for buffer in {*program.inputs, *program.outputs})
    if between + arrays <= memory:
        return
    raise CapacityError(
        f"The program needs {(between + arrays) / GB:,.1f} GB, {between / GB:,.1f} of them between "
        f"its {arrays / GB:,.1f} GB of arguments and results, and this machine has "
        f"{memory / GB:,.1f}: the largest arrays are {', '.join(_largest(program))}; fewer rows or "
        "images at a time, smaller ones, or types of fewer bits would help."
    )


def _largest(program: Program) -> Iterator[str]:
    """Size, dtype and origin of the largest buffers."""
    writers, buffers = _writers(program), sorted(program.buffers, key=lambda b: -b.nbytes)
    least = SHARE * sum(buffer.nbytes for buffer in buffers)
    for buffer in (buffer for buffer in buffers[:NAMED] if buffer.nbytes >= least):
        between = buffer.space in ("shared", "tile")
        origin = f"made by {writers[buffer]}" if between else f"an {buffer.space}"
        yield f"{buffer.nbytes / GB:,.1f} GB of {buffer.dtype}, {origin}"


def _writers(program: Program) -> dict[Buffer, str]:
    """The vertex that writes most of a buffer at a time, as reports call it."""
    found: dict[Buffer, tuple[int, str]] = {}
    for call, _ in calls_of(program.steps):
        for view in call.views[len(call.codelet.inputs) :]:
            if view.size > found.get(view.buffer, (-1, ""))[0]:
                found[view.buffer] = view.size, call.codelet.name
    return {buffer: name for buffer, (_, name) in found.items()}

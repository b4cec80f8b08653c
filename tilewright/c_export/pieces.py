"""What a library is made of: the programs of one level, and what each of them is given.

In: a compiled function with what is bound, and the arrays that its state begins with. Out: for a
level, its `Piece`s: LLVM text, what running it takes, and where every input lies: among the
library's data, in a stream's memory, or with the caller.

What hangs on constants and weights alone (packed panels) is computed now, for each level: by
machine code where this host has the level, else by the interpreter (`graph/evaluate.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tilewright.c_export.levels import Level
from tilewright.frozen import frozen
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Type
from tilewright.graph.pattern import thin_lines
from tilewright.image import Image
from tilewright.machine.host import host_names
from tilewright.runtime.executable import Executable
from tilewright.runtime.made import Made

Place = tuple[str, Any]
"""("data", array), ("state", n), ("carried", n), ("given", n) or `NOWHERE`, which nobody reads."""
NOWHERE: Place = ("nothing", None)


@frozen(eq=False)
class Piece:
    """A program: "run", or "answer", "settle" and "prepare" of a step in two halves."""

    name: str
    text: str
    image: Image
    places: tuple[Place, ...]
    results: int


@frozen(eq=False)
class Pieces:
    """All of a level; `carried` is what answers and preparations leave for each other."""

    level: Level
    pieces: tuple[Piece, ...]
    carried: tuple[Type, ...] = ()


def pieces_of(
    compilation: Any,
    level: Level,
    fixed: Mapping[int, np.ndarray],
    state: Sequence[int],
    tiles: int = 1,
) -> Pieces:
    """`fixed` are the leaves that are bound, `state` those that calls overwrite, by position; plans
    are for so many tiles."""
    source = compilation.source
    stages = compilation.base.stages.on(level.machine(tiles))
    hidden = (*source.constants, *_made(stages.once, source.constants, level))
    inputs = source.interface.inputs
    if fixed:
        bound = stages.bound(sorted(fixed))
        if bound is not stages:
            given = [fixed.get(i, np.zeros(t.shape, t.numpy)) for i, t in enumerate(inputs)]
            hidden = (*hidden, *_made(bound.once, (*hidden, *given), level))
            stages = bound
    patterns = stages.patterns(thin_lines(hidden))
    stages = stages.thinned(patterns)
    hidden = tuple(patterns[i].blocks(a) if i in patterns else a for i, a in enumerate(hidden))
    places = _leaves(len(inputs), fixed, state)
    data = [("data", array) for array in hidden]
    whole = _piece("run", stages, [*data, *places], len(source.interface.outputs))
    if not state:
        return Pieces(level, (whole,))
    ticks = [i for i in range(len(inputs)) if i not in fixed and i not in state]
    parts = stages.split(len(inputs), ticks)
    first = parts[0].graph.inputs[len(hidden) : len(parts[0].graph.inputs) - len(inputs)]
    carried = [("carried", n) for n in range(len(first))]
    silent = [NOWHERE if kind == "given" else (kind, at) for kind, at in places]
    halves = [
        _piece(name, part, [*data, *carried, *given], results)
        for name, part, given, results in zip(
            ("answer", "settle", "prepare"),
            parts,
            (places, silent, silent),
            (len(source.interface.outputs), 0, 0),
            strict=True,
        )
        if name == "answer" or part.emitted.image.overwrites
    ]
    return Pieces(level, (whole, *halves), tuple(value.type for value in first))


def _leaves(
    count: int, fixed: Mapping[int, np.ndarray], state: Sequence[int]
) -> list[tuple[str, Any]]:
    places: list[tuple[str, Any]] = []
    given = 0
    for i in range(count):
        if i in fixed:
            places.append(("data", fixed[i]))
        elif i in state:
            places.append(("state", list(state).index(i)))
        else:
            places.append(("given", given))
            given += 1
    return places


def _piece(name: str, stages: Any, places: Sequence[Place], results: int) -> Piece:
    literals = [("data", array) for array in stages.lowered[1]]
    emitted, graph = stages.emitted, stages.graph
    read = {value for node in graph.nodes for value in node.inputs} | set(graph.outputs)
    needed = [
        place if value in read or place[0] != "data" else NOWHERE
        for value, place in zip(graph.inputs, places, strict=True)
    ]
    return Piece(name, emitted.module.text(), emitted.image, (*literals, *needed), results)


def _made(once: Any, arrays: Sequence[np.ndarray], level: Level) -> tuple[np.ndarray, ...]:
    """What a program that runs beforehand gives, if there is one."""
    if once is None:
        return ()
    if set(level.names) <= set(host_names()):
        return Executable(Made(once.image().given(arrays))).outputs()
    return tuple(evaluate(once.graph, list(arrays)))

"""A program between its graph and its `Image`: found again or made, completed, bound.

In: a graph as text, the data that it closes over, and how it is called. Out: a `Compilation`, which
has the Image that runs, gives that of the same program with arguments bound, and shows the stages
that it went through. They are made when first asked for: an Image that the cache has needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.image import Image, Interface
from tilewright.machine.machine import Machine
from tilewright.record import recall
from tilewright.runtime.executable import Executable
from tilewright.runtime.made import Made
from tilewright.saved import Saved, write

if TYPE_CHECKING:
    from tilewright.graph.ir import Graph
    from tilewright.plan.ir import Program


Stages = Any
"""`compiler.Stages`, which comes after this: a graph's stages, each made when first asked for."""


@dataclass(frozen=True, eq=False)
class Source:
    """What a program is made from. Pure data, but for `stages`, which begins its compilation.

    `text` is the graph, whose first inputs are `constants`: arrays that the function closes over.
    """

    text: str
    constants: tuple[np.ndarray, ...]
    interface: Interface
    tiles: int | None
    machine: Machine
    stages: Callable[[], Stages]


class Compilation:
    """A program; `base` is the same before any of its arguments were bound.

    `hidden` are its constants but for the literals of its own text: what the function closes over,
    then what is made from those beforehand.
    """

    def __init__(
        self,
        source: Source,
        image: Image,
        hidden: tuple[np.ndarray, ...],
        stages: Callable[[], Stages],
        base: Compilation | None = None,
    ):
        self.source, self.image, self.hidden = source, image, hidden
        self._make, self.base = stages, base or self

    @cached_property
    def stages(self) -> Stages:
        return self._make()

    @property
    def graph(self) -> Graph:
        return self.stages.graph

    @property
    def program(self) -> Program:
        return self.stages.program

    @property
    def llvm(self) -> str:
        """LLVM text, before LLVM's passes."""
        return self.stages.llvm

    def save(self, path: Path, bound: Mapping[int, Sequence[np.ndarray]]) -> None:
        """Leave all that it is made from in a file, with the leaves of bound arguments."""
        source = self.source
        write(path, Saved(source.text, source.constants, source.interface, source.tiles, bound))

    def bound(self, fixed: Mapping[int, np.ndarray]) -> Compilation:
        """The program for fixed inputs, by position among the arguments' leaves.

        What hangs on them and on constants alone (packed weights, transposed data) is computed now.
        It starts from the program with nothing bound, so that binding one after the other is
        binding all at once; where nothing is to be computed, it is that program.
        """
        base, source = self.base, self.source
        stages = _once(lambda: base.stages.bound(sorted(fixed)))
        text = f"{len(source.constants)} {sorted(fixed)}\n{source.text}"
        found = recall(text, source.machine, lambda: stages().image())
        if found.object == base.image.object:
            return base
        arguments = [
            fixed.get(i, np.zeros(kind.shape, kind.numpy))
            for i, kind in enumerate(source.interface.inputs)
        ]
        made = _made(found, (*base.hidden, *arguments))
        return _completed(source, found, (*base.hidden, *made), stages, base)


def compiled(source: Source) -> Compilation:
    """The program of a source, from the cache or made now."""
    stages = _once(source.stages)
    text = f"{len(source.constants)}\n{source.text}"
    found = recall(text, source.machine, lambda: stages().image())
    hidden = (*source.constants, *_made(found, source.constants))
    return _completed(source, found, hidden, stages)


def _made(image: Image, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """What is computed beforehand from the first inputs, if anything."""
    if image.once is None:
        return ()
    return Executable(Made(image.once.given(arrays))).outputs()


def _completed(
    source: Source, found: Image, hidden: tuple[np.ndarray, ...], *made: Any
) -> Compilation:
    """With its data, and called as the user's function is."""
    flat = found.given(hidden)
    if flat.interface.types != source.interface.types:
        raise ValueError("the graph's inputs and results are not those of the function")
    image = replace(flat, interface=source.interface, tiles=source.tiles, once=None)
    return Compilation(source, image, hidden, *made)


def _once(make: Callable[[], Stages]) -> Callable[[], Stages]:
    """The same object, however often it is asked for."""
    made: list[Stages] = []

    def stages() -> Stages:
        if not made:
            made.append(make())
        return made[0]

    return stages

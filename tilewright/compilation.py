"""A program between its graph and its `Image`: found again or made, completed, bound.

In: a graph as text, the data that it closes over, and how it is called. Out: a `Compilation`, which
has the Image that runs, gives that of the same program with arguments bound, and shows the stages
that it went through. They are made when first asked for: an Image that the cache has needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.collector import held_off
from tilewright.files import Written
from tilewright.frozen import frozen
from tilewright.graph.pattern import Pattern, digest, thin_lines
from tilewright.image import Image, Interface, Parts
from tilewright.machine.host import check_able
from tilewright.machine.machine import Machine
from tilewright.record import recall
from tilewright.runtime.executable import Executable
from tilewright.runtime.made import Made
from tilewright.runtime.signature import Signature
from tilewright.saved import Saved, write

if TYPE_CHECKING:
    from tilewright.graph.ir import Graph
    from tilewright.plan.ir import Program


_NOTHING: Mapping[int, Any] = MappingProxyType({})

Stages = Any
"""`stages.Stages`, which comes after this: a graph's stages, each made when first asked for."""


@frozen(eq=False)
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
    then what is made from those beforehand. `fixed` are the leaves that are bound, by position.
    `skips` names the patterns of weights whose zero blocks it skips: those of `base` are whole.
    """

    def __init__(
        self,
        source: Source,
        image: Image,
        hidden: tuple[np.ndarray, ...],
        stages: Callable[[], Stages],
        base: Compilation | None = None,
        fixed: tuple[int, ...] = (),
        skips: str = "",
    ):
        self.source, self.image, self.hidden = source, image, hidden
        self._make, self.base, self.fixed = stages, base or self, fixed
        self.skips = skips

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

    def save(
        self,
        path: Path,
        bound: Mapping[int, Sequence[np.ndarray]],
        initial: Mapping[int, Sequence[np.ndarray]] = _NOTHING,
    ) -> None:
        """Leave all that it is made from in a file, with leaves that are bound, and the state's."""
        source = self.source
        made_from = (source.text, source.constants, source.interface, source.tiles)
        write(path, Saved(*made_from, bound, initial))

    def export(
        self,
        signature: Signature,
        initial: Mapping[int, Sequence[np.ndarray]],
        folder: Path,
        name: str,
        nan: str = "refuse",
        tiles: int = 1,
    ) -> Written:
        """Leave it as a library for C, with what the signature has bound, and such a state."""
        from tilewright.c_export import export  # LLVM is for few

        return export(self, signature, initial, folder, name, nan, tiles)

    @held_off()
    def bound(self, fixed: Mapping[int, np.ndarray]) -> Compilation:
        """The program for fixed inputs, by position among the arguments' leaves.

        What hangs on them and on constants alone (packed weights, transposed data) is computed now.
        It starts from the program with nothing bound, so that binding one after the other is
        binding all at once; where nothing is to be computed, it is that program.
        """
        base, source, places = self.base, self.source, tuple(sorted(fixed))
        stages = _once(lambda: base.stages.bound(places))
        text = f"{len(source.constants)} {list(places)}\n{source.text}"
        found = recall(text, source.machine, lambda: stages().image())
        if found.object == base.image.object:
            return base.thinned._with(fixed=places)
        arguments = [
            fixed[i] if i in fixed else np.zeros(kind.shape, kind.numpy)
            for i, kind in enumerate(source.interface.inputs)
        ]
        made = _made(found, (*base.hidden, *arguments))
        return _completed(source, found, (*base.hidden, *made), stages, base, places).thinned

    def _with(self, fixed: tuple[int, ...]) -> Compilation:
        """The same program, where nothing is to be done beforehand."""
        given = self.source, self.image, self.hidden, lambda: self.stages, self.base, fixed
        return Compilation(*given, self.skips)

    @cached_property
    def thinned(self) -> Compilation:
        """The program that skips blocks of zeros in its packed weights, where that pays."""
        lines = thin_lines(self.hidden)
        if not lines:
            return self
        patterns = self.stages.patterns(lines)
        if not patterns:
            return self
        return self._skipping(patterns)

    def _skipping(self, patterns: Mapping[int, Pattern]) -> Compilation:
        source, skips = self.source, digest(patterns)
        stages = _once(lambda: self.stages.thinned(patterns))
        text = f"{skips} {len(source.constants)} {list(self.fixed)}\n{source.text}"
        found = recall(text, source.machine, lambda: stages().image())
        hidden = tuple(
            patterns[i].blocks(array) if i in patterns else array
            for i, array in enumerate(self.hidden)
        )
        return _completed(source, found, hidden, stages, self.base, self.fixed, skips)

    @cached_property
    def parts(self) -> Parts:
        """The programs that a step with a state is split into: see `graph/tick.py`."""
        source, interface = self.source, self.source.interface
        ticks, leaves = self._ticks(), len(interface.inputs)
        stages = _once(lambda: self.stages.split(leaves, ticks))
        text = f"{self.skips}{len(source.constants)} {list(self.fixed)} {ticks}\n{source.text}"
        images = []
        for number, name in enumerate(("answer", "settle", "prepare")):
            make = partial(_image_of, stages, number)
            images.append(recall(f"{name} {text}", source.machine, make).given(self.hidden))
        inputs = images[0].interface.inputs
        carried = inputs[: len(inputs) - leaves]
        answer, settle, prepare = (replace(image, tiles=source.tiles) for image in images)
        if (inputs[len(carried) :], answer.interface.outputs) != interface.types:
            raise ValueError("the answer's inputs and results are not those of the step")
        return Parts(answer, settle, prepare, carried)

    def _ticks(self) -> list[int]:
        """The leaves that come with each call, by position."""
        interface = self.source.interface
        taken = {*self.fixed, *Signature(interface).state}
        return [i for i in range(len(interface.inputs)) if i not in taken]


def _image_of(stages: Callable[[], Stages], number: int) -> Image:
    return stages()[number].image()


def compiled(source: Source) -> Compilation:
    """The program of a source, from the cache or made now.

    Raises `UnsupportedError` on a processor that programs do not run on.
    """
    check_able()
    stages = _once(source.stages)
    text = f"{len(source.constants)}\n{source.text}"
    found = recall(text, source.machine, lambda: stages().image())
    hidden = (*source.constants, *_made(found, source.constants))
    return _completed(source, found, hidden, stages).thinned


def _made(image: Image, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """What is computed beforehand from the first inputs, if anything."""
    if image.once is None:
        return ()
    return Executable(Made(image.once.given(arrays)), lasting=True).outputs()


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

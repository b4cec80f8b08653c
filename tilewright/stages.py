"""Every pass, in order: from a traced graph to an Image, on one screen.

Graph -rewrites-> Graph -lower-> Program -codegen-> machine code
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from tilewright.codegen.cache import compile_cached
from tilewright.codegen.program import Emitted, emit
from tilewright.dump import Dump
from tilewright.graph.ahead import ahead
from tilewright.graph.blocks import chosen, with_blocks
from tilewright.graph.counted import counted
from tilewright.graph.declared import declared, declared_whole, unmasked
from tilewright.graph.eliminate import eliminate
from tilewright.graph.fixed import split_constant, split_fixed
from tilewright.graph.hoist import hoist
from tilewright.graph.images import one_by_one
from tilewright.graph.in_parts import in_parts
from tilewright.graph.ir import Graph
from tilewright.graph.layout import layout, pack_fixed
from tilewright.graph.lifted import lifted
from tilewright.graph.pattern import Pattern
from tilewright.graph.points import by_points
from tilewright.graph.products import simplify_products
from tilewright.graph.rewrite import anywhere
from tilewright.graph.sampled import sampled
from tilewright.graph.separate import separate
from tilewright.graph.shares import by_shares
from tilewright.graph.simplify import simplify
from tilewright.graph.sink import sink
from tilewright.graph.stacked import restacked
from tilewright.graph.strips import make_strips, make_strips_of_data
from tilewright.graph.text import to_text
from tilewright.graph.tick import split_tick
from tilewright.graph.transposes import raise_transposes
from tilewright.graph.verify import verify
from tilewright.graph.widen import widen
from tilewright.image import Image, Interface
from tilewright.machine.host import host_machine
from tilewright.machine.machine import Machine
from tilewright.plan.apart.replicas import one_chip
from tilewright.plan.capacity import check_capacity, needed
from tilewright.plan.ir import Program
from tilewright.plan.lower import lower
from tilewright.plan.text import program_to_text

if TYPE_CHECKING:
    from tilewright.simulate.ways import Way

Rewrite = Callable[[Graph, Machine], Graph]

WHOLE: Sequence[Rewrite] = (
    by_points,
    anywhere(simplify),
    anywhere(eliminate),
    anywhere(counted),
    anywhere(restacked),
    widen,
    anywhere(simplify_products),
    in_parts,
    anywhere(raise_transposes),
    one_by_one,
    by_shares,
    sink,
    separate,
    ahead,
    sampled,
    declared,
    layout,
    hoist,
    anywhere(eliminate),
)
"""Of everything; then comes the split between what hangs on constants alone and the rest."""

HALVES: Sequence[Rewrite] = (
    make_strips,
    anywhere(simplify),
    hoist,
    anywhere(eliminate),
)


class Stages:
    """From the traced graph to an Image, one after the other, each made when first asked for.

    All see one machine: this host, if none is given. The first `hidden` inputs are data that the
    function closes over: `once` is what hangs on them alone, and runs before all calls. If it is
    given, the graph is the rest already.
    """

    def __init__(
        self,
        traced: Graph,
        dump: Dump,
        rewrites: Sequence[Rewrite] = WHOLE,
        then: Sequence[Rewrite] = HALVES,
        machine: Machine | None = None,
        hidden: int | None = None,
        once: Stages | None = None,
        parts: int | None = None,
    ):
        self.traced, self.dump, self.rewrites, self.then = traced, dump, rewrites, then
        self.machine, self.hidden, self._given = machine or host_machine(), hidden, once
        self.parts = parts
        """How many chips share each instance, one behind the other; None: as is sooner."""

    @cached_property
    def halves(self) -> tuple[Graph | None, Graph]:
        """What is computed once, if anything, and the rest."""
        self.dump("traced", partial(to_text, self.traced, short=True))
        graph = self._rewritten(self.traced, self.rewrites)
        if self.hidden is None:
            return None, graph
        return split_constant(graph, self.hidden, self.machine) or (None, graph)

    @cached_property
    def once(self) -> Stages | None:
        """Of the half that gives further constants to the other."""
        first = self.halves[0]
        return Stages(first, self.dump, (), self.then, self.machine) if first else self._given

    @cached_property
    def graph(self) -> Graph:
        """After all rewrites, in order; without what is computed once."""
        graph = self._rewritten(self.halves[1], self.then)
        verify(graph)
        return graph

    def bound(self, positions: Sequence[int]) -> Stages:
        """Of the same with some leaves of the arguments fixed: `once` is what hangs on them."""
        graph = self._without_masks.graph
        if " = strips(" in to_text(graph, short=True):
            then = [make_strips_of_data if r is make_strips else r for r in self.then]
            graph = self._without_masks._rewritten(self._without_masks.halves[1], then)
        hidden = len(graph.inputs) - len(self.traced.inputs) + (self.hidden or 0)
        known = {*graph.inputs[:hidden], *(graph.inputs[hidden + i] for i in positions)}
        packed = hoist(pack_fixed(graph, known, self.machine), self.machine)
        packed = _as_before(graph, lifted(packed, known))
        halves = split_fixed(packed, known, hidden)
        if halves is None:
            return self
        first, rest = halves
        once = Stages(first, Dump("packing"), (), (), self.machine)
        return Stages(rest, Dump("packed"), (), (), self.machine, once=once)

    @cached_property
    def _without_masks(self) -> Stages:
        """The same, where all weights are packed and looked at, declared or not."""
        if declared not in self.rewrites or "masked" not in to_text(self.traced, short=True):
            return self
        rewrites = tuple(unmasked if r is declared else r for r in self.rewrites)
        return Stages(self.traced, Dump("bound"), rewrites, self.then, self.machine, self.hidden)

    @property
    def whole(self) -> Stages | None:
        """The same without products that skip zero blocks; None where there are none."""
        return self.others.get("whole")

    @cached_property
    def others(self) -> Mapping[str, Stages]:
        """The same where fewer products skip zero blocks: those of blocks, of which blocks are
        wanted, and both done whole."""
        text = to_text(self.graph, short=True)
        blocks, wanted = " = dot_blocks(" in text, " = dot_sampled(" in text
        found = {}
        if blocks and wanted:
            found = {"sampled": self._without(declared), "blocks": self._without(sampled)}
        if blocks or wanted:
            found["whole"] = self._without(declared, sampled)
        return found

    def _without(self, *skipping: Rewrite) -> Stages:
        rewrites = [r for r in self.rewrites if r is not sampled or r not in skipping]
        if declared in skipping:
            rewrites = [declared_whole if r is declared else r for r in rewrites]
        given = self.traced, Dump("whole"), rewrites, self.then, self.machine, self.hidden
        return Stages(*given, parts=self.parts)

    def patterns(self, lines: Mapping[int, np.ndarray]) -> dict[int, Pattern]:
        """Of those inputs, panels of which some lines are zero, the ones that had better be blocks
        (see `graph/blocks.py`)."""
        return chosen(self.graph, lines, self.machine)

    def thinned(self, patterns: Mapping[int, Pattern]) -> Stages:
        """Of the same with blocks in the place of those inputs."""
        if not patterns:
            return self
        graph = _as_before(self.graph, with_blocks(self.graph, patterns))
        return Stages(graph, Dump("blocks"), (), (), self.machine, self.hidden, self.once)

    def on(self, machine: Machine) -> Stages:
        """The same for another machine, from the traced graph on."""
        return Stages(
            self.traced, Dump(machine.name), self.rewrites, self.then, machine, self.hidden
        )

    def split(self, leaves: int, ticks: Sequence[int]) -> tuple[Stages, Stages, Stages]:
        """Of a step with a state, of so many leaves: what answers, settles and prepares.

        `ticks` are the leaves that come with each call. See `graph/tick.py`.
        """
        inputs = self.graph.inputs
        leading = len(inputs) - leaves
        found = split_tick(self.graph, {inputs[leading + i] for i in ticks}, leading)
        parts = {"answer": found.answer, "settle": found.settle, "prepare": found.prepare}
        answer, settle, prepare = (
            Stages(graph, Dump(name), (), (), self.machine) for name, graph in parts.items()
        )
        return answer, settle, prepare

    def _rewritten(self, graph: Graph, rewrites: Sequence[Rewrite]) -> Graph:
        for rewrite in rewrites:
            graph = _as_before(graph, rewrite(graph, self.machine))
            self.dump(rewrite.__name__, partial(to_text, graph, short=True))
        return graph

    @cached_property
    def ways(self) -> dict[str, Way]:
        """Programs to choose from, on tiles that share no memory: see `simulate/ways.py`."""
        from tilewright.elsewhere import ways  # hosts' programs do without the simulator

        return ways(self)

    def inside(self, graph: Graph, name: str) -> Stages:
        """Of what one chip of several does."""
        return Stages(graph, Dump(name), (), self.then, one_chip(self.machine))

    @cached_property
    def lowered(self) -> tuple[Program, list[np.ndarray]]:
        """The program, and the data of its constants.

        Raises `CapacityError` where none fits the machine.
        """
        if self.machine.chip.exchange.kind == "coherent":
            program, literals = self._within_memory()
        else:
            from tilewright.simulate.ways import best

            program, literals = best(self.ways).plan()
        self.dump("program", partial(program_to_text, program))
        return program, literals

    def _within_memory(self) -> tuple[Program, list[np.ndarray]]:
        """As fast as can be; if that does not fit the host's memory, with as little as can be."""
        program, literals = lower(self.graph, self.machine)
        tiles, main = self.machine.chip.tiles, self.machine.tile.memories[-1]
        if main.name == "memory" and needed(program, tiles) > main.size:
            program, literals = lower(self.graph, self.machine, sparing=True)
            check_capacity(program, tiles, main.size)
        return program, literals

    @property
    def program(self) -> Program:
        return self.lowered[0]

    @cached_property
    def emitted(self) -> Emitted:
        made = emit(self.program, self.machine)
        self.dump("llvm", made.module.text)
        self.dump("assembly", lambda: _assembly(made.module.text()))
        return made

    @property
    def llvm(self) -> str:
        return self.emitted.module.text()

    def image(self) -> Image:
        """All the way to machine code; its inputs are those of the graph."""
        graph, (_, literals) = self.graph, self.lowered
        return replace(
            self.emitted.image,
            interface=Interface(
                tuple(value.type for value in graph.inputs),
                tuple(value.type for value in graph.results),
            ),
            object=compile_cached(self.emitted.module),
            constants=tuple(literals),
            once=self.once and self.once.image(),
        )


def _as_before(old: Graph, new: Graph) -> Graph:
    """A rewritten graph with what no rewrite changes: the law, and which inputs it overwrites."""
    return replace(new, law=old.law, state=old.state)


def _assembly(text: str) -> str:
    from tilewright.codegen.host import assembly  # LLVM takes half a second to import

    return assembly(text)

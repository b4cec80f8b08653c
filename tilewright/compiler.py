"""`compile`: a JAX function becomes one native program. Every pass, in order, on one screen.

JAX function -trace-> Graph -rewrites-> Graph -lower-> Program -codegen-> machine code
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import numpy as np
from jax.tree_util import tree_flatten_with_path

from tilewright.codegen.cache import compile_cached
from tilewright.codegen.host import CompiledObject, assembly
from tilewright.codegen.program import ProgramText, program_text
from tilewright.dump import Dump
from tilewright.errors import ArgumentError
from tilewright.graph.ahead import ahead
from tilewright.graph.counted import counted
from tilewright.graph.eliminate import eliminate
from tilewright.graph.fixed import split_constant, split_fixed
from tilewright.graph.hoist import hoist
from tilewright.graph.ir import Graph, Type
from tilewright.graph.layout import layout, pack_fixed
from tilewright.graph.products import simplify_products
from tilewright.graph.rewrite import anywhere
from tilewright.graph.simplify import simplify
from tilewright.graph.sink import sink
from tilewright.graph.strips import make_strips
from tilewright.graph.text import to_text
from tilewright.graph.transposes import raise_transposes
from tilewright.graph.verify import verify
from tilewright.graph.widen import widen
from tilewright.machine.host import host_machine
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Program
from tilewright.plan.lower import lower
from tilewright.plan.synchronise import is_shared_work
from tilewright.plan.text import program_to_text
from tilewright.record import Record, recall
from tilewright.runtime.compiled import Compiled, Streamed
from tilewright.runtime.executable import Executable
from tilewright.runtime.gang import default_workers
from tilewright.runtime.parameters import Parameters, parameters
from tilewright.runtime.tree import tree_of
from tilewright.trace import Traced, trace

Rewrite = Callable[[Graph, Machine], Graph]

WHOLE: Sequence[Rewrite] = (
    anywhere(simplify),
    anywhere(eliminate),
    anywhere(counted),
    anywhere(widen),
    anywhere(simplify_products),
    anywhere(raise_transposes),
    sink,
    ahead,
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


def compile(
    fn: Callable,
    *example_args: Any,
    machine: str | None = None,
    tiles: int | None = None,
    **example_named: Any,
) -> Executable:
    """Compile `fn` for the shapes and dtypes of its example arguments, given as in a call of it.

    They are pytrees of arrays or `jax.ShapeDtypeStruct`s. `machine` None or "native" is this host;
    "xla" runs `fn` through `jax.jit` on JAX's default device. `tiles` is the number of tiles at
    most (default and limit: one for each CPU that the process may use); results do not depend on
    it.

    Raises `UnsupportedError` for what cannot be expressed, `ArgumentError` for a bad argument.
    """
    if machine not in (None, "native", "xla"):
        raise ArgumentError(f'machine must be "native", "xla" or None, not {machine!r}.')
    if tiles is not None and (type(tiles) is not int or tiles < 1):
        raise ArgumentError(f"tiles must be a positive whole number, not {tiles!r}.")
    called = parameters(fn, example_args, example_named)
    if machine == "xla":
        from tilewright.runtime.xla import XlaExecutable

        return XlaExecutable(called)  # type: ignore[return-value]
    traced = trace(called.fn, *called.values)
    frame = _frame(called, traced, tiles)
    stages = Stages(traced.graph, Dump(frame.name), hidden=len(traced.constants))
    return Executable(_compiled(stages, traced.constants, frame))


class Stages:
    """From the traced graph to LLVM text, one after the other, each made when first asked for.

    All see one machine: this host, if none is given. The first `hidden` inputs are data that the
    function closes over: `once` is what hangs on them alone, and runs before all calls.
    """

    def __init__(
        self,
        traced: Graph,
        dump: Dump,
        rewrites: Sequence[Rewrite] = WHOLE,
        then: Sequence[Rewrite] = HALVES,
        machine: Machine | None = None,
        hidden: int | None = None,
    ):
        self.traced, self.dump, self.rewrites, self.then = traced, dump, rewrites, then
        self.machine, self.hidden = machine or host_machine(), hidden

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
        return first and Stages(first, self.dump, (), self.then, self.machine)

    @cached_property
    def graph(self) -> Graph:
        """After all rewrites, in order; without what is computed once."""
        graph = self._rewritten(self.halves[1], self.then)
        verify(graph)
        return graph

    def _rewritten(self, graph: Graph, rewrites: Sequence[Rewrite]) -> Graph:
        for rewrite in rewrites:
            graph = replace(rewrite(graph, self.machine), law=self.traced.law)
            self.dump(rewrite.__name__, partial(to_text, graph, short=True))
        return graph

    @cached_property
    def lowered(self) -> tuple[Program, list[np.ndarray]]:
        """The program, and the data of its constants."""
        program, literals = lower(self.graph, self.machine)
        self.dump("program", partial(program_to_text, program))
        return program, literals

    @property
    def program(self) -> Program:
        return self.lowered[0]

    @cached_property
    def emitted(self) -> ProgramText:
        text = program_text(self.program, self.machine)
        self.dump("llvm", lambda: text.text)
        self.dump("assembly", lambda: assembly(text.text))
        return text

    @property
    def llvm(self) -> str:
        return self.emitted.text

    def record(self) -> Record:
        """Go all the way, to machine code."""
        program, literals = self.lowered
        text = self.emitted
        return Record(
            object=compile_cached(text.module),
            literals=tuple(literals),
            shared_bytes=program.shared_bytes,
            tile_bytes=program.tile_bytes,
            maps=text.maps,
            loops=tuple(text.loops),
            shared_work=any(map(is_shared_work, program.steps)),
            instances=text.instances,
            streamed=text.streamed,
            once=self.once and self.once.record(),
            made=tuple(v.type for v in self.once.traced.outputs) if self.once else (),
        )


def _frame(called: Parameters, traced: Traced, tiles: int | None) -> Compiled:
    """What is known of a program before its graph is: arguments, results, names, tiles."""
    hidden = len(traced.constants)
    paths, structure = tree_flatten_with_path(called.values)
    return Compiled(
        object=CompiledObject(()),
        name=getattr(called.fn, "__name__", "program"),
        inputs=tuple(value.type for value in traced.graph.inputs[hidden:]),
        outputs=tuple(value.type for value in traced.graph.outputs),
        tiles=tiles or default_workers(),
        in_tree=tree_of(structure, [path for path, _ in paths]),
        out_tree=tree_of(traced.out_tree),
        argument_names=called.names,
        positional=called.positional,
        forms_in=MappingProxyType(traced.in_forms),
        forms_out=MappingProxyType(traced.out_forms),
    )


def _compiled(stages: Stages, constants: Sequence[np.ndarray], frame: Compiled) -> Compiled:
    """The program of a graph whose first inputs are `constants`."""
    text = f"{stages.hidden}\n{to_text(stages.traced, sources=False)}"
    record = recall(text, stages.machine, stages.record)
    if record.once is not None:
        alone = _without_arguments(frame, record.made)
        once = Executable(_filled(alone, record.once, constants, stages.once))
        constants = (*constants, *once.outputs())
    compiled = _filled(frame, record, constants, stages)
    if frame.pack is not None:  # further arguments are bound to the program before any was
        return compiled
    packing = Packing(compiled, tuple(constants))
    packing.compiled = compiled = replace(compiled, pack=packing)
    return compiled


def _filled(
    frame: Compiled, record: Record, constants: Sequence[np.ndarray], stages: Any
) -> Compiled:
    streamed = Streamed(record.instances, (), record.streamed) if record.streamed else None
    return replace(
        frame,
        object=record.object,
        constants=(*record.literals, *constants),
        shared_bytes=record.shared_bytes,
        tile_bytes=record.tile_bytes,
        workers=min(default_workers(), frame.tiles) if record.shared_work else 1,
        maps=record.maps,
        loops=record.loops,
        streamed=streamed,
        stages=stages,
    )


def _without_arguments(frame: Compiled, outputs: Sequence[Type]) -> Compiled:
    """Of a program that is run once, for `outputs`."""
    return Compiled(
        object=CompiledObject(()), name=frame.name, inputs=(), outputs=tuple(outputs),
        tiles=frame.tiles,
    )  # fmt: skip


class Packing:
    """The program for fixed inputs (by position among the arguments' leaves).

    What hangs on them and on constants alone (packed weights, transposed data) is computed when it
    is called. It starts from the program with nothing bound, so that binding one after the other is
    binding all at once.
    """

    def __init__(self, compiled: Compiled, constants: tuple[np.ndarray, ...]):
        self.compiled, self.constants = compiled, constants

    def __call__(self, fixed: Mapping[int, np.ndarray]) -> Compiled:
        compiled, hidden = self.compiled, len(self.constants)
        graph = compiled.graph
        known = {*graph.inputs[:hidden], *(graph.inputs[hidden + i] for i in fixed)}
        halves = split_fixed(pack_fixed(graph, known, compiled.stages.machine), known, hidden)
        if halves is None:
            return compiled
        first, rest = halves
        data = [
            fixed.get(i, np.zeros(kind.shape, kind.numpy)) for i, kind in enumerate(compiled.inputs)
        ]
        alone = _without_arguments(compiled, [v.type for v in first.outputs])
        once = Executable(_compiled(_final(first, "packing"), (*self.constants, *data), alone))
        constants = (*self.constants, *once.outputs())
        return _compiled(_final(rest, "packed"), constants, compiled)


def _final(graph: Graph, name: str) -> Stages:
    """Of a graph that has been through all rewrites."""
    return Stages(graph, Dump(name), (), ())

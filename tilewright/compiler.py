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
from tilewright.graph.counted import counted
from tilewright.graph.eliminate import eliminate
from tilewright.graph.fixed import split_fixed
from tilewright.graph.hoist import hoist
from tilewright.graph.ir import Graph
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

REWRITES: Sequence[Rewrite] = (
    anywhere(simplify),
    anywhere(eliminate),
    anywhere(counted),
    anywhere(widen),
    anywhere(simplify_products),
    anywhere(raise_transposes),
    sink,
    layout,
    hoist,
    anywhere(eliminate),
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
    return Executable(_compiled(Stages(traced.graph, Dump(frame.name)), traced.constants, frame))


class Stages:
    """From the traced graph to LLVM text, one after the other, each made when first asked for.

    All see one machine: this host, if none is given.
    """

    def __init__(
        self,
        traced: Graph,
        dump: Dump,
        rewrites: Sequence[Rewrite] = REWRITES,
        machine: Machine | None = None,
    ):
        self.traced, self.dump, self.rewrites = traced, dump, rewrites
        self.machine = machine or host_machine()

    @cached_property
    def graph(self) -> Graph:
        """After all rewrites, in order."""
        graph = self.traced
        self.dump("traced", partial(to_text, graph, short=True))
        for rewrite in self.rewrites:
            graph = replace(rewrite(graph, self.machine), law=self.traced.law)
            self.dump(rewrite.__name__, partial(to_text, graph, short=True))
        verify(graph)
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
            object=compile_cached(text.text),
            literals=tuple(literals),
            shared_bytes=program.shared_bytes,
            tile_bytes=program.tile_bytes,
            maps=text.maps,
            loops=tuple(text.loops),
            shared_work=any(map(is_shared_work, program.steps)),
            instances=text.instances,
            streamed=text.streamed,
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
    record = recall(to_text(stages.traced, sources=False), stages.machine, stages.record)
    streamed = Streamed(record.instances, (), record.streamed) if record.streamed else None
    compiled = replace(
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
    return replace(compiled, pack=partial(_packed, compiled, tuple(constants)))


def _packed(
    compiled: Compiled, constants: tuple[np.ndarray, ...], fixed: Mapping[int, np.ndarray]
) -> Compiled:
    """The program for fixed inputs (by position among the arguments' leaves).

    What hangs on them and on constants alone (packed weights, transposed data) is computed now.
    """
    graph, hidden = compiled.graph, len(constants)
    known = {*graph.inputs[:hidden], *(graph.inputs[hidden + i] for i in fixed)}
    halves = split_fixed(pack_fixed(graph, known), known, hidden)
    if halves is None:
        return compiled
    first, rest = halves
    frame = replace(
        compiled,
        outputs=tuple(v.type for v in first.outputs),
        in_tree=None,
        out_tree=None,
        positional=None,
        forms_in={},
        forms_out={},
    )
    arguments = [
        fixed.get(i, np.zeros(kind.shape, kind.numpy)) for i, kind in enumerate(compiled.inputs)
    ]
    once = Executable(_compiled(Stages(first, Dump("packing"), ()), constants, frame))
    made = once(*arguments)
    made = (made,) if len(first.outputs) == 1 else made
    return _compiled(Stages(rest, Dump("packed"), ()), (*constants, *made), compiled)

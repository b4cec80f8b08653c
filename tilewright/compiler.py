"""`compile`: a JAX function becomes one native program. Every pass, in order, on one screen.

JAX function -trace-> Graph -rewrites-> Graph -lower-> Program -codegen-> machine code
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from tilewright.codegen.cache import compile_cached
from tilewright.codegen.host import CompiledObject, assembly, host_features
from tilewright.codegen.program import program_text
from tilewright.dump import Dump
from tilewright.errors import ArgumentError
from tilewright.graph.counted import counted
from tilewright.graph.eliminate import eliminate
from tilewright.graph.fixed import split_fixed
from tilewright.graph.hoist import hoist
from tilewright.graph.ir import Graph
from tilewright.graph.products import simplify_products
from tilewright.graph.simplify import simplify
from tilewright.graph.sink import sink
from tilewright.graph.strips import make_strips
from tilewright.graph.text import to_text
from tilewright.graph.verify import verify
from tilewright.graph.widen import widen
from tilewright.plan.lower import lower
from tilewright.plan.synchronise import is_shared_work
from tilewright.plan.text import program_to_text
from tilewright.plan.weight import graph_weight
from tilewright.runtime.compiled import Compiled, Streamed
from tilewright.runtime.executable import Executable
from tilewright.runtime.gang import default_workers
from tilewright.trace import Traced, trace

SHORT = 2_000_000
"""Operations that take about a millisecond: such a program is run by the thread that calls it."""

REWRITES = (
    simplify,
    eliminate,
    counted,
    widen,
    simplify_products,
    sink,
    hoist,
    eliminate,
    make_strips,
    simplify,
    hoist,
    eliminate,
)


def compile(
    fn: Callable,
    *example_args: Any,
    machine: str | None = None,
    tiles: int | None = None,
) -> Executable:
    """Compile `fn` for the shapes and dtypes of `example_args`.

    `example_args` are pytrees of arrays or `jax.ShapeDtypeStruct`s. `machine` None is this host;
    "xla" runs `fn` through `jax.jit` on JAX's default device. `tiles` is the number of logical
    tiles (default: one for each CPU that the process may use); results do not depend on it.

    Raises `UnsupportedError` for what cannot be expressed, `ArgumentError` for a bad argument.
    """
    if machine == "xla":
        from tilewright.runtime.xla import XlaExecutable

        return XlaExecutable(fn, example_args)  # type: ignore[return-value]
    if machine not in (None, "cpu"):
        raise ArgumentError(f'machine must be None, "cpu" or "xla", not {machine!r}.')
    if tiles is not None and (type(tiles) is not int or tiles < 1):
        raise ArgumentError(f"tiles must be a positive whole number, not {tiles!r}.")
    dump = Dump(getattr(fn, "__name__", "program"))
    traced = trace(fn, *example_args)
    dump("traced", lambda: to_text(traced.graph, short=True))
    graph = rewrite(traced.graph, dump)
    frame = _frame(fn, example_args, traced, tiles)
    return Executable(_compiled(graph, traced.constants, frame, dump))


def rewrite(graph: Graph, dump: Dump | None = None) -> Graph:
    """All graph rewrites, in order."""
    for step in REWRITES:
        graph = step(graph)
        if dump is not None:
            dump(step.__name__, partial(to_text, graph, short=True))
    verify(graph)
    return graph


def _frame(
    fn: Callable, example_args: tuple[Any, ...], traced: Traced, tiles: int | None
) -> Compiled:
    """What is known of a program before its graph is: arguments, results, names, tiles."""
    hidden = len(traced.constants)
    keys_out = {i: "threefry2x32" for i, key in enumerate(traced.out_keys) if key}
    return Compiled(
        object=CompiledObject(()),
        inputs=tuple(value.type for value in traced.graph.inputs[hidden:]),
        outputs=tuple(value.type for value in traced.graph.outputs),
        tiles=tiles or default_workers(),
        in_tree=traced.in_tree,
        out_tree=traced.out_tree,
        argument_names=_argument_names(fn),
        leaf_names=_leaf_names(fn, example_args),
        keys_in=frozenset(i for i, key in enumerate(traced.in_keys) if key),
        keys_out=MappingProxyType(keys_out),
    )


def _compiled(
    graph: Graph, constants: Sequence[np.ndarray], frame: Compiled, dump: Dump
) -> Compiled:
    """Plan and emit a graph whose first inputs are `constants`."""
    program, literals = lower(graph)
    dump("program", lambda: program_to_text(program))
    text = program_text(program, host_features())
    dump("llvm", lambda: text.text)
    dump("assembly", lambda: assembly(text.text))
    shared_work = any(map(is_shared_work, program.steps))
    compiled = replace(
        frame,
        object=compile_cached(text.text),
        constants=(*literals, *constants),
        shared_bytes=program.shared_bytes,
        tile_bytes=program.tile_bytes,
        workers=min(default_workers(), frame.tiles) if shared_work else 1,
        maps=text.maps,
        loops=tuple(text.loops),
        short=graph_weight(graph) < SHORT and not any(n.op == "loop" for n in graph.nodes),
        streamed=Streamed(text.instances, (), text.streamed) if text.streamed else None,
        graph=graph,
        program=program,
        llvm=text.text,
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
    halves = split_fixed(graph, known, hidden)
    if halves is None:
        return compiled
    first, rest = halves
    frame = replace(
        compiled,
        outputs=tuple(v.type for v in first.outputs),
        out_tree=None,
        in_tree=None,
        keys_in=frozenset(),
        keys_out={},
        pack=None,
    )
    arguments = [
        fixed.get(i, np.zeros(kind.shape, kind.numpy)) for i, kind in enumerate(compiled.inputs)
    ]
    once = Executable(_compiled(first, constants, frame, Dump("packing")))
    made = once(*arguments)
    made = (made,) if len(first.outputs) == 1 else made
    return _compiled(rest, (*constants, *made), compiled, Dump("packed"))


def _argument_names(fn: Callable) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(fn).parameters)
    except (TypeError, ValueError):
        return ()


def _leaf_names(fn: Callable, example_args: tuple[Any, ...]) -> tuple[str, ...]:
    """What messages call each array: `params['w']`."""
    import jax

    names, leaves = _argument_names(fn), jax.tree_util.tree_leaves_with_path(example_args)
    found = []
    for path, _ in leaves:
        position = path[0].idx
        stem = names[position] if position < len(names) else f"argument {position}"
        found.append(stem + jax.tree_util.keystr(path[1:]))
    return tuple(found)

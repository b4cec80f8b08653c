"""JAX function -> `Traced`: a graph, the constants it closes over, and the layout of its arguments.

The graph's inputs are the constants, in order, then the leaves of the arguments; its outputs are
the leaves of the result. Arrays of PRNG keys are carried as their words, in both directions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from traceback import walk_stack
from typing import Any

import jax
import numpy as np

from tilewright.frozen import frozen
from tilewright.graph.concatenated import split_concatenations
from tilewright.graph.ir import Graph, Type
from tilewright.trace import jax_internals as internals
from tilewright.trace.edges import check_arguments, forms, returning_arrays, without_high_types
from tilewright.trace.lines import NOT_THE_USER
from tilewright.trace.rules import RULES
from tilewright.trace.rules.ignored import IGNORED
from tilewright.trace.scope import Scope
from tilewright.trace.session import Session
from tilewright.trace.types import type_of


@frozen
class Traced:
    """`in_types`, `out_types` are of flat leaves.

    `in_forms`, `out_forms` say which of them are no plain arrays (see `edges`).
    """

    graph: Graph
    constants: list[np.ndarray]
    in_tree: Any
    in_types: tuple[Type, ...]
    in_forms: dict[int, Any]
    out_tree: Any
    out_types: tuple[Type, ...]
    out_forms: dict[int, Any]


def trace(fn: Callable, *example_args: Any, names: Sequence[str] = ()) -> Traced:
    """Trace `fn` at the shapes and dtypes of `example_args`.

    They are pytrees of arrays, `jax.ShapeDtypeStruct`s or scalars, which messages call by their
    `names`, or numbers. Raises `UnsupportedError` for what cannot be expressed.
    """
    place = _users_place(fn)
    check_arguments(fn, example_args, place, names)
    with jax.disable_jit(False):
        closed, result = jax.make_jaxpr(returning_arrays(fn), return_shape=True)(*example_args)
        closed = without_high_types(closed, place)
        closed = internals.without_references(internals.without_unused_results(closed))
    leaves, out_tree = jax.tree.flatten(result)
    in_types = tuple(type_of(aval) for aval in closed.in_avals)
    scope = Scope(Session(RULES, IGNORED), in_types, place)
    results = scope.run(closed, scope.inputs)
    arrays = {key: array for key, (array, _) in scope.hidden.items()}
    return Traced(
        graph=split_concatenations(scope.graph(results, arrays)),
        constants=[_as_numpy(array) for array in arrays.values()],
        in_tree=jax.tree.structure(example_args),
        in_types=in_types,
        in_forms=forms(closed.in_avals),
        out_tree=out_tree,
        out_types=tuple(type_of(aval) for aval in leaves),
        out_forms=forms(leaves),
    )


def _users_place(fn: Callable) -> str:
    """file:line of a function of the user's own, or of the call that compiles one that is not."""
    place = internals.place_of(fn)
    if place and not place.startswith(NOT_THE_USER):
        return place
    for frame, line in walk_stack(sys._getframe()):
        if not frame.f_code.co_filename.startswith(NOT_THE_USER):
            return f"{frame.f_code.co_filename}:{line}"
    return ""


def _as_numpy(constant: Any) -> np.ndarray:
    if internals.is_key(jax.typeof(constant)):
        return internals.key_words(constant)
    if isinstance(constant, np.ndarray):
        return np.array(constant, order="C")  # its owner may write to it later
    return np.require(constant, requirements=["C", "A"])

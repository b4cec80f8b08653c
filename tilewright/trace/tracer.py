"""JAX function -> `Traced`: a graph, the constants it closes over, and the layout of its arguments.

The graph's inputs are the constants, in order, then the leaves of the arguments; its outputs are
the leaves of the result. Arrays of PRNG keys are carried as their words, in both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from tilewright.graph.ir import Graph, Type
from tilewright.trace import jax_internals as internals
from tilewright.trace.rules import RULES
from tilewright.trace.rules.ignored import IGNORED
from tilewright.trace.scope import Scope, Session, type_of


@dataclass(frozen=True)
class Traced:
    """`in_types`, `out_types` are of flat leaves.

    `in_keys`, `out_keys` hold the generator of those that are PRNG keys, by position.
    """

    graph: Graph
    constants: list[np.ndarray]
    in_tree: Any
    in_types: tuple[Type, ...]
    in_keys: dict[int, Any]
    out_tree: Any
    out_types: tuple[Type, ...]
    out_keys: dict[int, Any]


def trace(fn: Callable, *example_args: Any) -> Traced:
    """Trace `fn` at the shapes and dtypes of `example_args`.

    They are pytrees of arrays, `jax.ShapeDtypeStruct`s or scalars. Raises `UnsupportedError` for
    what cannot be expressed.
    """
    closed, result = jax.make_jaxpr(fn, return_shape=True)(*example_args)
    leaves, out_tree = jax.tree.flatten(result)
    in_types = tuple(type_of(aval) for aval in closed.in_avals)
    scope = Scope(Session(RULES, IGNORED), in_types)
    results = scope.run(closed, scope.inputs)
    arrays = {key: array for key, (array, _) in scope.hidden.items()}
    return Traced(
        graph=scope.graph(results, arrays),
        constants=[_as_numpy(array) for array in arrays.values()],
        in_tree=jax.tree.structure(example_args),
        in_types=in_types,
        in_keys=_generators(closed.in_avals),
        out_tree=out_tree,
        out_types=tuple(type_of(aval) for aval in leaves),
        out_keys=_generators(leaves),
    )


def _generators(avals: Sequence[Any]) -> dict[int, Any]:
    return {i: internals.generator(aval) for i, aval in enumerate(avals) if internals.is_key(aval)}


def _as_numpy(constant: Any) -> np.ndarray:
    if internals.is_key(jax.typeof(constant)):
        return internals.key_words(constant)
    if isinstance(constant, np.ndarray):
        return np.array(constant, order="C")  # its owner may write to it later
    return np.require(constant, requirements=["C", "A"])

"""Compares a function run by JAX with its traced graph in NumPy and with its native program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import ml_dtypes
import numpy as np

import tilewright
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Graph
from tilewright.graph.verify import verify
from tilewright.trace import Traced, trace


def words(leaf: Any) -> np.ndarray:
    """A leaf as a NumPy array; keys as their words."""
    leaf = jax.numpy.asarray(leaf)
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def run(fn: Callable, *args: Any) -> list[np.ndarray]:
    """The leaves of fn(*args), by way of its graph, which is verified."""
    traced = trace(fn, *args)
    return _interpreted(traced.graph, traced.constants, args)


def _interpreted(graph: Graph, constants: Sequence[Any], args: Sequence[Any]) -> list[np.ndarray]:
    verify(graph)
    inputs = [words(leaf) for leaf in jax.tree.leaves(args)]
    return evaluate(graph, [*(words(c) for c in constants), *inputs])


def native(fn: Callable, *args: Any) -> list[np.ndarray]:
    """The leaves of fn(*args), by way of its native program."""
    return _called(tilewright.compile(fn, *args), args)


def ways(fn: Callable, *args: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The leaves of fn(*args) both ways, for tests that state laws and need no reference."""
    program = tilewright.compile(fn, *args)
    return _traced(program, args), _called(program, args)


def _traced(program: tilewright.Executable, args: Sequence[Any]) -> list[np.ndarray]:
    """By way of the graph as it was traced for the program."""
    compiled = program.compiled
    return _interpreted(compiled.stages.traced, compiled.source.constants, args)


def _called(program: tilewright.Executable, args: Sequence[Any]) -> list[np.ndarray]:
    return [words(leaf) for leaf in jax.tree.leaves(program(*args))]


def agree(
    fn: Callable, *args: Any, epsilons: float = 0, absolute: float = 0, interpreted: bool = True
) -> tilewright.Executable:
    """Equal dtypes, shapes and values, up to a number of rounding errors of each value's size.

    `interpreted` False leaves out the graph in NumPy: for long loops, which it runs slowly. Gives
    the program, for what is to be said of it, too.
    """
    expected = [words(leaf) for leaf in jax.tree.leaves(jax.jit(fn)(*args))]
    program = tilewright.compile(fn, *args)
    results = {"native": _called(program, args)}
    if interpreted:
        results["interpreted"] = _traced(program, args)
    for way, found in results.items():
        for ours, theirs in zip(found, expected, strict=True):
            _compare(ours, theirs, epsilons, absolute, way)
    return program


def _compare(
    ours: np.ndarray, theirs: np.ndarray, epsilons: float, absolute: float, way: str
) -> None:
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), way
    if theirs.dtype.kind not in "fV":
        np.testing.assert_array_equal(ours, theirs, way)
        return
    relative = epsilons * float(ml_dtypes.finfo(theirs.dtype).eps)
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    np.testing.assert_allclose(ours, theirs, relative, absolute, err_msg=way)
    if not absolute:
        zeros = theirs == 0
        np.testing.assert_array_equal(np.signbit(ours[zeros]), np.signbit(theirs[zeros]), way)


def count(graph: Graph) -> int:
    """How many nodes, in bodies too."""
    return len(graph.nodes) + sum(count(b) for node in graph.nodes for b in node.bodies)


def operations(graph: Graph) -> set[str]:
    """Which operations, in bodies too."""
    inside = (operations(b) for node in graph.nodes for b in node.bodies)
    return {node.op for node in graph.nodes}.union(*inside)


__all__ = [
    "Traced",
    "agree",
    "count",
    "native",
    "operations",
    "run",
    "trace",
    "ways",
    "words",
]

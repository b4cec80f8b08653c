"""Declared state: arguments of a step whose new values take the place of the old.

In: a step's parameters, what tracing it gave, and the names of the arguments that are its state.
Out: the graph and the interface of a program that overwrites them, and the values that they begin
with.

    def step(params, state, x): ...; return state, y          compile(..., state="state")
    def step(h, c, x): ...; return h, c, y, z                 compile(..., state=("h", "c"))

A step returns a tuple that begins with the new values, in the order in which the arguments are
named; each has the structure, shapes and dtypes of what it replaces. What a call returns is the
rest: one thing alone, or a tuple, or None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.graph.ir import Graph
from tilewright.image import Interface
from tilewright.runtime.parameters import Parameters
from tilewright.runtime.signature import Signature
from tilewright.tree import Tree

if TYPE_CHECKING:
    from tilewright.trace import Traced


def state_arguments(state: Any, called: Parameters) -> tuple[int, ...]:
    """The arguments of those names, by number. Raises ArgumentError for any other."""
    names = () if state is None else (state,) if isinstance(state, str) else state
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ArgumentError(
            "state must be the name of an argument, or several names; an example of an argument "
            f"that is called state is given by position, not as {type(state).__name__}."
        )
    for name in names:
        if name not in called.names:
            known = ", ".join(called.names) or "none"
            raise ArgumentError(f"state names {name!r}, which is no argument (there are: {known}).")
    if len(set(names)) < len(names):
        raise ArgumentError(f"state names an argument twice: {', '.join(names)}.")
    return tuple(map(called.names.index, names))


def with_state(
    traced: Traced, called: Parameters, interface: Interface, state: Sequence[int]
) -> tuple[Graph, Interface]:
    """The graph that overwrites these arguments, and how it is called.

    Raises ArgumentError where the function does not return what it is given.
    """
    graph, tree = traced.graph, interface.in_tree
    assert tree is not None
    rest = _check_structure(traced, called, state)
    signature = Signature(interface)
    leaves = [
        (signature.first(number) + i, path)
        for number in state
        for i, path in enumerate(tree.children[number].paths(called.names[number]))
    ]
    for (position, path), new in zip(leaves, interface.outputs, strict=False):
        old = interface.inputs[position]
        if old != new:
            raise ArgumentError(
                f"{path} is {old}, but its new value is {new}: a state keeps shape and dtype."
            )
    _check_forms(interface, leaves)
    hidden, count = len(traced.constants), len(leaves)
    forms = {i - count: form for i, form in interface.forms_out.items() if i >= count}
    return replace(graph, state=tuple(hidden + position for position, _ in leaves)), replace(
        interface, outputs=interface.outputs[count:], out_tree=rest, forms_out=forms,
        state=tuple(state),
    )  # fmt: skip


def _check_structure(traced: Traced, called: Parameters, state: Sequence[int]) -> Tree:
    """The tree of what a call returns beside the state."""
    import jax

    from tilewright.tree import tree_of

    name = getattr(called.fn, "__name__", "The function")
    shown = " and ".join(called.names[i] for i in state)
    made = traced.out_tree.node_data()
    found = traced.out_tree.children() if made and made[0] is tuple else ()
    if len(found) < len(state):
        raise ArgumentError(
            f"{name} must return a tuple that begins with the new value of {shown}, but it returns "
            f"{tree_of(traced.out_tree)}."
        )
    for number, new in zip(state, found, strict=False):
        old = jax.tree.structure(called.values[number])
        if old != new:
            raise ArgumentError(
                f"{called.names[number]} is {tree_of(old)}, but its new value is {tree_of(new)}: a "
                "state keeps its structure."
            )
    rest = tuple(map(tree_of, found[len(state) :]))
    return rest[0] if len(rest) == 1 else Tree("tuple", rest) if rest else Tree("none")


def _check_forms(interface: Interface, leaves: Sequence[tuple[int, str]]) -> None:
    """Keys stay keys of their generator."""
    for number, (position, path) in enumerate(leaves):
        old, new = interface.forms_in.get(position), interface.forms_out.get(number)
        if old != new:
            kinds = [f"keys of {form}" if form else "an array" for form in (old, new)]
            raise ArgumentError(f"{path} is {kinds[0]}, but its new value is {kinds[1]}.")


def initial_state(called: Parameters, interface: Interface) -> Mapping[int, list[np.ndarray]]:
    """The examples' leaves by argument; zeros where an example has a shape, but no values."""
    import jax

    signature = Signature(interface)

    def leaf(position: int, example: Any) -> np.ndarray:
        if isinstance(example, jax.ShapeDtypeStruct):
            kind = interface.inputs[position]
            return np.zeros(kind.shape, kind.numpy)
        return np.array(signature.plain(position, example))

    return {
        number: [
            leaf(signature.first(number) + i, example)
            for i, example in enumerate(jax.tree.leaves(called.values[number]))
        ]
        for number in interface.state
    }

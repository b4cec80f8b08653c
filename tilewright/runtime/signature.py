"""The signature of a compiled function: its arguments, which of them are bound, what to call them.

In: the arguments of a call, as the user gave them, by position or by name. Out: their leaves in the
order of the program's inputs, or an `ArgumentError` that names the argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.graph.ir import Type
from tilewright.image import Interface
from tilewright.runtime.arguments import plain
from tilewright.tree import LEAF, MismatchError, Tree

_NOTHING: Mapping[Any, Any] = MappingProxyType({})


@frozen(eq=False)
class Signature:
    """Of a program that is called by an `interface`.

    The first `positional` arguments (all, if it is None) may be given by position; all whose names
    are identifiers by name. `bound` holds the leaves of arguments that have been fixed, `held`
    those of a state: arrays that every call is given as they are, and that it overwrites. `finite`:
    a call is refused where a float32 that it is given is not.
    """

    interface: Interface
    bound: Mapping[int, list[np.ndarray]] = field(default_factory=lambda: _NOTHING)
    held: Mapping[int, list[np.ndarray]] = field(default_factory=lambda: _NOTHING)
    finite: bool = False

    @cached_property
    def arguments(self) -> tuple[Tree, ...]:
        """The tree of each argument."""
        tree = self.interface.in_tree
        return (LEAF,) * len(self.interface.inputs) if tree is None else tree.children

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What to call each argument."""
        given = self.interface.argument_names[: len(self.arguments)]
        rest = range(len(given), len(self.arguments))
        return (*given, *(f"argument {i}" for i in rest))

    @cached_property
    def span(self) -> range | None:
        """The leaves, by position, that a call's positional arguments are; None: they are not.

        So it is where each free argument is one array, and the free ones follow each other.
        """
        limit, free = self.interface.positional, self._free
        by_position = limit is None or all(i < limit for i in free)
        if not by_position or not all(self.arguments[i].is_leaf for i in free):
            return None
        places = [self._first[i] for i in free]
        found = range(places[0], places[0] + len(places)) if places else range(0)
        return found if places == list(found) else None

    @property
    def ready(self) -> dict[int, np.ndarray]:
        """Leaves that no caller gives, by position: bound, or held."""
        return self._by_position({**self.bound, **self.held})

    def leaves(self, args: Sequence[Any], named: Mapping[str, Any] = _NOTHING) -> Sequence[Any]:
        """All leaves of a call, bound and held ones included."""
        ready = {**self.bound, **self.held}
        values = self._matched("The function", args, named)
        if len(values) < len(self._free):
            missing = [self.names[i] for i in self._free if i not in values]
            raise ArgumentError(
                f"The argument {missing[0]} is missing."
                if len(missing) == 1
                else f"The arguments {', '.join(missing[:-1])} and {missing[-1]} are missing."
            )
        leaves: list[Any] = []
        for position in range(len(self.arguments)):
            if position in values:
                leaves += self._leaves_of(position, values[position])
            else:
                leaves += ready[position]
        return leaves

    @property
    def fixed(self) -> dict[int, np.ndarray]:
        """The bound leaves, by position."""
        return self._by_position(self.bound)

    @cached_property
    def state(self) -> list[int]:
        """The leaves that a call overwrites, by position."""
        counts = {n: len(list(self.arguments[n].paths())) for n in self.interface.state}
        return [self._first[n] + i for n, count in counts.items() for i in range(count)]

    def _by_position(self, given: Mapping[int, Sequence[np.ndarray]]) -> dict[int, np.ndarray]:
        return {
            self._first[argument] + i: leaf
            for argument, leaves in given.items()
            for i, leaf in enumerate(leaves)
        }

    def plain(self, position: int, leaf: Any) -> np.ndarray:
        """One leaf as an array of the compiled type."""
        try:
            interface = self.interface
            return plain(leaf, interface.inputs[position], interface.forms_in.get(position))
        except ArgumentError as error:
            raise ArgumentError(f"{self.leaf_names[position]} {error}") from error.__cause__

    def check_finite(self, leaves: Sequence[np.ndarray], first: int) -> None:
        """Leaves from position `first` on."""
        for position, leaf in enumerate(leaves, first):
            if leaf.dtype == np.float32 and not np.isfinite(leaf).all():
                raise ArgumentError(
                    f"{self.leaf_names[position]} holds numbers that are not finite."
                )

    def bind(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> Signature:
        """Fix the first free arguments, and those of some names; arrays are checked and copied."""
        values = self._matched("bind", args, named)
        own = {
            position: [
                np.array(self.plain(self._first[position] + i, leaf))
                for i, leaf in enumerate(self._leaves_of(position, value))
            ]
            for position, value in values.items()
        }
        return replace(self, bound=MappingProxyType({**self.bound, **own}))

    def first(self, argument: int) -> int:
        """The position of an argument's first leaf."""
        return self._first[argument]

    @cached_property
    def leaf_names(self) -> tuple[str, ...]:
        """What messages call each leaf: `params['w']`."""
        pairs = zip(self.arguments, self.names, strict=True)
        return tuple(path for tree, name in pairs for path in tree.paths(name))

    def shown(self) -> str:
        """`layer(x: float32[3,4], params: 4 arrays) -> float32[4]`, of what is not bound."""
        parts = [f"{self.names[i]}: {self._kind(i)}" for i in self._free]
        return f"{self.interface.name}({', '.join(parts)}) -> {_kinds(self.interface.outputs)}"

    def _kind(self, position: int) -> str:
        first = self._first[position]
        count = sum(1 for _ in self.arguments[position].paths())
        return _kinds(self.interface.inputs[first : first + count])

    @cached_property
    def _free(self) -> list[int]:
        taken = {*self.bound, *self.held, *self.interface.state}
        return [i for i in range(len(self.arguments)) if i not in taken]

    @cached_property
    def _first(self) -> list[int]:
        """The position of each argument's first leaf."""
        counts = [sum(1 for _ in tree.paths()) for tree in self.arguments]
        return [sum(counts[:i]) for i in range(len(counts))]

    def _matched(self, who: str, args: Sequence[Any], named: Mapping[str, Any]) -> dict[int, Any]:
        """Values by argument."""
        limit = self.interface.positional
        limit = len(self.arguments) if limit is None else limit
        places = [i for i in self._free if i < limit]
        if len(args) > len(places):
            shown = ", ".join(self.names[i] for i in places)
            raise ArgumentError(
                f"{who} got {len(args)} arguments by position, but only {len(places)} are free"
                f"{f' ({shown})' if shown else ''}."
            )
        values = dict(zip(places, args, strict=False))
        for name, value in named.items():
            position = self._position(who, name)
            if position in values:
                raise ArgumentError(f"{who} got {name} twice.")
            values[position] = value
        return values

    def _position(self, who: str, name: str) -> int:
        known = self.names.index(name) if name in self.names and name.isidentifier() else None
        if known in self.interface.state:
            raise ArgumentError(f"{who} got {name!r}, which is the program's own state.")
        if known is None or known in self.bound:
            free = ", ".join(self.names[i] for i in self._free) or "none"
            raise ArgumentError(
                f"{who} got {name!r}, which is no free argument of the function (free: {free})."
            )
        return known

    def _leaves_of(self, position: int, value: Any) -> Sequence[Any]:
        tree = self.arguments[position]
        if tree.is_leaf:
            return (value,)
        try:
            return tree.flatten(value, self.names[position])
        except MismatchError as error:
            raise ArgumentError(str(error)) from None


def _kinds(types: Sequence[Type]) -> str:
    return str(types[0]) if len(types) == 1 else f"{len(types)} arrays"

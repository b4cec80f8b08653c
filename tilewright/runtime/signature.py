"""The signature of a compiled function: its arguments, which of them are bound, what to call them.

In: the arguments of a call, as the user gave them. Out: their leaves in the order of the program's
inputs, or an `ArgumentError` that names the argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.graph.ir import Type
from tilewright.runtime.arguments import plain

_NOTHING: Mapping[int, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Signature:
    """`tree` is that of the tuple of all arguments, bound or not; None if each is one array.

    `bound` holds the leaves of arguments that have been fixed; `forms` says which leaves are PRNG
    keys, of which generator, and which are "float0".
    """

    inputs: tuple[Type, ...]
    tree: Any = None
    argument_names: tuple[str, ...] = ()
    leaf_names: tuple[str, ...] = ()
    forms: Mapping[int, Any] = field(default_factory=lambda: _NOTHING)
    bound: Mapping[int, list[np.ndarray]] = field(default_factory=lambda: _NOTHING)

    @cached_property
    def count(self) -> int:
        """How many arguments there are."""
        return len(self.inputs) if self.tree is None else len(self.tree.children())

    @cached_property
    def is_flat(self) -> bool:
        """Whether a call's arguments are the leaves."""
        return not self.bound and self._free_tree is None

    def leaves(self, args: tuple[Any, ...]) -> Sequence[Any]:
        """All leaves of a call, bound ones included."""
        if len(args) != len(self._free):
            raise ArgumentError(
                f"The function takes {len(self._free)} arguments, but got {len(args)}."
            )
        template, positions = self._template
        leaves = template.copy()
        for position, leaf in zip(positions, self._free_leaves(args), strict=True):
            leaves[position] = leaf
        return leaves

    def _free_leaves(self, args: tuple[Any, ...]) -> Sequence[Any]:
        if self._free_tree is None:
            return args
        import jax

        leaves, found = jax.tree_util.tree_flatten(args)
        if found != self._free_tree:
            for position, value in zip(self._free, args, strict=True):
                self._leaves_of(position, value)
        return leaves

    @cached_property
    def _free(self) -> list[int]:
        return [i for i in range(self.count) if i not in self.bound]

    @cached_property
    def _free_tree(self) -> Any:
        """The tree of the tuple of free arguments; None if each is one array."""
        if self.tree is None:
            return None
        children = self.tree.children()
        free = [children[i] for i in self._free]
        if all(child.num_nodes == 1 and child.num_leaves == 1 for child in free):
            return None
        import jax

        return jax.tree_util.treedef_tuple(free)

    @cached_property
    def _template(self) -> tuple[list[Any], list[int]]:
        """Leaves with the bound ones in place, and the positions of the others."""
        template, positions = [], []
        for argument in range(self.count):
            count = 1 if self.tree is None else self.tree.children()[argument].num_leaves
            if argument in self.bound:
                template += self.bound[argument]
            else:
                positions += range(len(template), len(template) + count)
                template += [None] * count
        return template, positions

    @property
    def fixed(self) -> dict[int, np.ndarray]:
        """The bound leaves, by position."""
        template, positions = self._template
        free = set(positions)
        return {i: leaf for i, leaf in enumerate(template) if i not in free}

    def plain(self, position: int, leaf: Any) -> np.ndarray:
        """One leaf as an array of the compiled type."""
        try:
            return plain(leaf, self.inputs[position], self.forms.get(position))
        except ArgumentError as error:
            raise ArgumentError(f"{self.leaf_name(position)} {error}") from error.__cause__

    def bind(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> Signature:
        """Fix the first free arguments, and those of some names; arrays are checked and copied."""
        free = self._free
        if len(args) > len(free):
            raise ArgumentError(f"bind got {len(args)} arguments, but only {len(free)} are free.")
        fixed = dict(zip(free, args, strict=False))
        for name, value in named.items():
            fixed[self._position(name, free, fixed)] = value
        own = {position: self._own(position, value) for position, value in fixed.items()}
        return replace(self, bound=MappingProxyType({**self.bound, **own}))

    def leaf_name(self, position: int) -> str:
        """What messages call a leaf: `params['w']`."""
        if position < len(self.leaf_names):
            return self.leaf_names[position]
        if self.tree is None:
            return self.argument_name(position)
        import jax

        numbered = self.tree.unflatten(range(self.tree.num_leaves))
        path = jax.tree_util.tree_flatten_with_path(numbered)[0][position][0]
        return self.argument_name(path[0].idx) + jax.tree_util.keystr(path[1:])

    def argument_name(self, position: int) -> str:
        names = self.argument_names
        return names[position] if position < len(names) else f"argument {position}"

    def _leaves_of(self, position: int, value: Any) -> list[Any]:
        import jax

        leaves, found = jax.tree_util.tree_flatten(value)
        expected = self.tree.children()[position]
        if found != expected:
            raise ArgumentError(
                f"{self.argument_name(position)} has the structure {_show(found)}, "
                f"but the function was compiled for {_show(expected)}."
            )
        return leaves

    def _position(self, name: str, free: list[int], fixed: Mapping[int, Any]) -> int:
        names = self.argument_names
        if name not in names or names.index(name) not in free:
            raise ArgumentError(f"bind got {name!r}, which is no free argument of the function.")
        if names.index(name) in fixed:
            raise ArgumentError(f"bind got {name!r} twice.")
        return names.index(name)

    def _own(self, position: int, value: Any) -> list[np.ndarray]:
        """The leaves of an argument, as arrays of our own."""
        if self.tree is None:
            return [np.array(self.plain(position, value))]
        first = sum(child.num_leaves for child in self.tree.children()[:position])
        leaves = self._leaves_of(position, value)
        return [np.array(self.plain(first + i, leaf)) for i, leaf in enumerate(leaves)]


def _show(tree: Any) -> str:
    return str(tree).removeprefix("PyTreeDef(").removesuffix(")")

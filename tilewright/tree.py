"""Pytrees as plain data: what containers hold a function's arrays, without JAX.

In: a structure of JAX's (`tree_of`), or its saved form. Out: a `Tree`, which takes values of that
structure apart into leaves, and puts leaves together again, as JAX does: dicts by sorted keys, None
as a container of nothing. Classes that users have registered with JAX are taken apart by JAX, and
cannot be saved; everything else can.
"""

from __future__ import annotations

import ast
import sys
from collections import namedtuple
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any

from tilewright.frozen import frozen

_PLAIN = {dict: "dict", tuple: "tuple", list: "list", type(None): "none"}


class MismatchError(Exception):
    """A value of another structure; its words follow the name of the argument."""


@frozen
class Tree:
    """`kind` is "leaf", "none", "tuple", "list", "dict", "named" (a named tuple) or "custom".

    `keys` are a dict's keys, or what messages append for each child of a "named" or "custom" one;
    `cls` is the class of those two, `data` what else JAX's registry knows of a "custom" one, and
    `structure` what puts all leaves of that together.
    """

    kind: str
    children: tuple[Tree, ...] = ()
    keys: tuple[Any, ...] = ()
    cls: type | None = None
    data: Any = None
    structure: Any = None

    @property
    def is_leaf(self) -> bool:
        return self.kind == "leaf"

    def paths(self, name: str = "") -> Iterator[str]:
        """What messages call each leaf: `params['w'][0]`."""
        if self.is_leaf:
            yield name
        for step, child in zip(self._steps(), self.children, strict=True):
            yield from child.paths(name + step)

    def flatten(self, value: Any, name: str = "") -> list[Any]:
        """The leaves of a value of this structure; MismatchError says where it has another."""
        leaves: list[Any] = []
        self._collect(value, leaves, name)
        return leaves

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        return self._build(iter(leaves))

    def to_json(self) -> Any:
        """As lists and strings. Raises MismatchError for what only JAX can take apart."""
        if self.kind == "custom":
            assert self.cls is not None
            raise MismatchError(
                f"holds {self.cls.__qualname__}, a class of pytrees that cannot be saved"
            )
        named = f"{self.cls.__module__}:{self.cls.__qualname__}" if self.cls else ""
        children = [child.to_json() for child in self.children]
        return [self.kind, children, [repr(key) for key in self.keys], named]

    @staticmethod
    def from_json(content: Any) -> Tree:
        """Raises ValueError and the like for what `to_json` cannot have given. Imports nothing."""
        kind, children, keys, named = content
        if kind not in _KINDS:
            raise ValueError(f"no container: {kind!r}")
        parsed = tuple(ast.literal_eval(key) for key in keys)
        cls = _named_tuple(named, parsed) if kind == "named" else None
        tree = Tree(kind, tuple(map(Tree.from_json, children)), parsed, cls)
        if len(parsed) != (len(children) if kind in ("dict", "named") else 0):
            raise ValueError(f"{len(children)} entries of a {kind} with keys {parsed}")
        if kind in ("leaf", "none") and children:
            raise ValueError(f"entries of a {kind}")
        return tree

    def _steps(self) -> Sequence[str]:
        if self.kind == "dict":
            return [f"[{key!r}]" for key in self.keys]
        if self.kind in ("named", "custom"):
            return self.keys
        return [f"[{i}]" for i in range(len(self.children))]

    def _collect(self, value: Any, leaves: list[Any], name: str) -> None:
        if self.kind == "leaf":
            leaves.append(value)
            return
        parts = self._parts(value, name)
        if all(child.kind == "leaf" for child in self.children):
            leaves += parts
            return
        for child, part, step in zip(self.children, parts, self._steps(), strict=True):
            child._collect(part, leaves, name + step)

    def _parts(self, value: Any, name: str) -> Sequence[Any]:
        """The children of a value, if it is such a container."""
        if self.kind == "custom":
            return self._custom_parts(value, name)
        expected = self.cls or _CLASS[self.kind]
        if type(value) is not expected and not _stands_for(expected, type(value)):
            raise MismatchError(f"{name} is {_a(value)}, but the function was compiled for {self}.")
        if self.kind == "dict":
            return self._entries(value, name)
        if self.kind != "none" and len(value) != len(self.children):
            raise MismatchError(
                f"{name} has {len(value)} entries, but the function was compiled for "
                f"{len(self.children)}."
            )
        return value or ()

    def _entries(self, value: dict[Any, Any], name: str) -> Sequence[Any]:
        if len(value) == len(self.keys):
            try:
                found = itemgetter(*self.keys)(value) if self.keys else ()
                return found if len(self.keys) > 1 else (found,) if self.keys else ()
            except KeyError:
                pass
        for key in self.keys:
            if key not in value:
                raise MismatchError(f"{name}[{key!r}] is missing.")
        extra = next(key for key in value if key not in self.keys)
        raise MismatchError(f"{name}[{extra!r}] is not what the function was compiled for.")

    def _custom_parts(self, value: Any, name: str) -> Sequence[Any]:
        import jax

        flat = None
        if type(value) is self.cls:
            flat = jax.tree_util.default_registry.flatten_one_level(value)
        if flat is None or flat[1] != self.data:
            what = _a(value) if flat is None else f"another {type(value).__name__}"
            raise MismatchError(f"{name} is {what}, but the function was compiled for {self}.")
        return tuple(flat[0])

    def _build(self, leaves: Iterator[Any]) -> Any:
        if self.kind == "leaf":
            return next(leaves)
        if self.kind == "custom":
            return self.structure.unflatten(islice(leaves, self.structure.num_leaves))
        parts = [child._build(leaves) for child in self.children]
        match self.kind:
            case "none":
                return None
            case "list":
                return parts
            case "tuple":
                return tuple(parts)
            case "dict":
                return dict(zip(self.keys, parts, strict=True))
        return self.cls(*parts)  # type: ignore[misc]

    def __str__(self) -> str:
        """As JAX shows structures."""
        inside = [str(child) for child in self.children]
        match self.kind:
            case "leaf":
                return "*"
            case "none":
                return "None"
            case "list":
                return f"[{', '.join(inside)}]"
            case "tuple":
                return f"({', '.join(inside)}{',' if len(inside) == 1 else ''})"
            case "dict":
                pairs = zip(self.keys, inside, strict=True)
                return "{" + ", ".join(f"{key!r}: {child}" for key, child in pairs) + "}"
        assert self.cls is not None
        return f"{self.cls.__name__}({', '.join(inside)})"


class _StandIn(tuple):
    """Of a class of named tuples that this process has not loaded."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()


def _named_tuple(named: str, keys: Sequence[str]) -> type:
    """The class of that name, where its module is loaded, or one that stands for it.

    A saved tree never imports: who writes a file must not decide what code runs.
    """
    module, _, path = named.partition(":")
    fields = tuple(key.removeprefix(".") for key in keys)
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = vars(found).get(part) if hasattr(found, "__dict__") else None
    is_tuple = isinstance(found, type) and issubclass(found, tuple)
    if is_tuple and getattr(found, "_fields", None) == fields:
        return found
    plain = namedtuple(path.rpartition(".")[2], fields)
    names = {"__slots__": (), "__module__": module, "__qualname__": path}
    return type(plain.__name__, (plain, _StandIn), names)


def _stands_for(expected: type, given: type) -> bool:
    return (
        issubclass(expected, _StandIn)
        and issubclass(given, tuple)
        and given.__name__ == expected.__name__
        and getattr(given, "_fields", None) == expected._fields
    )


LEAF = Tree("leaf")
_KINDS = ("leaf", "named", *_PLAIN.values())
_CLASS = {kind: cls for cls, kind in _PLAIN.items()}


def tree_of(structure: Any, paths: Sequence[Sequence[Any]] = ()) -> Tree:
    """The tree of a `jax.tree_util.PyTreeDef`; `paths` are JAX's key paths of its leaves."""
    return _tree_of(structure, list(paths) or [()] * structure.num_leaves, 0)


def _tree_of(structure: Any, paths: Sequence[Sequence[Any]], depth: int) -> Tree:
    node = structure.node_data()
    if node is None:
        return LEAF
    cls, data = node
    children, names, at = [], [], 0
    for number, child in enumerate(structure.children()):
        below = paths[at : at + child.num_leaves]
        at += child.num_leaves
        children.append(_tree_of(child, below, depth + 1))
        known = bool(below) and len(below[0]) > depth
        names.append(str(below[0][depth]) if known else f"[{number}]")
    if cls in _PLAIN:
        keys = tuple(data) if cls is dict else ()
        return Tree(_PLAIN[cls], tuple(children), keys)
    if issubclass(cls, tuple) and data is None and _is_named_tuple(structure):
        return Tree("named", tuple(children), tuple(f".{f}" for f in cls._fields), cls)
    return Tree("custom", tuple(children), tuple(names), cls, data, structure)


def _is_named_tuple(structure: Any) -> bool:
    """Whether JAX knows a class as a named tuple alone: some are registered as something else."""
    return str(structure).startswith("PyTreeDef(CustomNode(namedtuple[")


def _a(value: Any) -> str:
    noun = type(value).__name__
    return f"an {noun}" if noun[:1].lower() in "aeiou" else f"a {noun}"

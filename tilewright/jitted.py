"""`jit`: what hands use `jax.jit` for. Compiles at the first call for each kind of arguments.

In: a function, and which of its arguments are static: part of the program, compared by value. Out:
a `Jitted` function, which keeps a program for each set of structures, shapes, dtypes, static values
and settings of JAX. Inside of a transformation of JAX's it is the function itself, so that what is
decorated can still be differentiated, mapped and jitted.
"""

from __future__ import annotations

import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial, update_wrapper
from types import MethodType
from typing import Any

import jax

from tilewright.collector import held_off
from tilewright.compiler import compiled_as
from tilewright.errors import ArgumentError
from tilewright.runtime.executable import Executable
from tilewright.runtime.parameters import Parameters, positional_names
from tilewright.trace.jax_internals import is_tracing, trace_context

MOST_PROGRAMS = 128
"""Programs that one function keeps; the one that was longest not called goes first."""


def jit(
    fn: Callable | None = None,
    *,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Iterable[str] = (),
    machine: str | None = None,
    tiles: int | None = None,
) -> Callable:
    """`fn`, compiled at its first call for each kind of arguments; without `fn`, a decorator.

    `static_argnums` and `static_argnames` are arguments that the program is made for, as under
    `jax.jit`: hashable, compared by type and value. `machine` and `tiles` are those of `compile`,
    which is the form for programs that are compiled ahead of time. Results are NumPy arrays.

    The result's `cache_clear()` forgets all programs. Raises what `compile` raises, and
    `ArgumentError` for what is no function and for a static argument that the function has not.
    """
    if fn is None:
        return partial(
            jit,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            machine=machine,
            tiles=tiles,
        )
    if not callable(fn):
        raise ArgumentError(f"what jit takes is a function, not {type(fn).__name__} {fn!r}.")
    numbers = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    return Jitted(fn, *_static(fn, numbers, names), machine=machine, tiles=tiles)


class Jitted:
    """A function and the programs made of it so far. Calls may come from any thread."""

    def __init__(
        self, fn: Callable, numbers: frozenset[int], names: frozenset[str], **options: Any
    ):
        update_wrapper(self, fn)
        self._fn, self._numbers, self._names, self._options = fn, numbers, names, options
        self._programs: OrderedDict[Any, Executable] = OrderedDict()
        self._lock = threading.RLock()

    def __call__(self, *args: Any, **named: Any) -> Any:
        numbers = {i % len(args) for i in self._numbers if -len(args) <= i < len(args)}
        dynamic = [value for i, value in enumerate(args) if i not in numbers]
        by_name = {name: value for name, value in named.items() if name not in self._names}
        leaves, tree = jax.tree.flatten((dynamic, by_name))
        if is_tracing() or any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return self._fn(*args, **named)
        static_args = tuple((i, args[i]) for i in sorted(numbers))
        static_named = tuple((name, named[name]) for name in named if name in self._names)
        types = tuple(type(value) for _, value in (*static_args, *static_named))  # 1 == 1.0 == True
        kinds = tuple(map(_kind, leaves))
        key = (static_args, static_named, types, tree, kinds, trace_context())
        try:
            program = self._programs.get(key)
        except TypeError:
            raise _unhashable((*static_args, *static_named)) from None
        if program is None:
            program = self._compile(key, leaves, tree, static_args, static_named)
        elif len(self._programs) == MOST_PROGRAMS:
            with self._lock:
                if key in self._programs:
                    self._programs.move_to_end(key)
        return program(*leaves)

    def cache_clear(self) -> None:
        """Forget all programs."""
        with self._lock:
            self._programs.clear()

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        name = getattr(self._fn, "__name__", "program")
        count = len(self._programs)
        return f"<tilewright.jit of {name}, {count} program{'s' * (count != 1)}>"

    @held_off()
    def _compile(
        self,
        key: Any,
        leaves: Sequence[Any],
        tree: Any,
        static_args: Sequence[tuple[int, Any]],
        static_named: Sequence[tuple[str, Any]],
    ) -> Executable:
        def of_leaves(*leaves: Any) -> Any:
            args, named = tree.unflatten(leaves)
            for i, value in static_args:
                args.insert(i, value)
            return self._fn(*args, **named, **dict(static_named))

        of_leaves.__name__ = getattr(self._fn, "__name__", "program")
        dynamic, by_name = tree.unflatten(leaves)
        names = _names(self._fn, dynamic, by_name, {i for i, _ in static_args})
        called = Parameters(of_leaves, tuple(leaves), names, len(leaves), names)
        with self._lock:  # another thread may have been first
            program = self._programs.get(key)
            if program is None:
                program = self._programs[key] = compiled_as(called, **self._options)
                if len(self._programs) > MOST_PROGRAMS:
                    self._programs.popitem(last=False)
        return program


def _names(
    fn: Callable, args: Sequence[Any], named: Mapping[str, Any], static: Collection[int]
) -> tuple[str, ...]:
    """Of the leaves of arguments that are not static, as a caller knows them: `batch['y']`."""
    known = positional_names(fn, len(args) + len(static))
    own = [name for i, name in enumerate(known) if i not in static]
    by_position, _ = jax.tree_util.tree_flatten_with_path(args)
    by_name, _ = jax.tree_util.tree_flatten_with_path(named)
    return (
        *(own[path[0].idx] + jax.tree_util.keystr(path[1:]) for path, _ in by_position),
        *(path[0].key + jax.tree_util.keystr(path[1:]) for path, _ in by_name),
    )


def _static(
    fn: Callable, numbers: Sequence[int], names: Sequence[str]
) -> tuple[frozenset[int], frozenset[str]]:
    """Each by number and by name, as callers may give an argument either way."""
    try:
        found = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return frozenset(numbers), frozenset(names)
    positional = [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in found)
    takes_more = any(p.kind is p.VAR_POSITIONAL for p in found)
    for number in numbers:
        if not takes_more and not -len(positional) <= number < len(positional):
            raise ArgumentError(
                f"static_argnums holds {number}, but {fn} takes {len(positional)} by position."
            )
    for name in names:
        if not takes_any and name not in {p.name for p in found}:
            raise ArgumentError(f"static_argnames holds {name!r}, which is no argument of {fn}.")
    by_number = {positional[i] for i in numbers if -len(positional) <= i < len(positional)}
    by_name = {positional.index(name) for name in names if name in positional}
    if not takes_more:  # from the end of the parameters, not of what one call gives by position
        numbers = [i % len(positional) for i in numbers]
    return frozenset({*numbers, *by_name}), frozenset({*names, *by_number})


def _kind(leaf: Any) -> Any:
    """What a program is compiled for."""
    if hasattr(leaf, "dtype"):
        return leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False)
    return type(leaf)


def _unhashable(static: Sequence[tuple[Any, Any]]) -> ArgumentError:
    for where, value in static:
        try:
            hash(value)
        except TypeError:
            name = f"argument {where}" if isinstance(where, int) else where
            return ArgumentError(f"{name} is static, but {type(value).__name__} has no hash.")
    return ArgumentError("The structure of an argument has no hash.")

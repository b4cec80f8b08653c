"""What crosses a program's edges: arguments, results and captured data that no graph can hold.

Two things that are no plain arrays do cross: PRNG keys, as their words, and JAX's `float0` (the
derivative by an integer, which holds nothing), as bools. `forms` says which leaves are such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import jax

from tilewright.errors import ArgumentError, UnsupportedError
from tilewright.trace import jax_internals as internals
from tilewright.trace.lines import user_line
from tilewright.trace.types import UntypedError, type_of


def check_arguments(
    fn: Callable, arguments: tuple[Any, ...], place: str, names: Sequence[str] = ()
) -> None:
    """Raise for a leaf that is no array that a graph can hold.

    The error says which leaf, by the argument's name or number, and the `place` that compiles it.
    """
    if not callable(fn):
        raise ArgumentError(
            f"what is compiled is a function, not {type(fn).__name__} {_short(fn)}."
        )
    for path, leaf in jax.tree_util.tree_leaves_with_path(arguments):
        number: int = path[0].idx
        name = names[number] if names else f"argument {number}"
        name += jax.tree_util.keystr(path[1:])
        aval = _abstract(leaf)
        if aval is None:
            raise ArgumentError(
                f"{name} is {type(leaf).__name__} {_short(leaf)}, which is no array for JAX."
            )
        try:
            type_of(aval)
        except UntypedError as error:
            raise UnsupportedError(
                f"{name} of {aval.str_short()} is not supported: {error} (at {place})"
            ) from None


def returning_arrays(fn: Callable) -> Callable:
    """`fn`, whose results are checked while it is traced."""

    @wraps(fn)
    def checked(*arguments: Any) -> Any:
        result = fn(*arguments)
        for path, leaf in jax.tree_util.tree_leaves_with_path(result):
            aval = _abstract(leaf)
            if aval is None:
                raise UnsupportedError(
                    f"the result{jax.tree_util.keystr(path)} is {type(leaf).__name__} "
                    f"{_short(leaf)}, which is no array for JAX (at {internals.place_of(fn)})"
                )
            if internals.is_high(aval):
                raise UnsupportedError(
                    f"the result{jax.tree_util.keystr(path)} of {aval.str_short()} is not "
                    f"supported: it is no array (at {internals.place_of(fn)})"
                )
        return result

    return checked


def without_high_types(closed: internals.ClosedJaxpr, place: str) -> internals.ClosedJaxpr:
    """A jaxpr whose primitives of `jax.experimental.hijax` are expanded.

    Raises for captured data of a type of hijax, and for what JAX itself cannot expand.
    """
    for aval in map(jax.typeof, closed.consts):
        if internals.is_high(aval):
            raise UnsupportedError(
                f"captured data of {aval.str_short()} is not supported: it is no array (at {place})"
            )
    try:
        return internals.without_high_types(closed)
    except Exception as error:
        equation = internals.high_equation(closed)
        shapes = ", ".join(atom.aval.str_short() for atom in equation.invars) or "no operands"
        raise UnsupportedError(
            f"{equation.primitive.name} of {shapes} is not supported: JAX cannot expand it "
            f"({type(error).__name__}) (at {user_line(equation) or place})"
        ) from error


def forms(avals: Sequence[Any]) -> dict[int, Any]:
    """The generator of leaves that are PRNG keys, and "float0", by position."""
    found: dict[int, Any] = {}
    for position, aval in enumerate(avals):
        if internals.is_key(aval):
            found[position] = internals.generator(aval)
        elif internals.is_float0(aval):
            found[position] = "float0"
    return found


def _abstract(leaf: Any) -> Any:
    """The abstract value of a leaf; None for what JAX takes for no array."""
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return jax.core.ShapedArray(leaf.shape, leaf.dtype)
    try:
        return jax.typeof(leaf)
    except (TypeError, OverflowError):
        return None


def _short(leaf: Any) -> str:
    text = " ".join(repr(leaf).split())
    return text if len(text) <= 40 else text[:37] + "..."

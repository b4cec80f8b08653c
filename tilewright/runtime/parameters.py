"""How a function is called: its arguments in one order, with their names.

In: a function and the arguments of one call, by position and by name. Out: a `Parameters`: the
arguments as one list, which every later call can be matched with, and the function of that list.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Any

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen


@frozen
class Parameters:
    """`fn(*values)` is the call; the first `positional` values may be given by position.

    `given` are names for messages, if the caller knows values by others than their numbers.
    """

    fn: Callable
    values: tuple[Any, ...]
    names: tuple[str, ...]
    positional: int
    given: tuple[str, ...] = ()


def parameters(fn: Callable, args: Sequence[Any], named: Mapping[str, Any]) -> Parameters:
    """The parameters of `fn(*args, **named)`. Raises ArgumentError if it cannot be so called."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):  # some built-in functions have none
        bound_args, bound_named = tuple(args), dict(named)
    else:
        try:
            bound = signature.bind(*args, **named)
        except TypeError as error:
            raise ArgumentError(f"{_name(fn)} cannot be called so: {error}.") from None
        bound_args, bound_named = bound.args, bound.kwargs
    keywords, count = tuple(bound_named), len(bound_args)
    names = positional_names(fn, count)
    if not keywords:
        return Parameters(fn, bound_args, names, count)

    def ordered(*values: Any) -> Any:
        return fn(*values[:count], **dict(zip(keywords, values[count:], strict=True)))

    update_wrapper(ordered, fn)
    return Parameters(ordered, (*bound_args, *bound_named.values()), (*names, *keywords), count)


def positional_names(fn: Callable, count: int) -> tuple[str, ...]:
    """Of the first arguments: `x`, `y`, and `rest[0]`, ... where a parameter takes all that follow;
    numbers, where the function does not say."""
    try:
        found = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        found = ()
    names: list[str] = []
    for parameter in found:
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += (f"{parameter.name}[{i}]" for i in range(count - len(names)))
        elif len(names) < count:
            names.append(parameter.name)
    return (*names, *(f"argument {i}" for i in range(len(names), count)))


def _name(fn: Callable) -> str:
    return getattr(fn, "__name__", None) or "The function"

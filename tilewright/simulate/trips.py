"""How often loops of unknown length turn: their names, and what a caller says of them.

In: a program, and {name: turns each time the loop is entered}, a number, or an array with one for
each instance of the map that the loop is in. Out: turns for each `While` of the program.

The names are "while0", "while1", ... in the order in which the program's text has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.plan.ir import (
    Branch,
    Call,
    Exchange,
    Family,
    Loop,
    Map,
    Pipeline,
    Program,
    Replicas,
    Spread,
    Step,
    Sync,
    While,
)

Trips = Mapping[str, float | np.ndarray | Sequence[float]]


def named(program: Program) -> dict[str, tuple[While, int]]:
    """The loops by name, each with the instances of the map it is in (1: in none)."""
    found = _walk(program.steps, 1)
    return {f"while{number}": pair for number, pair in enumerate(found)}


def _walk(steps: Sequence[Step], instances: int) -> Iterator[tuple[While, int]]:
    for step in steps:
        match step:
            case While(condition, _, body):
                yield step, instances
                yield from _walk((*condition, *body), instances)
            case Map(_, count, body) | Replicas(_, count, _, _, body):
                yield from _walk(body, count)
            case Pipeline(_, count, _, parts, _):
                for part in parts:
                    yield from _walk(part, count)
            case Loop(_, _, body) | Spread(_, _, body):
                yield from _walk(body, instances)
            case Family(_, counts, _, body):
                yield from _walk(body, prod(counts) if instances == 1 else instances)
            case Branch(_, cases):
                for case in cases:
                    yield from _walk(case, instances)
            case Call() | Sync() | Exchange():
                pass


def whiles(program: Program, trips: Trips) -> dict[int, float | np.ndarray]:
    """Turns of each `While`, by its id.

    Raises `ArgumentError` where one is missing, unknown, negative or of another length.
    """
    loops = named(program)
    if not isinstance(trips, Mapping):
        raise ArgumentError(
            f"trips must be turns of loops by name, {{name: turns}}, not {trips!r}."
        )
    unknown = [name for name in trips if name not in loops]
    if unknown:
        known = ", ".join(loops) or "none"
        raise ArgumentError(f"trips names {unknown[0]!r}; loops of unknown length are {known}.")
    missing = [name for name in loops if name not in trips]
    if missing:
        raise ArgumentError(
            f"How often {', '.join(missing)} turn{'s' * (len(missing) == 1)} is not known before "
            f"a run: give trips={{{missing[0]!r}: ...}}, or exe.trips(*args) of a native run."
        )
    return {id(loop): _turns(name, trips[name], count) for name, (loop, count) in loops.items()}


def _turns(name: str, given: float | np.ndarray | Sequence[float], count: int) -> np.ndarray:
    try:
        turns = np.asarray(given, float)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"trips[{name!r}] must be a number or numbers, not {given!r}."
        ) from None
    if turns.shape not in ((), (count,)):
        raise ArgumentError(
            f"trips[{name!r}] must be a number or {count} of them, one for each instance, "
            f"not of shape {turns.shape}."
        )
    if not np.all(np.isfinite(turns)) or np.any(turns < 0):
        raise ArgumentError(f"trips[{name!r}] must be finite and not negative.")
    return turns

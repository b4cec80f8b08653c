"""What may not have been meant, in a table of sequences that is learned from or asked about.

In: `Sequences` and what was fitted. Out: refusals where nothing can be learned as it was asked for
(`ArgumentError`), and a `DataWarning` where there is an answer, but perhaps not the one that was
wanted. Each is one sentence.
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from tilewright.errors import ArgumentError, DataWarning
from tilewright.sequence.sequences import Sequences

NAMED = 5
"""Columns that are named; of more their number is said."""
CONSTANT = 1e-12
"""Of its largest value, a deviation that is none."""


def check_lengths(given: Sequences, steps_back: int) -> None:
    """Of sequences that are cut into pieces. Raises `ArgumentError` if they are too short to be."""
    length = given.end - given.begin
    longest, count = int(length.max()), len(length)
    if longest == 1:
        raise ArgumentError(
            f"Each of the {count} groups has one row alone, so that there is no past to learn from."
            if count > 1
            else "There is one row alone, so that there is no past to learn from."
        )
    if steps_back > longest:
        raise ArgumentError(
            f"steps_back={steps_back} is more than the longest sequence has rows: choose "
            f"{longest} or less."
        )
    single = int(np.sum(length == 1))
    if single:
        _say(f"{single} of {count} groups {_have(single)} one row alone: they show no past.")


def notice_constants(given: Sequences, last: int, names: Sequence[str] | None) -> None:
    """Inputs that do not vary in rows up to time `last`; those that mark gaps may do so."""
    read = given.x[given.when <= last]
    constant = np.flatnonzero(is_constant(read if names is None else read[:, : len(names)]))
    if len(constant):
        which = _named(constant, names)
        _say(f"{which} constant in what is learned from: nothing is learned of other values.")


def notice_constant_target(given: Sequences, last: int) -> None:
    """Any of the targets, in units of its base scale."""
    known = given.y if given.base is None else given.y / given.base
    if is_constant(known[given.when <= last]).any():
        _say("A target is constant in what is learned from: there is nothing to forecast.")


def notice_classes(late: np.ndarray) -> None:
    """Classes that are only in the part that fits are stopped by."""
    if len(late):
        which = f"Class {late[0]} is" if len(late) == 1 else f"{len(late)} classes are"
        _say(f"{which} not in what is learned from, only in the later part.")


def is_constant(values: np.ndarray) -> np.ndarray:
    """(columns,) bool, of (rows, columns); NaN is left out, and a column needs two numbers."""
    two = np.sum(~np.isnan(values), axis=0) > 1
    there = np.where(two, values, 0.0)
    spread = np.nanmax(there, axis=0) - np.nanmin(there, axis=0)
    return two & (spread <= CONSTANT * np.nanmax(np.abs(there), axis=0))


def marks_of(groups: Sequence[str]) -> np.ndarray:
    """(groups,) uint64, sorted: whether a group was there can be told by them, not its name."""
    found = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in groups]
    return np.sort(np.frombuffer(b"".join(found), "<u8"))


def notice_unseen(groups: Sequence[str], marks: np.ndarray) -> None:
    """Groups that were not among those of `marks`."""
    unseen = int(np.sum(~np.isin(marks_of(groups), marks)))
    if unseen:
        _say(
            f"{unseen} of {len(groups)} groups {_were(unseen)} not among those that were learned "
            "from: they are answered by what all groups have in common."
        )


@contextmanager
def expected() -> Iterator[None]:
    """For jobs in which such data are usual: listings of yesterday, cards used once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        yield


def _named(columns: np.ndarray, names: Sequence[str] | None) -> str:
    """Their names, or their numbers where they have none, and the verb."""
    if len(columns) > NAMED:
        return f"{len(columns)} inputs are"
    each = [str(i) if names is None else repr(names[i]) for i in columns]
    if len(each) == 1:
        return f"Input {each[0]} is"
    return f"Inputs {', '.join(each[:-1])} and {each[-1]} are"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _say(sentence: str) -> None:
    """At the user's own line, as far as that can be told."""
    warnings.warn(sentence, DataWarning, stacklevel=_depth())


def _depth() -> int:
    """Frames from `warnings.warn` in `_say` to the first that is not of this package."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("tilewright"):
        frame, depth = frame.f_back, depth + 1
    return depth

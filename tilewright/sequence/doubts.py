"""What may not have been meant, in a table of sequences that is learned from or asked about.

In: `Sequences` and what was fitted. Out: refusals where nothing can be learned as it was asked for
(`ArgumentError`), and a `DataWarning` where there is an answer, but perhaps not the one that was
wanted. Each is one sentence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from tilewright.doubts import is_constant, notice_constants, notice_restated, say
from tilewright.errors import ArgumentError
from tilewright.sequence.sequences import Sequences


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
        verb = "has" if single == 1 else "have"
        say(f"{single} of {count} groups {verb} one row alone: they show no past.")


def notice_inputs(given: Sequences, last: int, names: Sequence[str] | None) -> None:
    """Of rows up to time `last`; those beyond the named ones mark gaps, and may be constant."""
    count = given.x.shape[1] if names is None else len(names)
    notice_constants(given.x[given.when <= last, :count], names)


def notice_targets(given: Sequences, last: int, names: Sequence[str] | None) -> None:
    """A target that is constant, in units of its base scale, or that is among a row's inputs."""
    old = given.when <= last
    known = given.y if given.base is None else given.y / given.base
    if is_constant(known[old]).any():
        say("A target is constant in what is learned from: there is nothing to forecast.")
    for column in given.y[old].T:
        notice_restated(given.x[old], column, names)


def notice_classes(late: np.ndarray) -> None:
    """Classes that are only in the part that fits are stopped by."""
    if len(late):
        which = f"Class {late[0]} is" if len(late) == 1 else f"{len(late)} classes are"
        say(f"{which} not in what is learned from, only in the later part.")


def marks_of(groups: Sequence[str]) -> np.ndarray:
    """(groups,) uint64, sorted: whether a group was there can be told by them, not its name."""
    found = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in groups]
    return np.sort(np.frombuffer(b"".join(found), "<u8"))


def notice_unseen(groups: Sequence[str], marks: np.ndarray) -> None:
    """Groups that were not among those of `marks`."""
    unseen = int(np.sum(~np.isin(marks_of(groups), marks)))
    if unseen:
        verb = "was" if unseen == 1 else "were"
        say(
            f"{unseen} of {len(groups)} groups {verb} not among those that were learned from: they "
            "are answered by what all groups have in common."
        )

"""Sequences as arrays, and how they are divided by time: what is learned, what is later.

In: rows of all sequences, one sequence after the other. Out: pieces to learn from and pieces, later
in time, to stop by. No target of the former is known only after the first of the latter.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.sequence import pieces
from tilewright.sequence.pieces import Table


@frozen(eq=False)
class Sequences:
    """`at_end`: each sequence has one answer, at its last row; else every row has one."""

    x: np.ndarray  # (rows, inputs) float64, NaN where a mean is to be read
    y: np.ndarray  # (rows, targets) float64, NaN where unknown
    begin: np.ndarray  # (sequences,)
    end: np.ndarray  # (sequences,)
    when: np.ndarray  # (rows,) rank of a row's time
    order: np.ndarray  # (answers,) which row of the user's each answer belongs to
    at_end: bool
    base: np.ndarray | None = None  # (rows, 1) what the targets are in units of

    def answers(self, found: np.ndarray) -> np.ndarray:
        """Of (..., rows, width) those of the user's rows, in the user's order."""
        if self.at_end:
            return found[..., self.end - 1, :]
        back = np.empty(found.shape, found.dtype)
        back[..., self.order, :] = found
        return back


@frozen
class Reading:
    """How many rows of a piece count, how many are read before them, whether state is carried."""

    back: int
    warm: int = 0
    carry: bool = False

    @property
    def steps(self) -> int:
        return self.back + (0 if self.carry else self.warm)


def samples(X: np.ndarray, y: np.ndarray | None, steps: int) -> Sequences:
    """X (samples, steps * inputs), y (samples, targets): each sample is a sequence of its own."""
    count = len(X)
    x = X.reshape(count * steps, -1)
    end = np.arange(1, count + 1) * steps
    targets = np.full((len(x), 0 if y is None else y.shape[1]), np.nan)
    if y is not None:
        targets[end - 1] = y
    when = np.repeat(np.arange(count), steps)
    return Sequences(x, targets, end - steps, end, when, np.arange(count), True)


def with_targets(given: Sequences, y: np.ndarray) -> Sequences:
    """The same rows with other targets (rows, targets)."""
    return replace(given, y=y)


def divided(given: Sequences, later: float, horizon: int) -> tuple[int, int]:
    """Ranks of time: the last that is learned from, and the first of the later part.

    That part has a share `later` of all rows with targets. The first target of it must be no
    earlier than the last one that is learned from is known, `horizon` ranks after its row.

    Raises `ArgumentError` where a part would be empty, or the later one shorter than the horizon.
    """
    known = np.sort(given.when[~np.isnan(given.y).all(axis=1)])
    if not len(known):
        raise ArgumentError("No target is known.")
    if later == 0:
        return int(known[-1]), int(known[-1]) + 1
    if later * len(known) < 1:
        raise ArgumentError(
            f"There are no later data to stop by: validation={later:g} of the targets "
            f"({len(known)}) is less than one; choose a larger one, or 0 for all epochs."
        )
    first = int(known[min(len(known) - 1, int(np.ceil((1 - later) * len(known))))])
    last = first - horizon
    if last < known[0]:
        raise ArgumentError(
            f"Nothing is left to learn from: later data begin at time {first}, the horizon is "
            f"{horizon}, and the first target is at time {known[0]}; choose a smaller validation."
        )
    span = int(known[-1]) - first + 1
    if horizon > span:
        raise ArgumentError(
            f"The horizon of {horizon} times is longer than the later part, which has {span}: "
            "choose a larger validation."
        )
    return last, first


def learned(given: Sequences, last: int, reading: Reading) -> Table:
    """Pieces of rows up to time `last`."""
    if given.at_end:
        numbers = np.flatnonzero(given.when[given.end - 1] <= last)
        return pieces.windows(numbers, reading.steps)
    end = given.begin + _counted(given, given.when <= last)
    if reading.carry:
        return pieces.whole(given.begin, end, given.begin, reading.steps)
    return pieces.cut(given.begin, end, given.begin, reading.back, reading.warm)


def later(given: Sequences, first: int, reading: Reading) -> Table:
    """Pieces that count rows from time `first` on; those before are read, as they are when used."""
    if given.at_end:
        numbers = np.flatnonzero(given.when[given.end - 1] >= first)
        return pieces.windows(numbers, reading.steps)
    speak = given.begin + _counted(given, given.when < first)
    if reading.carry:
        return pieces.whole(given.begin, given.end, speak, reading.steps)
    return pieces.cut(given.begin, given.end, speak, reading.back, reading.warm)


def everything(given: Sequences, steps: int) -> Table:
    """Each sequence from its beginning: all its answers."""
    if given.at_end:
        return pieces.windows(np.arange(len(given.end)), steps)
    return pieces.whole(given.begin, given.end, given.begin, steps)


def _counted(given: Sequences, which: np.ndarray) -> np.ndarray:
    """Rows of each sequence for which it is so, (sequences,)."""
    return np.add.reduceat(which.astype(np.int64), given.begin)

"""Which rows a net reads one after the other, and which of them count.

In: where sequences begin and end among the rows of all. Out: a `Table` of pieces. A piece is read
from a zero state, `steps` rows a turn; its first `silent` rows are read without loss and without
answer. Data lie in memory once, however pieces overlap.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Table(NamedTuple):
    """Pieces, padded with empty ones; whole numbers of 32 bits."""

    first: np.ndarray  # (pieces,) row that is read first
    length: np.ndarray  # (pieces,) rows read
    silent: np.ndarray  # (pieces,)
    count: np.ndarray  # () pieces that are not padding
    turns: np.ndarray  # () turns that the longest needs


def table(first: np.ndarray, length: np.ndarray, silent: np.ndarray, steps: int) -> Table:
    """Pieces as they are given; those that say nothing are left out."""
    keep = np.flatnonzero(length > silent)
    turns = -(-int(length[keep].max(initial=0)) // steps)
    first, length, silent = np.stack([first, length, silent]).astype(np.int32)[:, keep]
    count, most = np.array([[len(keep)], [turns]], np.int32)
    return Table(first, length, silent, count.reshape(()), most.reshape(()))


def padded(given: Table, pieces: int) -> Table:
    """With empty pieces up to that many."""
    more = pieces - len(given.first)
    first, length, silent = (np.pad(column, (0, more)) for column in given[:3])
    return Table(first, length, silent, given.count, given.turns)


def windows(samples: np.ndarray, steps: int) -> Table:
    """Samples (numbers) of `steps` rows each; the last of them answers."""
    length = np.full(len(samples), steps)
    return table(samples * steps, length, length - 1, steps)


def whole(begin: np.ndarray, end: np.ndarray, speak: np.ndarray, steps: int) -> Table:
    """A piece for each sequence of rows begin <= row < end; it answers from row `speak` on."""
    return table(begin, end - begin, np.maximum(speak, begin) - begin, steps)


def cut(begin: np.ndarray, end: np.ndarray, speak: np.ndarray, back: int, warm: int) -> Table:
    """Pieces that count `back` rows each, from row `speak` of each sequence on.

    Before them up to `warm` rows are read without loss, none before the sequence's `begin`. Every
    row from `speak` to `end` counts in one piece.
    """
    blocks = np.maximum(-(-(end - speak) // back), 0)
    sequence = np.repeat(np.arange(len(begin)), blocks)
    number = np.arange(len(sequence)) - np.repeat(np.cumsum(blocks) - blocks, blocks)
    counted = speak[sequence] + number * back
    first = np.maximum(counted - warm, begin[sequence])
    last = np.minimum(counted + back, end[sequence])
    return table(first, last - first, counted - first, warm + back)

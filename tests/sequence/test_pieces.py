"""Every row counts once, after what it may read."""

import numpy as np
import pytest

from tilewright.sequence import pieces

BEGIN = np.array([0, 5, 6, 40])
END = np.array([5, 6, 40, 40])


def counted(table, rows):
    """How often each row counts."""
    found = np.zeros(rows, int)
    for first, length, silent in zip(*table[:3], strict=True):
        found[first + silent : first + length] += 1
    return found


@pytest.mark.parametrize(("back", "warm"), [(1, 0), (4, 0), (4, 3), (7, 20), (100, 5)])
def test_cut_counts_each_row_once(back, warm):
    speak = np.array([2, 5, 10, 40])
    table = pieces.cut(BEGIN, END, speak, back, warm)
    wanted = np.zeros(40, int)
    for a, b in zip(speak, END, strict=True):
        wanted[a:b] = 1
    np.testing.assert_array_equal(counted(table, 40), wanted)
    assert table.turns == 1
    assert (table.length <= back + warm).all()
    owner = np.searchsorted(BEGIN, table.first, side="right") - 1
    assert (table.first + table.length <= END[owner]).all()
    full = table.first + table.silent - warm >= BEGIN[owner]
    assert (table.silent[full] == warm).all()


def test_whole_sequences_take_turns():
    table = pieces.whole(BEGIN, END, np.array([0, 5, 20, 40]), 10)
    assert table.count == 3  # the last has no rows
    assert table.turns == 4  # 34 rows, ten a turn
    assert counted(table, 40).sum() == 5 + 1 + 20


def test_windows_answer_at_their_end():
    table = pieces.windows(np.array([0, 2]), 7)
    np.testing.assert_array_equal(counted(table, 21).nonzero()[0], [6, 20])


def test_padding_is_empty():
    table = pieces.padded(pieces.windows(np.array([0, 2]), 7), 5)
    assert len(table.first) == 5
    assert table.count == 2
    assert counted(table, 21).sum() == 2

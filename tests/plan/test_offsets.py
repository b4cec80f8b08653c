"""Offsets of many buffers are those that one look after the other finds."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.plan import offsets
from tilewright.plan.homes import evenly
from tilewright.plan.ir import Buffer
from tilewright.plan.offsets import ALIGNMENT, Life, pack


def packed(rows, many):
    """End and offsets, where so many buffers are many."""
    found = {}
    with mock.patch.object(offsets, "MANY", many):
        end = pack(rows, found)
    return end, [found[buffer] for buffer, _ in rows]


def row(size, first, length):
    return Buffer("float32", size, "shared"), Life(first, first + length)


ROWS = st.tuples(st.integers(0, 90), st.integers(0, 12), st.integers(0, 5))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(ROWS, max_size=30))
def test_all_together_is_one_after_the_other(given_rows):
    rows = [row(*each) for each in given_rows]
    assert packed(rows, 0) == packed(rows, len(rows) + 1)


@pytest.mark.parametrize("many", [0, 101])
def test_each_is_as_low_as_it_can_be(many):
    random = np.random.default_rng(many)
    rows = [row(*map(int, random.integers(0, (90, 40, 6)))) for _ in range(100)]
    end, found = packed(rows, many)
    placed = []
    for (buffer, life), offset in zip(rows, found, strict=True):
        size = max(ALIGNMENT, -(-buffer.nbytes // ALIGNMENT) * ALIGNMENT)
        beside = [p for p in placed if p[2].first <= life.last and life.first <= p[2].last]
        free = [
            start
            for start in range(0, end + 1, ALIGNMENT)
            if all(start + size <= low or high <= start for low, high, _ in beside)
        ]
        assert offset == min(free)
        placed.append((offset, offset + size, life))
    assert end == max(high for _, high, _ in placed)


def test_buffers_of_other_tiles_are_in_nobodys_way():
    homes = evenly(1, 1), evenly(1, 1, first=1)
    rows = [(Buffer("float32", 16, "home", homes=homes[i % 2]), Life(0, 9)) for i in range(9)]
    assert packed(rows, 0)[0] == 5 * ALIGNMENT

"""Rows in blocks and shares: each of them once, none across an end."""

from itertools import product

import pytest

from tilewright.plan.apart.row_sums import _balanced, _pieces


@pytest.mark.parametrize(("length", "count"), [(10, 1), (10, 3), (12, 4), (7, 7), (100, 33)])
def test_blocks_are_equal_but_for_a_row(length, count):
    rows, sizes = [], []
    for number, run in enumerate(_balanced(length, count)):
        assert run.block == sum(run.count for run in _balanced(length, count)[:number])
        for block in range(run.count):
            first = run.start + block * run.size
            rows += range(first, first + run.size)
            sizes.append(run.size)
    assert rows == list(range(length))
    assert len(sizes) == count
    assert max(sizes) - min(sizes) <= 1


def test_rows_are_cut_where_shares_end():
    for start, length, share in product(range(9), range(1, 30), range(1, 7)):
        rows = []
        for row, some, times in _pieces(start, length, share):
            for _ in range(times):
                assert row // share == (row + some - 1) // share, "of one tile's share"
                rows += range(row, row + some)
                row += share
        assert rows == list(range(start, start + length))


def test_whole_shares_are_one_message_each_in_one_go():
    assert list(_pieces(3, 40, 8)) == [(3, 5, 1), (8, 8, 4), (40, 3, 1)]
    assert list(_pieces(8, 16, 8)) == [(8, 8, 2)]

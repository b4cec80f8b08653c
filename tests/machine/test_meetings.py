"""The tree of meetings: who comes to each level, and how many messages follow one another."""

import pytest

from tilewright.machine.meetings import FAN, levels, messages


@pytest.mark.parametrize(
    "workers, found",
    [(1, (1,)), (4, (4,)), (5, (5, 2)), (16, (16, 4)), (17, (17, 5, 2)), (64, (64, 16, 4))],
)
def test_levels(workers, found):
    assert levels(workers) == found


def test_messages():
    assert [messages(n) for n in (1, 2, 4, 5, 16, 128)] == [0, 3, 5, 8, 10, 18]


def test_many_cost_little_more_than_few():
    assert messages(1024) <= 5 * (FAN + 1)

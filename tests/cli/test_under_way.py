"""Steps of a long command, where nobody looks and where somebody does."""

import io

import pytest
from rich.console import Console

from tilewright.cli import under_way
from tilewright.cli.under_way import UnderWay


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when told to."""
    now = [100.0]
    monkeypatch.setattr(under_way.time, "monotonic", lambda: now[0])
    return now


def told(shares, clock, terminal=False):
    """What is printed of three steps of half a minute each."""
    file = io.StringIO()
    with UnderWay(Console(file=file, force_terminal=terminal, width=100), shares) as seen:
        for text in ("one", "two", "three"):
            seen.step(text)
            clock[0] += 30
    return file.getvalue()


def test_where_there_is_no_terminal_each_step_is_a_line(clock):
    assert told(None, clock).splitlines() == ["0:00  one", "0:30  two", "1:00  three"]


def test_the_time_left_is_told_by_the_steps_that_are_over(clock):
    found = told({"one": 1, "two": 1, "three": 2}, clock).splitlines()
    assert found == ["0:00  one", "0:30  two, about 1:30 left", "1:00  three, about 1:00 left"]


def test_a_terminal_has_a_bar_and_no_lines(monkeypatch):
    found = told({"one": 1, "two": 1, "three": 2}, [0], terminal=True)
    assert "three" in found
    assert "left" in found
    assert "0:00  one" not in found

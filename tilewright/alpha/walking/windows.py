"""Windows that are known by their dates: where a model trains, and which days it serves.

In: the days of a table. Out: `Window`s that tile them from the first on, oldest first, each known
by its first test day. A day more, or days cut off at the end, leave all others as they are; the
newest may still be open, with some of its test days to come: its model is fitted all the same.

    |--------- training ---------|-- purged --|-- test --|
          spans.train days          horizon

A target is known `horizon` days after its features. So many days are left out between training and
test: the last training target is known at the close of the first test day's eve or earlier.

Windows follow each other in *sequences*, within which a chain goes on from where it ended in the
window before. Sequences are cut at fixed places, so that a model depends on no others but those
before it in its own.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from datetime import date
from typing import Any, Protocol

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale_features import HISTORY
from tilewright.frozen import frozen

ROW = re.compile("[1-9][0-9]{0,6}")
"""The number of a row, where a table has no dates."""


class Spans(Protocol):
    """How long windows are, in days; `first` is the earliest first test day as the table's days
    are written, ISO or a row's number, or None.
    """

    @property
    def train(self) -> int: ...
    @property
    def test(self) -> int: ...
    @property
    def horizon(self) -> int: ...
    @property
    def sequence(self) -> int: ...
    @property
    def first(self) -> str | None: ...


@frozen
class Window:
    """Positions of days: trained on [start, stop), tested on [test, end).

    `number` counts from the first of all; `day` is the ISO date of the first test day.
    """

    number: int
    day: str
    start: int
    stop: int
    test: int
    end: int  # of the days that there are
    whole: bool  # all its test days, and their targets, are there
    opens: bool  # it is the first of its sequence


def windows_of(days: Sequence[str], spans: Spans) -> list[Window]:
    """All windows that can be fitted, oldest first; raises `AlphaError` when there is none."""
    first = _first_test(days, spans)
    found = []
    for number, test in enumerate(range(first, len(days), spans.test)):
        stop = test - spans.horizon
        end = test + spans.test
        found.append(
            Window(
                number,
                days[test],
                stop - spans.train,
                stop,
                test,
                min(end, len(days)),
                end + spans.horizon <= len(days),
                number % spans.sequence == 0,
            )
        )
    return found


def _first_test(days: Sequence[str], spans: Spans) -> int:
    """The first test day of all: the first that can be, or the first from `spans.first` on."""
    least = HISTORY + spans.train + spans.horizon
    if len(days) <= least:
        raise AlphaError(
            f"One window needs {least + 1} days of prices ({HISTORY} of history, {spans.train} "
            f"of training, {spans.horizon} purged, and one to forecast), and the table has "
            f"{len(days)}."
        )
    if spans.first is None:
        return least
    place = bisect_left(days, position(spans.first), key=position)
    if place >= len(days):
        raise AlphaError(f"first is {spans.first}, after the last day, {days[-1]}.")
    if place < least:
        raise AlphaError(
            f"first is {spans.first}, but {least} days must lie before the first test day: "
            f"{days[least]} is the earliest."
        )
    return place


def position(day: str) -> tuple[int, str]:
    """By which days sort: ISO dates sort as texts, row numbers do not."""
    return (int(day), "") if day.isdecimal() else (0, day)


def check_first(first: Any) -> None:
    """Raise `AlphaError` for what no day of a table is written like."""
    try:
        if ROW.fullmatch(first) or date.fromisoformat(first).isoformat() == first:
            return
    except (TypeError, ValueError):
        pass
    raise AlphaError(f"first must be an ISO date such as 2001-01-31, not {first!r}.")


def of_day(windows: Sequence[Window], position: int) -> Window:
    """The window that serves a day."""
    return next(window for window in reversed(windows) if window.test <= position)

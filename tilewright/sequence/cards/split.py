"""What is learned from and what is judged, week by week, each with what was known by then.

In: `Purchases`. Out: `Week`s. A model of a week is learned from purchases that are older than the
delay and whose labels have arrived when the week begins; then it answers the week's. Cards already
known as compromised are taken out of the week from the day on that follows the news: nobody needs a
model to find them. (The "prequential" split of chapter 5 of the book named in `world.py`.)
"""

from __future__ import annotations

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.sequence.cards.purchases import DAY, Purchases
from tilewright.sequence.cards.world import DELAY

LENGTH = 7
"""Days of a week."""


@frozen(eq=False)
class Week:
    """Numbers of purchases, rising."""

    day: int  # its first
    learned: np.ndarray  # (learned,)
    judged: np.ndarray  # (judged,)

    @property
    def at(self) -> float:
        """When its model is trained, in seconds."""
        return self.day * DAY


def weeks(
    given: Purchases,
    first: int,
    count: int | None = None,
    train: float = 7,
    delay: float = DELAY,
    memory: float = 7,
) -> list[Week]:
    """So many weeks from day `first` on; all that are whole by default.

    Parameters
    ----------
    train : days that each is learned from.
    delay : days before the week whose purchases are not learned from, as few labels are known.
    memory : days before these; cards with a known fraud since are out of the week.

    Raises `ArgumentError` where there is no such week, and for weeks before which only one class is
    known, or in which there is no fraud to find.
    """
    count = (given.days - first) // LENGTH if count is None else count
    check_weeks(given.days, first, count)
    return [_week(given, first + LENGTH * i, train, delay, memory) for i in range(count)]


def check_weeks(days: int, first: int, count: int) -> None:
    """Raises `ArgumentError` unless there are so many whole weeks."""
    if first < 0 or not 0 < count <= (days - first) // LENGTH:
        raise ArgumentError(
            f"There are no {count} weeks from day {first} on: purchases cover {days} days."
        )


def _week(given: Purchases, day: int, train: float, delay: float, memory: float) -> Week:
    begin = (day - delay) * DAY
    old = (given.time >= begin - train * DAY) & (given.time < begin)
    learned = np.flatnonzero(old & (given.known <= day * DAY))
    frauds = int(given.fraud[learned].sum())
    if frauds == 0 or frauds == len(learned):
        raise ArgumentError(
            f"Before day {day} {len(learned):,} labels are known, {frauds:,} of them fraud: "
            "learning needs both classes."
        )
    inside = (given.day >= day) & (given.day < day + LENGTH)
    since = begin - memory * DAY
    judged = np.flatnonzero(inside & (given.day * DAY < _out(given, since)[given.card]))
    if not given.fraud[judged].any():
        raise ArgumentError(f"In the week from day {day} on there is no fraud to find.")
    return Week(day, learned, judged)


def _out(given: Purchases, since: float) -> np.ndarray:
    """When the first fraud since that moment is known of each card, (cards,); never for most."""
    found = np.full(int(given.card.max()) + 1, np.inf)
    rows = np.flatnonzero(given.fraud & (given.time >= since))
    np.minimum.at(found, given.card[rows], given.known[rows])
    return found

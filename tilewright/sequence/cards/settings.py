"""What a comparison is made of: which recipe, how large a world, which weeks, which nets."""

from __future__ import annotations

from dataclasses import asdict, field, replace
from math import ceil
from typing import Any

from tilewright.checks import between, whole
from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.sequence.cards import order, published
from tilewright.sequence.cards.nets import Net
from tilewright.sequence.cards.purchases import Purchases
from tilewright.sequence.cards.split import LENGTH, check_weeks
from tilewright.sequence.cards.world import CARDS, DELAY, World
from tilewright.sequence.settings import check

PUBLISHED, ORDER = "published", "order"


@frozen
class Settings:
    """Of one recipe. Days and weeks: `split.weeks`. `alerts` is k in a world of full size.

    Raises `ArgumentError` for settings that cannot be, those of nets as well.
    """

    recipe: str = PUBLISHED
    cards: int = CARDS
    days: int = 183
    seed: int = 0
    strength: float = 1.0
    first: int = 129
    weeks: int = 4
    train: int = 28
    delay: float = DELAY
    alerts: int = 100
    false_alarms: float = 0.005
    net: Net = field(default_factory=Net)

    def __post_init__(self) -> None:
        if self.recipe not in (PUBLISHED, ORDER):
            raise ArgumentError(f"recipe must be published or order, not {self.recipe!r}.")
        World(self.cards, self.days, self.seed)
        order.check_strength(self.strength)
        for name, least in (("first", 0), ("weeks", 1), ("alerts", 1)):
            whole(name, getattr(self, name), least)
        for name, least, most in (("train", 1, 10_000), ("delay", 0, 10_000)):
            between(name, getattr(self, name), least, most)
        if not 0 < self.false_alarms < 1:
            raise ArgumentError(f"false_alarms must be from 0 to 1, not {self.false_alarms!r}.")
        if not isinstance(self.net, Net):
            raise ArgumentError(f"net must be a cards.nets.Net, not {self.net!r}.")
        check(self.net.model(1, self.seed))

    def check_days(self) -> None:
        """Raises `ArgumentError` where there are no such weeks in so many days, or none before them
        to tune models on."""
        check_weeks(self.days, self.first, self.weeks)
        least = LENGTH + ceil(self.delay) + self.delay
        if self.first <= least:
            raise ArgumentError(
                f"first must be above {least:g}, not {self.first}: before it lie a week that "
                "models are tuned on, its labels' delay, and what is learned from for it, as late."
            )

    @property
    def k(self) -> int:
        """Alerts a day."""
        return max(1, round(self.alerts * self.cards / CARDS))

    def purchases(self) -> Purchases:
        """Simulated; raises `ArgumentError` for weeks that there are not in them."""
        self.check_days()
        if self.recipe == PUBLISHED:
            return published.published(self.seed, self.cards, self.days)
        return order.order(self.seed, self.cards, self.days, self.strength)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def recipe(name: str, **changes: Any) -> Settings:
    """Of full size, by name. Order has few frauds: all days before are learned from."""
    full = Settings()
    if name == ORDER:
        full = replace(full, recipe=ORDER, train=143, alerts=20)
    elif name != PUBLISHED:
        raise ArgumentError(f"recipe must be published or order, not {name!r}.")
    return replace(full, **changes)

"""What a net is told of each purchase, and how long it learns: chosen by later data.

In: columns of all purchases, the first week that is judged. Out: `Chosen`, for all weeks, as
settings of boosting are. Frauds are few: an input that says nothing of them is learned by heart
(where order is the signal, amounts in money and hours cost a net 0.03 of average precision). What
frauds do keep to, only data can say: nets are trained on the earlier of the labels that are known
when that week begins and judged by their loss on the later; kept are the fewest inputs that are
within one standard error of the best (Breiman, Friedman, Olshen and Stone, Classification and
Regression Trees, 1984, section 3.4.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tilewright.frozen import frozen
from tilewright.sequence.cards import nets
from tilewright.sequence.cards.features import RAW
from tilewright.sequence.cards.nets import Net
from tilewright.sequence.cards.purchases import Purchases
from tilewright.sequence.cards.split import Week

HOURS = ("sine of the hour", "cosine of the hour")
MONEY = ("log amount",)
SETS = {
    "all": RAW,
    "no hours": tuple(name for name in RAW if name not in HOURS),
    "gaps and shares": tuple(name for name in RAW if name not in HOURS + MONEY),
}
"""By name, columns of `RAW`, from most to fewest."""


@frozen
class Chosen:
    """`tried` is each set's mean loss on later labels, of a purchase."""

    best: str  # the set
    epochs: int  # for all labels
    tried: dict[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        return SETS[self.best]


def chosen(
    given: Purchases,
    raw: np.ndarray,
    more: tuple[np.ndarray, Sequence[str]] | None,
    week: Week,
    settings: Net,
    seed: int,
    sets: Mapping[str, Sequence[str]] = SETS,
) -> Chosen:
    """One of `sets`; raw (purchases, 7), the columns of `RAW`. `more` are columns, and their
    names, that are read beside any set."""
    losses, epochs = {}, {}
    for name in sets:
        X, names = read_by(raw, SETS[name], more)
        losses[name], epochs[name] = nets.tried(given, X, names, week, settings, seed)
    best = simplest(losses)
    return Chosen(best, epochs[best], {name: float(each.mean()) for name, each in losses.items()})


def simplest(losses: Mapping[str, np.ndarray]) -> str:
    """The last whose mean loss is within a standard error of the least; each (nets,). Nets of all
    sets scatter alike."""
    each = np.stack([*losses.values()])
    mean, (sets, nets_) = each.mean(axis=1), each.shape
    left = np.sum((each - mean[:, None]) ** 2) / max(1, sets * (nets_ - 1))
    near = mean <= mean.min() + np.sqrt(left / nets_)
    return [name for name, close in zip(losses, near, strict=True) if close][-1]


def read_by(
    raw: np.ndarray, names: Sequence[str], more: tuple[np.ndarray, Sequence[str]] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Columns of those names, then `more`; and all names."""
    X = raw[:, [RAW.index(name) for name in names]]
    return (X, tuple(names)) if more is None else (np.hstack([X, more[0]]), (*names, *more[1]))

"""Frauds on cards: simulated purchases, what is known of each in time, models, honest scores.

published, order   two simulators: the facts of a published one; one where order is the signal
purchases          who paid what where and when, and when its label was known; from a frame too
features           fifteen aggregates, five lags, and what a net reads, from the past only
split              what is learned from and what is judged, week by week
boosting, nets     the models; comparison: all of them on every week
precision, alerts  scores of rankings with their errors; what a team of k alerts a day finds
live               a net asked as purchases come, a state a card, from C
figures, tally, words, page, job   by kind of fraud and by week; sentences, a page, the command
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewright.sequence.cards.comparison import compare as compare
    from tilewright.sequence.cards.purchases import Purchases as Purchases
    from tilewright.sequence.cards.settings import Settings as Settings
    from tilewright.sequence.cards.settings import recipe as recipe
    from tilewright.sequence.cards.split import weeks as weeks

LATER = {
    "Purchases": "purchases",
    "Settings": "settings",
    "compare": "comparison",
    "recipe": "settings",
    "weeks": "split",
}


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{LATER[name]}"), name)

"""What the controls of a job say, in words.

In: a tally of a control. Out: a sentence, and whether the control came out as it must (None: it was
not run, or on too few days to tell).
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.alpha.scores import LEAST_DAYS
from tilewright.alpha.walking.page import figure
from tilewright.alpha.walking.tally import BEATS, Tally

Check = tuple[str, bool | None]


def planted(found: Tally | None, linear: str) -> Check:
    """A signal that is not linear: the net must beat the linear model."""
    name = "A planted signal of the scale that is not linear"
    if found is None or len(found.days) < LEAST_DAYS:
        return _untold(name)
    lead = found.over(linear)
    good = lead.side == BEATS
    text = "the net finds it" if good else "the net DOES NOT FIND IT"
    return f"{name}: {text}; its log score is {figure(lead)} to the linear model's.", good


def placebo(found: Tally | None, null: str, named: str) -> Check:
    """Days in random order: the net must not beat the null, which the sentence calls `named`."""
    name = "A placebo, days in random order"
    if found is None or len(found.days) < LEAST_DAYS:
        return _untold(name)
    lead = found.over(null)
    good = lead.side != BEATS
    text = "nothing is found, as it must be" if good else "the net SEEMS TO FIND SOMETHING"
    return f"{name}: {text}; {figure(lead)} to {named}.", good


def soundness(checks: Sequence[Check]) -> bool | None:
    """Whether all came out as they must; None where one could not tell."""
    told = [good for _, good in checks]
    return False if False in told else None if None in told else True


def _untold(name: str) -> Check:
    return f"{name}: not run, or on too few days.", None

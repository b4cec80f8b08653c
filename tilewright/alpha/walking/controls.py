"""What the controls of a job say, in words.

In: a tally of a control, and what its windows say of themselves. Out: a sentence, and whether the
control came out as it must (None: it was not run, or one cannot tell).
"""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.alpha.scores import LEAST_DAYS
from tilewright.alpha.walking.page import figure
from tilewright.alpha.walking.tally import BEATS, Tally

Check = tuple[str, bool | None]


def planted(
    found: Tally | None, linear: str, failures: Sequence[str] = (), enough: bool = True
) -> Check:
    """A signal that is not linear: the net must beat the linear model.

    `enough`: there are rows enough to find it in.
    """
    name = "A planted signal of the scale that is not linear"
    if found is None or _untold(found, failures):
        return f"{name}: {_untold(found, failures)}", None
    lead = found.over(linear)
    good = lead.side == BEATS
    if not good and not enough:
        return f"{name}: too few rows to tell; {figure(lead)} to the linear model's score.", None
    text = "the net finds it" if good else "the net DOES NOT FIND IT"
    return f"{name}: {text}; its log score is {figure(lead)} to the linear model's.", good


def placebo(found: Tally | None, null: str, named: str, failures: Sequence[str] = ()) -> Check:
    """Days in random order: the net must not beat the null, which the sentence calls `named`."""
    name = "A placebo, days in random order"
    if found is None or _untold(found, failures):
        return f"{name}: {_untold(found, failures)}", None
    lead = found.over(null)
    good = lead.side != BEATS
    text = "nothing is found, as it must be" if good else "the net SEEMS TO FIND SOMETHING"
    return f"{name}: {text}; {figure(lead)} to {named}.", good


def soundness(checks: Sequence[Check]) -> bool | None:
    """Whether all came out as they must; None where one could not tell."""
    told = [good for _, good in checks]
    return False if False in told else None if None in told else True


def _untold(found: Tally | None, failures: Sequence[str]) -> str:
    """Why nothing can be told; empty where it can."""
    if found is None:
        return "was not run."
    if failures and all(failures):
        return "every window failed its diagnostics."
    if len(found.days) < LEAST_DAYS:
        return f"{len(found.days)} test days are too few to tell; {LEAST_DAYS} are needed."
    return ""

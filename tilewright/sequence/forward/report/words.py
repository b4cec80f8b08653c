"""What the figures of a job of sequence nets say, in words: first of all against the best rival.

In: tallies of the real and the control series. Out: `Words`. Of all rivals the best is the one that
the nets lead by least, each on the rows that it speaks of: one that is silent in wild days is not
the best for that. It is found afterwards, which flatters it, never the nets;
a difference counts beyond `tally.LEAST_Z` standard errors by date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tilewright.alpha.controls import REAL, SHUFFLED
from tilewright.alpha.scores import LEAST_DAYS
from tilewright.alpha.trading import Trading
from tilewright.alpha.walking.controls import placebo
from tilewright.alpha.walking.page import figure, joined
from tilewright.alpha.walking.tally import BEATS, COVER_90, LOSES, TIES, Tally
from tilewright.frozen import frozen
from tilewright.sequence.forward.report.location import location
from tilewright.sequence.forward.rivals import EWMA, HAR, LINEAR
from tilewright.sequence.forward.scored import SQUARE, Scored
from tilewright.sequence.forward.settings import DENSITY, VOLATILITY
from tilewright.sequence.forward.walk import NET, WARM

GOOD_COVER = (0.88, 0.92)
WHAT = {DENSITY: "The next day's return", VOLATILITY: "Volatility of the next five days"}
ARTICLE = {EWMA: "the EWMA", HAR: "textbook HAR", LINEAR: "the linear model"}

GLOSSARY = {
    "log score": "how surprised a forecast was by what came: minus the log of the probability "
    "density that it gave to it. Smaller is better; 0.01 less is a bet won by 1 % a day, were the "
    "other forecast the bookmaker.",
    SQUARE: "of the log volatility: 0.22 means that a forecast is off by a factor of "
    "exp(√0.22) = 1.6 as a rule. Half of it is noise that nobody can foresee: five days are few.",
    "CRPS": "the mean distance between the forecast distribution and what came. Smaller is better.",
    "quantile score": "the same idea at seven quantiles only.",
    "null": "each stock's own usual spread, always the same.",
    EWMA: "an exponentially weighted average of past squared returns (RiskMetrics, 0.94 a day), "
    "with the tails that fit.",
    HAR: "as in textbooks: the log volatility of a day, a week and a month, linear (Corsi 2009).",
    "HAR 20": "what is known to help it: five spans of the stock, four of the market and of all "
    "stocks, and signed returns, by which losses raise volatility more than gains do.",
    LINEAR: "a linear model of all that the net reads in a day, without its memory.",
    "ridge": "the same with a penalty; of the next day's return, of its mean.",
    "boosting": "trees of the same inputs, how large and how many chosen on later days.",
    "±": "one standard error, by date: days on which all stocks move together count once, and days "
    "up to a month apart are taken to be related.",
}


@frozen
class Words:
    """One line; what was found; what the control says; what to keep in mind."""

    headline: str
    findings: list[str]
    controls: list[str]
    caveats: list[str]
    sound: bool | None  # the control came out as it must; None: not run, or too short to tell
    readable: bool  # some window was trained
    best: str  # of all rivals, in the main score


def words(
    kind: str,
    tallies: Mapping[str, Tally],
    failures: Sequence[str],
    trading: Trading | None = None,
    retreats: Sequence[int] = (),
) -> Words:
    """`failures` says of each window why its nets should not be trusted, "" if they may be.

    `trading` is what the nets' mean came to, of densities; `retreats` (windows,) how often nets
    went back from a loss that was not finite.
    """
    real = tallies[REAL]
    best = best_rival(real)
    control, sound = placebo(tallies.get(SHUFFLED), EWMA, "a constant")
    readable = not all(failures)
    headline = _headline(kind, real, best) if readable else "No verdict: no net could be trained."
    if sound is False:
        headline = "A control failed: do not read anything into these figures."
    findings = [*_earned(real, best), *_warm(real), _calibration(real)]
    if trading is not None:
        findings.append(location(trading, real.over(EWMA, SQUARE)))
    return Words(headline, findings if readable else [], [control],
                 _caveats(failures, retreats, best), sound, readable, best)  # fmt: skip


def best_rival(real: Tally) -> str:
    """The rival that the nets lead by least in the main score, or are behind most."""
    others = [m for m in real.models if m not in (NET, WARM) and real.has(m, real.main)]
    return max(others, key=lambda model: real.over(model).mean)


def best_of_window(found: Scored) -> str:
    """The nets' main score against that of the rival which they lead by least in the window."""
    leads = found.leads()
    rivals = [i for i, model in enumerate(found.models) if model not in (NET, WARM)]
    others = [i for i in rivals if np.isfinite(leads[i])]
    if not others:
        return f"{found.main} {found.mean_score():+.4f}; no rival has a forecast"
    best = max(others, key=lambda i: leads[i])
    return f"{found.main} {leads[best]:+.4f} to that of {_named(found.models[best])}"


def _headline(kind: str, real: Tally, best: str) -> str:
    if len(real.days) < LEAST_DAYS:
        return (
            f"No verdict: {len(real.days)} test days are too few to tell a gain from chance; "
            f"{LEAST_DAYS} are needed."
        )
    lead = real.over(best)
    others = len([m for m in real.models if m not in (NET, WARM) and real.has(m, real.main)])
    return f"{WHAT[kind]}: the {NET} {lead.side} {_named(best)}, the best of {others} rivals."


def _named(model: str) -> str:
    return ARTICLE.get(model, model)


def _earned(real: Tally, best: str) -> list[str]:
    """Against the best, then against what a weaker report would have named."""
    lead = real.over(best)
    verdict = {
        BEATS: "the memory of the net earns this.",
        TIES: f"these days cannot tell the net from {_named(best)}, which costs next to nothing.",
        LOSES: f"take {_named(best)} instead.",
    }[lead.side]
    found = [
        f"Over {len(real.days):,} test days and {real.rows:,} stock-days the net's {real.main} is "
        f"{figure(lead)} to that of {_named(best)} (negative is better): {verdict}"
    ]
    weaker = [m for m in (EWMA, HAR, LINEAR) if m != best and real.has(m, real.main)]
    if weaker:
        said = joined([f"{figure(real.over(m))} to {_named(m)}" for m in weaker])
        found.append(f"It is {said}: which baseline one holds a net against decides the story.")
    return found


def _warm(real: Tally) -> list[str]:
    """What going on from the window before does."""
    if WARM not in real.models:
        return []
    lead = real.over(WARM)
    side = {
        BEATS: "nets that start anew are better",
        TIES: "these days cannot tell them apart",
        LOSES: "going on is better",
    }[lead.side]
    return [
        f"To nets that go on from those of the window before it is {figure(lead)}: {side}. "
        "The verdict is on nets that start anew."
    ]


def _calibration(real: Tally) -> str:
    share, fifths = real.cover[COVER_90][0], real.by_fifth[0]
    held = all(GOOD_COVER[0] <= one <= GOOD_COVER[1] for one in fifths)
    return (
        f"Its 90 % intervals held {share:.1%} of what came; sorted into fifths by how wide they "
        f"were, {', '.join(f'{one:.1%}' for one in fifths)} "
        f"({'all' if held else 'NOT all'} within 88 to 92 %)."
    )


def _caveats(failures: Sequence[str], retreats: Sequence[int], best: str) -> list[str]:
    failed = [text for text in failures if text]
    found = [
        f"Nets of {len(failed)} of {len(failures)} windows failed ({failed[0]}). They stay in the "
        "scores."
    ] if failed else []  # fmt: skip
    if any(retreats) and not failed:
        found = [
            f"Nets of {np.count_nonzero(retreats)} of {len(retreats)} windows went back from a "
            f"loss that was not finite, with half the rate, {sum(retreats)} times in all."
        ]
    return [
        *found,
        f"That {_named(best)} is the best rival was found on these very days: who had to choose "
        "beforehand may have chosen worse. The error of the difference does not know of it.",
        "Regressions of the volatility are refitted every month, nets once a window.",
        "This says how widely returns will scatter: no claim of money is made, and costs are in no "
        "figure. Stocks that survived are what survivors' tables hold.",
    ]

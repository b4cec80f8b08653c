"""What the figures of a job of the scale net say, in words: who earned what.

In: tallies of the real and the control series, the table, and how windows fared. Out: `Words`. They
follow from the figures by the rules below: a difference counts beyond `tally.Lead.least`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tilewright.alpha.controls import PLANTED, REAL, SHUFFLED
from tilewright.alpha.scale.scored import MODELS, NET
from tilewright.alpha.scale_baselines import EWMA, GJR, LINEAR
from tilewright.alpha.scores import LEAST_DAYS
from tilewright.alpha.suspicions import suspicions
from tilewright.alpha.tables import Prices
from tilewright.alpha.walking.controls import Check, placebo, planted, soundness
from tilewright.alpha.walking.page import figure, joined
from tilewright.alpha.walking.scored import LOG
from tilewright.alpha.walking.tally import BEATS, COVER_90, LOSES, TAILS, TIES, Tally
from tilewright.frozen import frozen

GOOD_COVER = (0.88, 0.92)
GOOD_R_HAT = 1.05
LEAST_ROWS = 15_000
"""Training rows of a window below which the net may well miss what is planted: on 252 days it did
with 2,000 in four cases of four, with 5,000 in two, with 10,000 in one of two."""
MOST_SUSPICIONS = 5
"""That are spelled out."""
SEEN = (
    "The features were found on 20 survivors of the S&P 500 between 2000 and 2022, in a dozen "
    "trials at least (two sets of features, three lengths of window, two nets): on these, figures "
    "flatter. Other instruments are the only clean test: on two indices, Google and IBM, 2004 to "
    "2018, the net with its default settings was better than the EWMA by 0.0106 ± 0.0034 and than "
    "the linear scale model by 0.0042 ± 0.0015, and worse than GJR-t by 0.0085 ± 0.0036."
)
"""Measured once, by `examples/19_unseen_instruments.py`."""

GLOSSARY = {
    "log score": "how surprised a forecast was by what came: minus the log of the probability "
    "density that it gave to it. Smaller is better; 0.01 less is a bet won by 1 % a day, were the "
    "other forecast the bookmaker.",
    "CRPS": "the mean distance between the forecast distribution and what came, in units of a "
    "usual day's move; of a forecast that is one number it is the absolute error. Smaller is "
    "better.",
    "quantile score": "the same idea at seven quantiles only, so that models without a density can "
    "be compared, too.",
    "EWMA": "the yardstick: tomorrow is as wide as an exponentially weighted average of past "
    "squared returns says (RiskMetrics, 0.94 a day), with the tails that fit.",
    "GJR-t": "the usual econometric model, one for each stock: GARCH with fat tails in which "
    "losses raise volatility more than gains.",
    "linear": "the scale as a linear function of the same 28 features that the net sees.",
    "90 % interval": "the range that should hold nine outcomes of ten.",
    "±": "one standard error, by date: days on which all stocks move together count once.",
}


@frozen
class Words:
    """One line; what was found; what the controls say; what to keep in mind."""

    headline: str
    findings: list[str]
    controls: list[str]
    caveats: list[str]
    sound: bool | None  # the controls came out as they must; None: not run, or too short to tell
    readable: bool  # some window passed its diagnostics


def words(
    tallies: Mapping[str, Tally],
    failures: Mapping[str, Sequence[str]],
    prices: Prices | None = None,
    train: int = 0,
    left: int = 0,
) -> Words:
    """`failures` holds for each series what each window says of itself, "" if it is well.

    `train` are the days that a window learns from, `left` the windows that are still to be done.
    """
    real = tallies[REAL]
    readable = not all(failures[REAL])
    checks = _checks(tallies, failures, train)
    sound = soundness(checks)
    headline = _headline(real) if readable else "No verdict: every window failed its diagnostics."
    if sound is False:
        headline = "A control failed: do not read anything into these figures."
    findings = [*_earned(real), _calibration(real), _tails(real)] if readable else []
    controls = [text for text, _ in checks]
    if not {PLANTED, SHUFFLED} & set(tallies):
        controls = ["Nothing was controlled: neither a planted signal nor a placebo was run."]
    return Words(
        headline, findings, controls, _caveats(failures[REAL], prices, left), sound, readable
    )


def _checks(
    tallies: Mapping[str, Tally], failures: Mapping[str, Sequence[str]], train: int
) -> list[Check]:
    """Of both controls."""
    signal, mixed = tallies.get(PLANTED), tallies.get(SHUFFLED)
    rows = train * signal.rows / len(signal.days) if signal else 0
    return [
        planted(signal, LINEAR, failures.get(PLANTED, ()), not train or rows >= LEAST_ROWS),
        placebo(mixed, EWMA, "the EWMA", failures.get(SHUFFLED, ())),
    ]


def _headline(real: Tally) -> str:
    if len(real.days) < LEAST_DAYS:
        return (
            f"No verdict: {len(real.days)} test days are too few to tell a gain from chance; "
            f"{LEAST_DAYS} are needed."
        )
    parts = []
    for model, name in ((EWMA, "the EWMA"), (GJR, "GJR-t"), (LINEAR, "the linear scale model")):
        if real.has(model, LOG):
            parts.append((real.over(model).side, name))
    grouped = {side: [n for s, n in parts if s == side] for side in (BEATS, TIES, LOSES)}
    said = [f"{side} {joined(names)}" for side, names in grouped.items() if names]
    return f"How wide tomorrow will be: the net {joined(said)}."


def _earned(real: Tally) -> list[str]:
    """Against the yardstick, GJR-t and the linear model; and whose the gain is."""
    null, linear = real.over(EWMA), real.over(LINEAR)
    found = [
        f"Over {len(real.days):,} test days and {real.rows:,} stock-days the net's log score is "
        f"{figure(null)} to the EWMA's a stock-day (negative is better)"
        + (f", and {figure(real.over(GJR))} to that of GJR-t." if real.has(GJR, LOG) else ".")
        + f" The smallest gain over the EWMA that these days could have shown is {null.least:.4f}.",
        f"To the linear scale model, which sees the same 28 features, it is {figure(linear)}: "
        + {
            BEATS: "what is not linear earns this.",
            TIES: "what is not linear earns nothing that these days can show.",
            LOSES: "the net is worse than its own linear part.",
        }[linear.side if len(real.days) >= LEAST_DAYS else TIES],
    ]
    if len(real.days) >= LEAST_DAYS and null.mean < 0 and null.side == BEATS:
        share = (null.mean - linear.mean) / null.mean
        found.append(
            f"Of the gain over the EWMA, {min(max(share, 0.0), 1.0):.0%} is the linear model's "
            "already."
        )
    return found


def _calibration(real: Tally) -> str:
    net, null = MODELS.index(NET), MODELS.index(EWMA)
    mine, other = real.by_fifth[net], real.by_fifth[null]
    held = all(GOOD_COVER[0] <= share <= GOOD_COVER[1] for share in mine)
    return (
        f"Its 90 % intervals held {real.cover[COVER_90][net]:.1%} of what came; sorted into fifths "
        "by how wide the forecast was, "
        f"{', '.join(f'{share:.1%}' for share in mine)}"
        f" ({'all' if held else 'NOT all'} within 88 to 92 %). The EWMA's held "
        f"{', '.join(f'{share:.1%}' for share in other)} in the same fifths."
    )


def _tails(real: Tally) -> str:
    shares = real.beyond[MODELS.index(NET)]
    low1, low5, high5, high1 = shares
    return (
        f"Losses beyond its 1 % and 5 % quantiles came in {low1:.2%} and {low5:.2%} of cases, "
        f"gains beyond the upper ones in {high1:.2%} and {high5:.2%} (levels {TAILS[0]:.0%} and "
        f"{TAILS[1]:.0%}): the noise is symmetric, markets are not quite."
    )


def _caveats(failures: Sequence[str], prices: Prices | None, left: int) -> list[str]:
    failed = [text for text in failures if text]
    found = [
        f"{len(failed)} of {len(failures)} windows failed their diagnostics ({failed[0]}). They "
        "stay in the scores."
    ] if failed else []  # fmt: skip
    if left:
        found.append(
            f"{left} of {left + len(failures)} windows are not done yet: a time limit takes the "
            "oldest away, and no chain was shortened."
        )
    return [
        *found,
        *(_of_table(prices) if prices else []),
        "This says how wide returns will be, not which way they go: no claim of money is made, and "
        "costs are in no figure.",
        SEEN,
    ]


def _of_table(prices: Prices) -> list[str]:
    """What to keep in mind of the prices themselves."""
    known, found = np.isfinite(prices.values), []
    if prices.extras.members is None and known[0].all() and known[-1].all():
        found.append(
            f"All {len(prices.names)} instruments have a price on the first day and on the last: "
            "none was listed later, none vanished. Survivors are no claim about the market: nobody "
            "could have chosen them in advance."
        )
    suspects = suspicions(prices)
    if suspects:
        found.append(
            f"{len(suspects)} things look wrong with the table, and everything here rests on it. "
            + " ".join(one.sentence() for one in suspects[:MOST_SUSPICIONS])
        )
    return found

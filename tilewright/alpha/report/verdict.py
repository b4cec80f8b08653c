"""What the numbers say, in words, and what they do not.

In: an outcome and its scores. Out: a headline, and sentences. The words follow from the figures by
the rules below; a difference counts when `scores.Cell.effect` says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tilewright.alpha.baselines import NORMAL, NULL, OLS, RIDGE
from tilewright.alpha.controls import LEAST_ROWS, PLANTED, REAL, SHUFFLED, rows
from tilewright.alpha.forward import Outcome
from tilewright.alpha.results import MODELS, NET
from tilewright.alpha.scores import CRPS, LEAST_DAYS, RANK_IC, Cell, Scores, compared
from tilewright.alpha.suspicions import suspicions
from tilewright.frozen import frozen

MOST_SUSPICIONS = 5
"""That are spelled out in the report."""
GLOSSARY = {
    "CRPS": "the mean distance between the forecast distribution and what came, in units of a "
    "usual day's move; of a forecast that is one number it is the absolute error. Smaller is "
    "better.",
    "log score": "how surprised a forecast was by what came: minus the log of the probability "
    "density that it gave to it. Smaller is better.",
    "null, zero-mean null": "the yardstick: nobody knows which way tomorrow goes, so the forecast "
    "is zero, as wide as returns have been.",
    "OLS, ridge": "least squares, plain and with slopes drawn to zero: what a straight line in the "
    "same inputs foresees.",
    "rank IC": "rank correlation within a day, between the order of the stocks by forecast and "
    "that by what came: 1 is perfect, 0 is chance.",
    "90 % interval": "the range that should hold nine outcomes of ten.",
    "planted, shuffled": "two tests of the method itself: a made-up pattern that a net must find, "
    "and days in random order, in which nobody may find anything.",
    "±": "one standard error, by date: days on which all stocks move together count once.",
}


@frozen
class Verdict:
    """One line, then a paragraph's sentences, then what the controls and the data allow."""

    headline: str
    findings: list[str]
    controls: list[str]
    caveats: list[str]
    sound: bool | None  # the controls came out as they must; None: nothing, or too little, ran
    readable: bool  # some window passed its diagnostics


def verdict(outcome: Outcome, scores: Mapping[str, Scores], traded: Sequence[str] = ()) -> Verdict:
    """The verdict on all series that were run; `traded` says what trading would have come to."""
    real = scores[REAL]
    checks = [_planted(outcome, scores), _shuffled(outcome, scores)]
    told = [good for _, good in checks]
    sound = False if False in told else None if None in told else True
    readable = not _all_failed(outcome, REAL)
    headline = _headline(real.cells[NET][CRPS])
    if sound is None and real.cells[NET][CRPS].effect < 0:
        headline += " The controls do not vouch for it."
    if sound is False:
        headline = "A control failed: do not read anything into these figures."
    if not readable:
        headline = "No verdict: every window failed its diagnostics."
    controls = [sentence for sentence, _ in checks]
    if PLANTED not in scores and SHUFFLED not in scores:
        controls = ["Nothing was controlled: neither a planted nor a shuffled target was run."]
    findings = [*_findings(real), *traded] if readable else []
    return Verdict(headline, findings, controls, _caveats(outcome), sound, readable)


def _all_failed(outcome: Outcome, series: str) -> bool:
    return all(result.failure for result in outcome.series(series))


def _headline(cell: Cell) -> str:
    if cell.days < LEAST_DAYS:
        return (
            f"No verdict: {cell.days} test days are too few to tell a gain from chance; "
            f"{LEAST_DAYS} are needed."
        )
    if cell.effect < 0:
        return (
            "A small gain: the net's forecasts beat a forecast of zero by "
            f"{_percent(cell, cell.difference)} of CRPS."
        )
    if cell.effect > 0:
        return (
            "No gain: on these days the net is worse than a forecast of zero, by "
            f"{_percent(cell, cell.difference)} of CRPS."
        )
    return "No gain that these days can show: the net does as well as a forecast of zero."


def _percent(cell: Cell, difference: float) -> str:
    """A difference as a share of the null's score."""
    return f"{abs(difference / (cell.value - cell.difference)):.2%}"


def _findings(real: Scores) -> list[str]:
    crps, rank = real.cells[NET][CRPS], real.cells[NET][RANK_IC]
    normal = compared(real, NET, NORMAL, CRPS)
    least = compared(real, NET, OLS, CRPS)
    return [
        f"Over {crps.days:,} test days, CRPS differs from the zero-mean null by {_figure(crps)}. "
        "Negative is better; the standard error is by date, and allows for days that are related. "
        f"The smallest gain that these days could have shown is {_percent(crps, crps.least)} of "
        "CRPS.",
        f"Against least squares with normal noise, which is what people use, it is "
        f"{_figure(normal)}; against least squares with the net's own noise {_figure(least)}. "
        "What lies between these two is owed to the noise, not to the net.",
        f"The rank correlation of forecast and outcome within a day is {rank.value:.3f} "
        f"± {rank.error:.3f}: "
        + (
            "the order of the stocks is foreseen a little, before costs.",
            "no order of the stocks is foreseen that could be told from chance.",
            "the order of the stocks is foreseen worse than by chance.",
        )[1 - rank.effect],
    ]


def _figure(cell: Cell) -> str:
    """A difference with its standard error, and which way it counts."""
    side = ("better", "no clear difference", "worse")[1 + cell.effect]
    return f"{cell.difference:+.5f} ± {cell.error:.5f} ({side})"


def _untold(outcome: Outcome, scores: Mapping[str, Scores], series: str) -> str:
    """Why a control can tell nothing, or ""."""
    if series not in scores:
        return "was not run."
    if _all_failed(outcome, series):
        return "every window failed its diagnostics."
    days = len(scores[series].days)
    if days < LEAST_DAYS:
        return f"{days} test days are too few to tell; {LEAST_DAYS} are needed."
    return ""


def _planted(outcome: Outcome, scores: Mapping[str, Scores]) -> tuple[str, bool | None]:
    name, untold = "Planted nonlinear signal", _untold(outcome, scores, PLANTED)
    if untold:
        return f"{name}: {untold}", None
    cells = scores[PLANTED].cells
    found = cells[NET][CRPS].effect < 0 < cells[NET][RANK_IC].effect
    linear = [name for name in (RIDGE, OLS, NORMAL) if cells[name][CRPS].effect < 0]
    count = rows(len(outcome.prices.names))
    if not found and not linear and count < LEAST_ROWS:
        return (
            f"{name}: too few rows to tell. A window has {count:,}; below {LEAST_ROWS:,} the net "
            "may miss even a strong signal."
        ), None
    text = f"{name}: the net " + ("finds it" if found else "DOES NOT FIND IT")
    text += f" (rank IC {cells[NET][RANK_IC].value:.2f}); "
    text += f"{', '.join(linear)} SEEM TO." if linear else "the linear models do not, as they must."
    return text, found and not linear


def _shuffled(outcome: Outcome, scores: Mapping[str, Scores]) -> tuple[str, bool | None]:
    name, untold = "Shuffled target", _untold(outcome, scores, SHUFFLED)
    if untold:
        return f"{name}: {untold}", None
    cells = scores[SHUFFLED].cells
    found = [name for name in MODELS if name != NULL and cells[name][CRPS].effect < 0]
    if found:
        return f"{name}: {', '.join(found)} SEEM TO FIND SOMETHING.", False
    return f"{name}: nobody finds anything, as it must be.", True


def _caveats(outcome: Outcome) -> list[str]:
    results = outcome.series(REAL)
    failed = sum(bool(result.failure) for result in results)
    said = []
    if outcome.planned < outcome.settings.windows:
        said.append(
            f"The table has days for {outcome.planned} windows; {outcome.settings.windows} were "
            "wanted."
        )
    if outcome.windows < outcome.planned:
        said.append(
            f"The time limit left {outcome.windows} of {outcome.planned} windows, the newest; "
            "no chain was shortened."
        )
    if failed:
        said.append(
            f"{failed} of {len(results)} windows failed their diagnostics. They are marked, and "
            "stay in the scores."
        )
    said.append(
        f"All {len(outcome.prices.names)} stocks have a price on every day: none was listed later, "
        "none vanished. Survivors are no claim about the market: nobody could have chosen them in "
        "advance."
    )
    suspects = suspicions(outcome.prices)
    if suspects:
        said.append(
            f"{len(suspects)} things look wrong with the table, and everything here rests on it. "
            + " ".join(one.sentence() for one in suspects[:MOST_SUSPICIONS])
        )
    said.append(
        "Costs of trading are in the figures of the book, and in no score. Borrowing, taxes and "
        "what a purchase does to a price are in none: no claim of money is made."
    )
    return said

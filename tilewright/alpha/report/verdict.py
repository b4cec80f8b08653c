"""What the numbers say, in words, and what they do not.

In: an outcome and its scores. Out: a headline, and sentences. The words follow from the figures by
the rules below; a difference counts when it is more than two standard errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tilewright.alpha.baselines import NORMAL, NULL, OLS, RIDGE
from tilewright.alpha.controls import PLANTED, REAL, SHUFFLED
from tilewright.alpha.forward import Outcome
from tilewright.alpha.results import MODELS, NET
from tilewright.alpha.scores import CRPS, RANK_IC, Cell, Scores, compared
from tilewright.alpha.suspicions import suspicions

MOST_SUSPICIONS = 5
"""That are spelled out in the report."""
ENOUGH = 2.0
"""Standard errors."""


@dataclass(frozen=True)
class Verdict:
    """One line, then a paragraph's sentences, then what the controls and the data allow."""

    headline: str
    findings: list[str]
    controls: list[str]
    caveats: list[str]
    sound: bool  # the controls came out as they must


def verdict(outcome: Outcome, scores: Mapping[str, Scores]) -> Verdict:
    """The verdict on all series that were run."""
    real = scores[REAL]
    checks = [_planted(scores), _shuffled(scores)]
    controls = [sentence for sentence, _ in checks if sentence]
    sound = all(good for _, good in checks)
    headline = _headline(real.cells[NET][CRPS])
    if not sound:
        headline = "A control failed: do not read anything into these figures."
    return Verdict(headline, _findings(real), controls, _caveats(outcome), sound)


def _headline(cell: Cell) -> str:
    if cell.z < -ENOUGH:
        return (
            "A small gain: the net's forecasts beat a forecast of zero by "
            f"{_percent(cell)} of CRPS."
        )
    if cell.z > ENOUGH:
        return (
            "No gain: on these days the net is worse than a forecast of zero, by "
            f"{_percent(cell)} of CRPS."
        )
    return "No gain that these days can show: the net does as well as a forecast of zero."


def _percent(cell: Cell) -> str:
    return f"{abs(cell.difference / (cell.value - cell.difference)):.2%}"


def _findings(real: Scores) -> list[str]:
    crps, rank = real.cells[NET][CRPS], real.cells[NET][RANK_IC]
    days = len(real.days)
    normal = compared(real, NET, NORMAL, CRPS)
    least = compared(real, NET, OLS, CRPS)
    return [
        f"Over {days:,} test days, CRPS differs from the zero-mean null by {_figure(crps)}. "
        "Negative is better; the standard error is by date, and allows for days that are related.",
        f"Against least squares with normal noise, which is what people use, it is "
        f"{_figure(normal)}; against least squares with the net's own noise {_figure(least)}. "
        "What lies between these two is owed to the noise, not to the net.",
        f"The rank correlation of forecast and outcome within a day is {rank.value:.3f} "
        f"± {rank.error:.3f}: "
        + (
            "the order of the stocks is foreseen a little, before costs."
            if rank.z > ENOUGH
            else "the order of the stocks is foreseen worse than by chance."
            if rank.z < -ENOUGH
            else "no order of the stocks is foreseen that could be told from chance."
        ),
    ]


def _figure(cell: Cell) -> str:
    """A difference with its standard error, and which way it counts."""
    side = "better" if cell.z < -ENOUGH else "worse" if cell.z > ENOUGH else "no clear difference"
    return f"{cell.difference:+.5f} ± {cell.error:.5f} ({side})"


def _planted(scores: Mapping[str, Scores]) -> tuple[str, bool]:
    if PLANTED not in scores:
        return "", True
    cells = scores[PLANTED].cells
    found = cells[NET][CRPS].z < -ENOUGH and cells[NET][RANK_IC].z > ENOUGH
    linear = [name for name in (RIDGE, OLS, NORMAL) if cells[name][CRPS].z < -ENOUGH]
    text = "Planted nonlinear signal: the net " + ("finds it" if found else "DOES NOT FIND IT")
    text += f" (rank IC {cells[NET][RANK_IC].value:.2f}); "
    text += f"{', '.join(linear)} SEEM TO." if linear else "the linear models do not, as they must."
    return text, found and not linear


def _shuffled(scores: Mapping[str, Scores]) -> tuple[str, bool]:
    if SHUFFLED not in scores:
        return "", True
    cells = scores[SHUFFLED].cells
    found = [name for name in MODELS if name != NULL and cells[name][CRPS].z < -ENOUGH]
    if found:
        return f"Shuffled target: {', '.join(found)} SEEM TO FIND SOMETHING.", False
    return "Shuffled target: nobody finds anything, as it must be.", True


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
    if "S&P 500" in outcome.prices.source:
        said.append(
            "These are 20 large companies that survived until 2022. Survivors are no claim about "
            "the market: nobody could have chosen them in advance."
        )
    suspects = suspicions(outcome.prices)
    if suspects:
        said.append(
            f"{len(suspects)} things look wrong with the table, and everything here rests on it. "
            + " ".join(one.sentence() for one in suspects[:MOST_SUSPICIONS])
        )
    said.append("Costs of trading are not in any figure.")
    return said

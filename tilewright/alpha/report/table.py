"""Scores as a table for the terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from tilewright.alpha.baselines import NULL
from tilewright.alpha.results import MODELS
from tilewright.alpha.scores import CRPS, LOG, MEASURES, RANK_IC, SMALLER_IS_BETTER, Cell, Scores

DIGITS = {CRPS: 4, LOG: 4, RANK_IC: 3}


def table(scores: Scores, title: str) -> Table:
    """A row a model: each measure, and below it the difference to the null ± its standard error."""
    heading = f"{title}\nmean over days; below, less null ± standard error"
    made = Table(title=heading, title_justify="left", title_style="bold", header_style="bold")
    made.add_column("")
    for measure in MEASURES:
        made.add_column(measure, justify="right")
    for model in MODELS:
        row = [Text(model, style="bold" if model == MODELS[0] else "")]
        for measure in MEASURES:
            cell = scores.cells[model][measure]
            under = Text("") if model == NULL else _difference(measure, cell)
            row.append(Text("\n").join([Text(value(measure, cell)), under]))
        made.add_row(*row)
    return made


def value(measure: str, cell: Cell) -> str:
    """A score, as it is printed everywhere."""
    digits = DIGITS.get(measure)
    return f"{cell.value:.1%}" if digits is None else f"{cell.value:.{digits}f}"


def difference(measure: str, cell: Cell) -> str:
    """Its difference to the null and the standard error, as printed everywhere."""
    digits = DIGITS.get(measure)
    if digits is None:
        return f"{100 * cell.difference:+.1f} ± {100 * cell.error:.1f}"
    return f"{cell.difference:+.{digits}f} ± {cell.error:.{digits}f}"


def side(measure: str, cell: Cell) -> str:
    """better, worse, or nothing that can be told; coverage has no better side."""
    if measure not in (*SMALLER_IS_BETTER, RANK_IC) or not cell.effect:
        return ""
    return "better" if (cell.effect < 0) == (measure in SMALLER_IS_BETTER) else "worse"


def _difference(measure: str, cell: Cell) -> Text:
    style = {"better": "green", "worse": "red"}.get(side(measure, cell), "dim")
    return Text(difference(measure, cell), style=style)

"""Everything that a finished job leaves for its user: page, tables, summary.

In: the job's folder and its outcome. Out: report.html, scores.csv, forecasts.csv and
summary.json, each written as a whole.
"""

from __future__ import annotations

import csv
import io
import json

from tilewright.alpha.controls import SERIES
from tilewright.alpha.forward import Outcome
from tilewright.alpha.job import Job
from tilewright.alpha.report.page import page
from tilewright.alpha.report.trading import SUMMARY, TRADING, as_json, sentences, trading_of
from tilewright.alpha.report.verdict import Verdict, verdict
from tilewright.alpha.results import LEVELS, MODELS
from tilewright.alpha.scores import MEASURES, Scores, score
from tilewright.alpha.walking.figures import finite
from tilewright.files import write_text


def write_report(job: Job, outcome: Outcome) -> tuple[dict[str, Scores], Verdict]:
    """Write all files; scores by series, and the verdict."""
    scores = {name: score(outcome.series(name)) for name in SERIES if outcome.series(name)}
    traded = trading_of(job.folder, outcome)
    said = verdict(outcome, scores, sentences(traded) if traded else [])
    write_text(job.folder / "scores.csv", _scores(scores))
    write_text(job.folder / "forecasts.csv", _forecasts(outcome))
    write_text(job.folder / "report.html", page(outcome, scores, said, traded))
    summary = {"headline": said.headline, "sound": said.sound, "readable": said.readable}
    summary |= {"findings": said.findings}
    more = {"controls": said.controls, "caveats": said.caveats, "windows": outcome.windows}
    more[TRADING] = as_json(traded) if traded else None
    write_text(job.folder / SUMMARY, json.dumps(finite({**summary, **more}), indent=2))
    return scores, said


def _scores(scores: dict[str, Scores]) -> str:
    rows: list[list[object]] = [
        ["series", "model", "measure", "mean", "less_null", "standard_error", "days"]
    ]
    for series, found in scores.items():
        for model in MODELS:
            for measure in MEASURES:
                cell = found.cells[model][measure]
                figures = (f"{v:.6g}" for v in (cell.value, cell.difference, cell.error))
                rows.append([series, model, measure, *figures, len(found.days)])
    return _csv(rows)


def _forecasts(outcome: Outcome) -> str:
    """The net's forecast of each stock-day of the real series, oldest first."""
    names = outcome.prices.names
    quantiles = [f"q{round(100 * level):02d}" for level in LEVELS]
    rows: list[list[object]] = [["day", "stock", "mean", *quantiles, "outcome", "failed"]]
    for result in reversed(outcome.series("real")):
        for row in range(len(result.outcome)):
            day, stock = divmod(row, len(names))
            values = (result.mean[0, row], *result.quantiles[:, row], result.outcome[row])
            figures = [f"{value:.5g}" for value in values]
            place = [outcome.prices.days[result.test + day], names[stock]]
            rows.append([*place, *figures, result.failure])
    return _csv(rows)


def _csv(rows: list[list[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()

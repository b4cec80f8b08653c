"""Everything that a finished job leaves for its user, each file written as a whole."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from tilewright.files import write_text
from tilewright.vision.job import Outcome
from tilewright.vision.report.page import page
from tilewright.vision.saved import save
from tilewright.vision.sources import name_of


def write_report(folder: Path, outcome: Outcome) -> None:
    """model.safetensors, scores.csv, predictions.csv, summary.json, report.html."""
    found = outcome.comparison
    save(outcome.classifier.model_, folder / "model.safetensors")
    write_text(folder / "scores.csv", _scores(outcome))
    write_text(folder / "predictions.csv", _predictions(outcome))
    summary = {"headline": found.verdict[0], "best": found.best, "details": found.verdict[1:]}
    summary |= {"caveats": outcome.data.caveats, "steps": len(outcome.classifier.losses_)}
    summary |= {"skipped": outcome.skipped, "images_a_second": round(outcome.rate, 1)}
    write_text(folder / "summary.json", json.dumps(summary, indent=2))
    write_text(folder / "report.html", page(outcome))


def _scores(outcome: Outcome) -> str:
    rows: list[list[object]] = [["model", "measure", "mean", "less_linear", "standard_error"]]
    for row in outcome.comparison.rows:
        for name, value, less in (
            ("accuracy", row.accuracy, row.accuracy_difference),
            ("log loss", row.log_loss, row.log_loss_difference),
        ):
            figures = (f"{v:.6g}" for v in (value.value, less.value, less.error))
            rows.append([row.name, name, *figures])
        rows.append([row.name, "calibration error", f"{row.calibration:.6g}", "", ""])
    return _csv(rows)


def _predictions(outcome: Outcome) -> str:
    found, names = outcome.comparison, outcome.classifier.classes_
    shares = found.shares[found.rows[-1].name]
    rows: list[list[object]] = [["image", "came", "said", *(f"p_{name}" for name in names)]]
    for number, came, row in zip(outcome.tested, found.came, shares, strict=True):
        image = name_of(outcome.data.items[number], int(number))
        rows.append([image, names[came], names[row.argmax()], *(f"{p:.5f}" for p in row)])
    return _csv(rows)


def _csv(rows: list[list[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()

"""Figures of a job for programs: scores as CSV, and what JSON can hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

import numpy as np

from tilewright.alpha.walking.tally import Tally


def scores_csv(tallies: Mapping[str, Tally]) -> str:
    """A row for each series, model and score."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write(["series", "model", "score", "mean", "net_less_model", "error_by_date", "error_by_year",
           "error_by_stock"])  # fmt: skip
    for series, found in tallies.items():
        for model in (m for m in found.models if found.has(m)):
            for score in found.value:
                lead = found.over(model, score) if model != found.models[0] else None
                parts = (lead.mean, lead.by_date) if lead else ("", "")
                full = lead is not None and score == found.main
                more = (lead.by_year, lead.by_stock) if lead and full else ("", "")
                figures = (found.mean(score, model), *parts, *more)
                write([series, model, score, *(f"{v:.6g}" if v != "" else "" for v in figures)])
    return text.getvalue()


def finite(value: object) -> object:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value

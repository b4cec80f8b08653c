"""Everything that a job of the scale net leaves: page, JSON, scores, forecasts.

In: a `Walk`. Out: report.html, report.json, scores.csv and forecasts/DAY.parquet, a file a window
that DuckDB and others read as one table, each written as a whole. report.json says of which files
all this was made, so that who goes on with a job that is finished reads none of them again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import fields

import numpy as np

import tilewright
from tilewright.alpha.controls import REAL, SERIES
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.ahead import quantile_name
from tilewright.alpha.scale.report.page import Diagnostics, as_json, page
from tilewright.alpha.scale.report.words import Words, words
from tilewright.alpha.scale.scored import Scored
from tilewright.alpha.scale.traces import linear_effects
from tilewright.alpha.scale.walk import Walk
from tilewright.alpha.scale_features import NAMES
from tilewright.alpha.walking.figures import finite, scores_csv
from tilewright.alpha.walking.folder import FITS, FORECASTS, SCORED
from tilewright.alpha.walking.scored import LEVELS
from tilewright.alpha.walking.tally import tally
from tilewright.files import write_bytes, write_text

REPORT, PAGE, SCORES = "report.json", "report.html", "scores.csv"
MADE_OF = "made of"


def report_of(walk: Walk) -> Words | None:
    """What was written of these very windows by this version; else `write_report`."""
    found = _written(walk)
    return write_report(walk) if found is None else found


def write_report(walk: Walk) -> Words | None:
    """Write all files; None, and nothing, where no window is whole."""
    days, stocks = walk.prices.days, len(walk.prices.names)
    found = {name: _reader(walk, name) for name in SERIES}
    tallies = {
        name: tally(read, days, stocks) for name, read in found.items() if any(True for _ in read())
    }
    if SERIES[0] not in tallies:
        return None
    diagnostics, newest = _diagnostics(found[SERIES[0]]())
    failures = {name: [one.failure for one in found[name]()] for name in tallies if name != REAL}
    failures[REAL] = diagnostics.failures
    left = sum(window.whole for window in walk.windows) - len(diagnostics.days)
    said = words(tallies, failures, walk.prices, walk.settings.train, left)
    folder, effects = walk.folder.path, _effects(walk)
    write_text(
        folder / PAGE,
        page(walk.prices, walk.settings, tallies, said, newest, diagnostics, effects),
    )
    write_text(folder / SCORES, scores_csv(tallies))
    _write_forecasts(walk)
    content = {**as_json(tallies, said, diagnostics), MADE_OF: _made_of(walk)}
    if effects is not None:
        parts = zip((*NAMES, *walk.settings.features), *effects, strict=True)
        content["effects"] = {n: {"mean": float(m), "deviation": float(d)} for n, m, d in parts}
    write_text(folder / REPORT, json.dumps(finite(content), indent=2))
    return said


def _written(walk: Walk) -> Words | None:
    """What report.json says, if all that goes with it is there, and it is of these windows."""
    folder = walk.folder.path
    try:
        content = json.loads((folder / REPORT).read_text())
        if content[MADE_OF] != _made_of(walk):
            return None
        forecasts = {entry.name for entry in os.scandir(folder / FORECASTS)}
        if not {f"{day}.parquet" for day in content["windows"]["days"]} <= forecasts:
            return None
        there = (folder / PAGE).exists() and (folder / SCORES).exists()
        return Words(**{f.name: content[f.name] for f in fields(Words)}) if there else None
    except (OSError, ValueError, KeyError, TypeError):  # none, or of a version before
        return None


def _made_of(walk: Walk) -> str:
    """A hash of all that the report depends on: windows are known by the names of their files."""
    folder = walk.folder.path
    names = {kind: {entry.name for entry in os.scandir(folder / kind)} for kind in (SCORED, FITS)}
    whole = [window for window in walk.windows if window.whole]
    wanted = [walk.folder.scored_path(one, name).name for name in SERIES for one in whole]
    about = {
        "version": tilewright.__version__,
        "prices": walk.prices.fingerprint(),
        "scored": [name for name in wanted if name in names[SCORED]],
        "fit": walk.folder.fit_path(walk.windows[-1]).name in names[FITS],
    }
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def _write_forecasts(walk: Walk) -> None:
    """Of the windows that have none yet."""
    folder = walk.folder.path / FORECASTS
    for window in walk.windows:
        path = folder / f"{window.day}.parquet"
        scored = walk.folder.scored_path(window) if window.whole else None
        if scored is not None and not path.exists() and scored.exists():
            write_bytes(path, _forecasts(walk.load(scored), walk))


def _effects(walk: Walk) -> tuple[np.ndarray, np.ndarray] | None:
    """Of the newest model whose draws are there."""
    try:
        return linear_effects(walk.fit())
    except AlphaError:  # such as a job that has had no time for it yet
        return None


def _reader(walk: Walk, series: str) -> Callable[[], Iterable[Scored]]:
    return lambda: walk.scored(series)


def _diagnostics(windows: Iterable[Scored]) -> tuple[Diagnostics, Scored]:
    """Of the real series; and its newest window."""
    rows, newest = [], None
    for one in windows:
        rows.append((one.day, np.max(one.r_hat), np.mean(one.ess), one.gradients.sum(),
                     not one.cold.all(), one.lock_in, one.failure))  # fmt: skip
        newest = one
    assert newest is not None
    day, r_hat, ess, gradients, warm, lock_in, failures = zip(*rows, strict=True)
    found = Diagnostics(
        days=list(day), r_hat=np.array(r_hat, np.float64), ess=np.array(ess, np.float64),
        gradients=np.array(gradients, np.float64), warm=np.array(warm),
        lock_in=np.array(lock_in, np.float64), failures=list(failures),
    )  # fmt: skip
    return found, newest


def _forecasts(one: Scored, walk: Walk) -> bytes:
    """The net's, of log returns."""
    import pandas as pd

    day, stock = one.places.T
    frame = pd.DataFrame({
        "date": [walk.prices.days[d] for d in day],
        "instrument": [walk.prices.names[s] for s in stock],
        "scale": one.scale * one.unit,
        "expected_shortfall_05": one.shortfall * one.unit,
        **{quantile_name(p): q * one.unit for p, q in zip(LEVELS, one.quantiles[0], strict=True)},
        "outcome": one.outcome * one.unit,
        "pit": one.pit[0],
        "failed": one.failure,
    })  # fmt: skip
    content = io.BytesIO()
    frame.to_parquet(content, index=False)
    return content.getvalue()

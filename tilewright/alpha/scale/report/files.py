"""Everything that a job of the scale net leaves: page, JSON, scores, forecasts.

In: a `Walk`. Out: report.html, report.json, scores.csv and forecasts/DAY.parquet, a file a window
that DuckDB and others read as one table, each written as a whole.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable

import numpy as np

from tilewright.alpha.controls import SERIES
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.ahead import quantile_name
from tilewright.alpha.scale.report.page import Diagnostics, as_json, page
from tilewright.alpha.scale.report.words import Words, words
from tilewright.alpha.scale.scored import Scored
from tilewright.alpha.scale.traces import linear_effects
from tilewright.alpha.scale.walk import Walk
from tilewright.alpha.scale_features import NAMES
from tilewright.alpha.walking.figures import finite, scores_csv
from tilewright.alpha.walking.folder import FORECASTS
from tilewright.alpha.walking.scored import LEVELS
from tilewright.alpha.walking.tally import tally
from tilewright.files import write_bytes, write_text


def write_report(walk: Walk) -> Words | None:
    """Write all files; None, and nothing, where no window is whole."""
    days, stocks = walk.prices.days, len(walk.prices.names)
    found = {name: _reader(walk, name) for name in SERIES}
    tallies = {
        name: tally(read, days, stocks) for name, read in found.items() if any(True for _ in read())
    }
    if SERIES[0] not in tallies:
        return None
    failures = {name: [one.failure for one in found[name]()] for name in tallies}
    diagnostics, newest = _diagnostics(found[SERIES[0]]())
    said = words(tallies, failures)
    folder, effects = walk.folder.path, _effects(walk)
    write_text(
        folder / "report.html",
        page(walk.prices, walk.settings, tallies, said, newest, diagnostics, effects),
    )
    content = as_json(tallies, said, diagnostics)
    if effects is not None:
        parts = zip((*NAMES, *walk.settings.features), *effects, strict=True)
        content["effects"] = {n: {"mean": float(m), "deviation": float(d)} for n, m, d in parts}
    write_text(folder / "report.json", json.dumps(finite(content), indent=2))
    write_text(folder / "scores.csv", scores_csv(tallies))
    for one in found[SERIES[0]]():
        path = folder / FORECASTS / f"{one.day}.parquet"
        if not path.exists():
            write_bytes(path, _forecasts(one, walk))
    return said


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
